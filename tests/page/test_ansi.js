// The results of readANSI() for a text.

"use strict";

import { readANSI } from "../../twisted_sse/daemon/page/line/ansi.js";
import { Random } from "./random.js";
import { equal, ok, test } from "./testing.js";

const ESC = "\x1b";
const DEFAULTS = {
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
  foreground: null,
  background: null,
};

// The styles of a text, by their differences from no style: "start-end {..}".
function styles(data) {
  return (readANSI(data).styles ?? []).map(({ start, end, ...style }) => {
    const set = Object.entries(style).filter(([name, value]) => value !== DEFAULTS[name]);
    return [start, end, Object.fromEntries(set)];
  });
}

function texts(table) {
  for (const [data, text] of table) {
    equal(readANSI(data).text, text, JSON.stringify(data));
  }
}

function looks(table) {
  for (const [parameters, style] of table) {
    const wanted = style === null ? [] : [[0, 1, style]];
    equal(styles(`${ESC}[${parameters}mx`), wanted, parameters);
  }
}

test("a text without controls is unchanged, and has no styles", () => {
  for (const data of [
    "",
    "plain",
    "tab\tand\nline",
    "zero\u200bwidth \u{1f680} é",
    "<img src=x>",
  ]) {
    equal(readANSI(data), { text: data, styles: null });
  }
});

test("a style has all attributes that can be set, with positions in the text", () => {
  equal(readANSI(`a${ESC}[1;31mbc${ESC}[0md`), {
    text: "abcd",
    styles: [{ start: 1, end: 3, ...DEFAULTS, bold: true, foreground: 1 }],
  });
});

test("SGR sets attributes, alone and together", () => {
  looks([
    ["1", { bold: true }],
    ["2", { dim: true }],
    ["3", { italic: true }],
    ["4", { underline: true }],
    ["4:3", { underline: true }],
    ["7", { inverse: true }],
    ["9", { strike: true }],
    ["21", { underline: true }],
    ["1;3;4", { bold: true, italic: true, underline: true }],
    ["01;004", { bold: true, underline: true }],
  ]);
});

test("SGR resets attributes", () => {
  looks([
    ["", null],
    ["0", null],
    ["1;0", null],
    ["1;", null],
    ["1;;3", { italic: true }],
    ["1;2;22", null],
    ["3;23", null],
    ["4;24", null],
    ["4;4:0", null],
    ["7;27", null],
    ["9;29", null],
    ["31;39", null],
    ["41;49", null],
    ["38;5;200;39", null],
  ]);
});

test("the sixteen colours are numbers of the palette", () => {
  looks([
    ["30", { foreground: 0 }],
    ["37", { foreground: 7 }],
    ["40", { background: 0 }],
    ["47", { background: 7 }],
    ["90", { foreground: 8 }],
    ["97", { foreground: 15 }],
    ["100", { background: 8 }],
    ["107", { background: 15 }],
    ["38;5;0", { foreground: 0 }],
    ["48;5;15", { background: 15 }],
    ["38:5:9", { foreground: 9 }],
  ]);
});

test("the 256 colours and true colour are #rrggbb, with semicolons and with colons", () => {
  looks([
    ["38;5;16", { foreground: "#000000" }],
    ["38;5;196", { foreground: "#ff0000" }],
    ["48:5:21", { background: "#0000ff" }],
    ["38;5;232", { foreground: "#080808" }],
    ["38;5;255", { foreground: "#eeeeee" }],
    ["38;2;1;2;3", { foreground: "#010203" }],
    ["48;2;255;128;0", { background: "#ff8000" }],
    ["38:2:1:2:3", { foreground: "#010203" }],
    ["38:2::1:2:3", { foreground: "#010203" }],
    ["38:2:9:1:2:3", { foreground: "#010203" }],
    ["38:2::1:2:3::5", { foreground: "#010203" }],
    ["38;5;196;1", { bold: true, foreground: "#ff0000" }],
    ["1;38;2;1;2;3;48;5;21", { bold: true, foreground: "#010203", background: "#0000ff" }],
    ["38;2;1;2;", { foreground: "#010200" }],
  ]);
});

test("an invalid part of SGR changes nothing, and the parts after it take effect", () => {
  looks([
    ["38", null],
    ["38;5", null],
    ["38;2;1;2", null],
    ["38;5;256", null],
    ["38;5;300;1", { bold: true }],
    ["38;2;1;2;256;1", { bold: true }],
    ["38:5", null],
    ["38:5;1", { bold: true }],
    ["38:2:1:2", null],
    ["38:3:1:2:3", null],
    ["1:2:3", null],
    ["58;5;1;3", { italic: true }],
    ["58;2;1;2;3;3", { italic: true }],
    ["58:2::1:2:3", null],
    ["5;6;8;10;11;25;28", null],
    ["50;99;108;1000;99999999999999999999", null],
    [">4;1", null],
    ["?1", null],
    ["1 ", null],
  ]);
});

test("adjacent runs that look the same are merged, others are not", () => {
  equal(styles(`${ESC}[31ma${ESC}[31mb${ESC}[1mc${ESC}[Kd`), [
    [0, 2, { foreground: 1 }],
    [2, 4, { bold: true, foreground: 1 }],
  ]);
  equal(styles(`${ESC}[31ma${ESC}[m-${ESC}[31mb`), [
    [0, 1, { foreground: 1 }],
    [2, 3, { foreground: 1 }],
  ]);
});

test("a style continues across line breaks, until the end of the event", () => {
  equal(readANSI(`${ESC}[32ma\nb`).text, "a\nb");
  equal(styles(`${ESC}[32ma\nb`), [
    [0, 1, { foreground: 2 }],
    [2, 3, { foreground: 2 }],
  ]);
});

test("other sequences are removed", () => {
  texts([
    [`a${ESC}[Kb`, "ab"],
    [`a${ESC}[2J${ESC}[1;1Hb`, "ab"],
    [`a${ESC}[?25lb${ESC}[?25h`, "ab"],
    [`a${ESC}[>0q${ESC}[!pb${ESC}[2 qc`, "abc"],
    [`a${ESC}(Bb${ESC})0c`, "abc"],
    [`a${ESC}%Gb${ESC}#8c`, "abc"],
    [`a${ESC}7b${ESC}8c${ESC}=d${ESC}>e${ESC}Mf${ESC}cg`, "abcdefg"],
    [`a${ESC}\\b`, "ab"],
    [`a${ESC}Pq#0;2;0;0;0~-${ESC}\\b`, "ab"],
    [`a${ESC}_Gf=100;AAAA${ESC}\\b${ESC}^pm${ESC}\\c${ESC}Xsos${ESC}\\d`, "abcd"],
  ]);
});

test("OSC ends with BEL, ESC \\ or C1's ST, and a hyperlink is its text", () => {
  texts([
    [`a${ESC}]0;title\x07b`, "ab"],
    [`a${ESC}]0;title${ESC}\\b`, "ab"],
    [`a${ESC}]0;title\x9cb`, "ab"],
    [`${ESC}]8;;https://example.com/${ESC}\\here${ESC}]8;;${ESC}\\!`, "here!"],
    [`${ESC}]8;id=1;https://example.com/\x07here${ESC}]8;;\x07!`, "here!"],
    [`a${ESC}]0;Grüße \u{1f680}\x07b`, "ab"],
  ]);
});

test("an unterminated string hides nothing", () => {
  texts([
    [`a${ESC}]0;title and all the rest`, "a\u241b]0;title and all the rest"],
    [`a${ESC}]0;title\nnext\x07`, "a\u241b]0;title\nnext\u2407"],
    [`a${ESC}]0;title${ESC}[31mred\x07`, "a\u241b]0;titlered\u2407"],
    [`a${ESC}Pq1${ESC}[31mb`, "a\u241bPq1b"],
    [`a${ESC}Pq\x07b${ESC}\\c`, "ac"],
    [`a${ESC}]8;;https://exa`, "a\u241b]8;;https://exa"],
  ]);
});

test("the valid part of an incomplete or malformed sequence is removed", () => {
  texts([
    [`a${ESC}`, "a"],
    [`a${ESC}[`, "a"],
    [`a${ESC}[31`, "a"],
    [`a${ESC}[38;5;`, "a"],
    [`a${ESC}(`, "a"],
    [`a${ESC}[31é`, "aé"],
    [`a${ESC}[31\nb`, "a\nb"],
    [`a${ESC}[31${ESC}[32mb`, "ab"],
    [`a${ESC}[1\x01b`, "a\u2401b"],
    [`a${ESC}éb`, "a\u241béb"],
    [`a${ESC}${ESC}[31mb`, "a\u241bb"],
    [`a${ESC}\nb`, "a\u241b\nb"],
  ]);
  equal(styles(`a${ESC}[31é`), []);
});

test("a CR at the end is removed, any other drops the text before it in its line", () => {
  texts([
    ["a\r", "a"],
    ["a\r\r", "a"],
    ["10%\r20%\r100%", "100%"],
    ["10%\r20%\r", "20%"],
    ["\ra", "a"],
    [`a\rb${ESC}[31mc`, "bc"],
    ["a\r\nb\r\nc", "a\nb\nc"],
    ["one\ntwo\rthree\nfour", "one\nthree\nfour"],
    ["one\n\rtwo", "one\ntwo"],
    [`50%\r${ESC}[K`, "50%"],
    [`50%\r${ESC}[K100%`, "100%"],
    [`50%\r${ESC}[31m`, "50%"],
  ]);
});

test("CSI G and CSI 1 G are like CR, other columns are not", () => {
  texts([
    [`⠋ one${ESC}[G⠙ two`, "⠙ two"],
    [`⠋ one${ESC}[1G${ESC}[0K⠙ two${ESC}[1G${ESC}[0K`, "⠙ two"],
    [`a${ESC}[0Gb`, "b"],
    [`a${ESC}[5Gb${ESC}[10Gc${ESC}[?1Gd`, "abcd"],
  ]);
});

test("text dropped by a CR loses its styles, and the current style stays", () => {
  equal(styles(`${ESC}[31mred\rgone`), [[0, 4, { foreground: 1 }]]);
  equal(styles(`${ESC}[31mred${ESC}[0m\rplain`), []);
  equal(styles(`${ESC}[31mone\ntwo${ESC}[0m\rplain`), [[0, 3, { foreground: 1 }]]);
});

test("other C0 controls and DEL are shown as control pictures", () => {
  texts([
    ["a\0b\x07c\x08d\x0be\x0cf\x1fg\x7fh", "a\u2400b\u2407c\u2408d\u240be\u240cf\u241fg\u2421h"],
    ["tab\tstays", "tab\tstays"],
  ]);
  equal(styles("a\0b"), []);
});

test("C1 and bidirectional controls are shown as their code, in soft type", () => {
  const all = [0x80, 0x85, 0x9b, 0x9f, 0x61c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069];
  for (const code of all) {
    const name = `\\u${code.toString(16).padStart(4, "0")}`;
    const data = `a${String.fromCharCode(code)}b`;
    equal(readANSI(data).text, `a${name}b`);
    equal(styles(data), [[1, 7, { soft: true }]]);
  }
  equal(readANSI("\xa0\u200b\u200d\u2028\u202f\u2065\u206a").styles, null);
});

test("a soft run in a coloured text has its colour, too", () => {
  equal(styles(`${ESC}[31ma\u202e\u202db`), [
    [0, 1, { foreground: 1 }],
    [1, 13, { foreground: 1, soft: true }],
    [13, 14, { foreground: 1 }],
  ]);
});

// Quadratic time would take minutes here, longer than the runner waits.
test("time is linear in the length of any text", () => {
  const size = 2 ** 16;
  const hard = [
    [`${ESC}[`.repeat(size), ""],
    [`${ESC}[${"1;".repeat(size)}`, ""],
    [`${ESC}[${"38;5;".repeat(size)}mx`, "x"],
    [`${ESC}]${"x".repeat(size)}`, `\u241b]${"x".repeat(size)}`],
    [`${ESC}]`.repeat(size), "\u241b]".repeat(size)],
    [`${ESC}P\x07`.repeat(size), "\u241bP\u2407".repeat(size)],
    [`${ESC}   é`.repeat(size), "\u241b   é".repeat(size)],
    ["ab\r".repeat(size), "ab"],
    [`${"a\rb\n".repeat(size)}`, "b\n".repeat(size)],
    [`${ESC}[31ma${ESC}[32mb\rc\n`.repeat(size / 4), "c\n".repeat(size / 4)],
    [`${`${ESC}[31ma${ESC}[32mb`.repeat(size / 4)}\rc`, "c"],
    ["\x01\u202e".repeat(size / 4), "\u2401\\u202e".repeat(size / 4)],
  ];
  for (const [data, text] of hard) {
    ok(readANSI(data).text === text, JSON.stringify(data.slice(0, 10)));
  }
});

test("for any text, no control is left, and styles are in order within the text", () => {
  const random = new Random(17);
  const parts = [
    ESC,
    "[",
    "]",
    "P",
    "m",
    "G",
    "31",
    ";",
    ":",
    "38",
    "5",
    "2",
    "0",
    "\r",
    "\n",
    "\t",
    "\x07",
    "\\",
    "a",
    "é",
    "\u{1f680}",
    "\ud83d",
    "\u202e",
    "\x9b",
    "\x9c",
    "\0",
    " ",
    "(",
    "?",
  ];
  for (let round = 0; round < 2000; round += 1) {
    const data = random.text(parts, 24);
    const { text, styles: runs } = readANSI(data);
    ok(!/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/.test(text), JSON.stringify(data));
    let last = 0;
    for (const { start, end } of runs ?? []) {
      ok(last <= start && start < end && end <= text.length, JSON.stringify(data));
      last = end;
    }
  }
});
