// Removes escape sequences from a text, and converts those for styles (ECMA-48).
//
// Sequences other than SGR make no sense in a row, and are removed. An unterminated sequence hides
// nothing: its ESC is shown, and the rest is text.

"use strict";

import { colour256, hexColour } from "./colours.js";

// C0 except tab and line break, DEL, C1, and directional controls, which could make a line look
// different from its content.
const CONTROLS = String.raw`\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069`;
const CONTROL = new RegExp(`[${CONTROLS}]`);
const CONTROL_OR_BREAK = new RegExp(`[${CONTROLS}\\n]`, "g");

// The forms after ESC. None can match a character that another alternative also matches, so time is
// always linear.
const CSI = /\[([0-?]*)([ -/]*)([@-~]?)/y; // ECMA-48, 5.4; cut or malformed: as far as it fits
const STRING = /(?:\][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)|[PX^_][^\x1b\x9c\n]*(?:\x1b\\|\x9c))/y; // 5.6
const SHORT = /[ -/]*(?:[0-OQ-WYZ\\`-~]|$)/y; // also ESC ( B

const PLAIN = Object.freeze({
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
  foreground: null,
  background: null,
});

// What a parameter of SGR sets (ECMA-48, 8.3.117); blinking, concealment and fonts are ignored.
const SGR = new Map([
  [1, { bold: true }],
  [2, { dim: true }],
  [3, { italic: true }],
  [4, { underline: true }],
  [7, { inverse: true }],
  [9, { strike: true }],
  [21, { underline: true }],
  [22, { bold: false, dim: false }],
  [23, { italic: false }],
  [24, { underline: false }],
  [27, { inverse: false }],
  [29, { strike: false }],
  [39, { foreground: null }],
  [49, { background: null }],
]);
for (let colour = 0; colour < 8; colour += 1) {
  SGR.set(30 + colour, { foreground: colour });
  SGR.set(40 + colour, { background: colour });
  SGR.set(90 + colour, { foreground: 8 + colour });
  SGR.set(100 + colour, { background: 8 + colour });
}

// 58 sets the colour of underlines, which is not shown, but its parameters must be skipped.
const COLOURED = new Map([
  [38, "foreground"],
  [48, "background"],
  [58, null],
]);

// The colour of the parts after 38 or 48: 5, n or 2, r, g, b; undefined if they are wrong.
function colourOf(kind, parts) {
  if (parts.some((part) => !(part >= 0 && part <= 255))) {
    return undefined;
  }
  if (kind === 5 && parts.length === 1) {
    return colour256(parts[0]);
  }
  return kind === 2 && parts.length === 3 ? hexColour(...parts) : undefined;
}

// With colons (ISO 8613-6): 38:5:n, 38:2:r:g:b, 38:2:space:r:g:b, and more after these.
function withColons(style, parameter) {
  const parts = parameter.split(":").map(Number);
  const [code, kind] = parts;
  if (code === 4) {
    style.underline = kind !== 0;
  } else if (COLOURED.get(code)) {
    const first = kind === 2 && parts.length > 5 ? 3 : 2;
    const colour = colourOf(kind, parts.slice(first, first + (kind === 2 ? 3 : 1)));
    if (colour !== undefined) {
      style[COLOURED.get(code)] = colour;
    }
  }
}

// The style after SGR with these parameters.
function select(before, parameters) {
  const style = { ...before };
  const all = parameters.split(";");
  for (let at = 0; at < all.length; at += 1) {
    if (all[at].includes(":")) {
      withColons(style, all[at]);
      continue;
    }
    const code = Number(all[at]);
    if (code === 0) {
      Object.assign(style, PLAIN);
    } else if (COLOURED.has(code)) {
      const kind = Number(all[at + 1]);
      const count = kind === 5 ? 1 : kind === 2 ? 3 : 0;
      const colour = colourOf(kind, all.slice(at + 2, at + 2 + count).map(Number));
      if (colour !== undefined && COLOURED.get(code)) {
        style[COLOURED.get(code)] = colour;
      }
      at += 1 + count;
    } else if (SGR.has(code)) {
      Object.assign(style, SGR.get(code));
    }
  }
  return same(style, PLAIN) ? PLAIN : style;
}

function same(one, other) {
  for (const name in PLAIN) {
    if (one[name] !== other[name]) {
      return false;
    }
  }
  return true;
}

// The text so far: complete lines, and a current line that a CR can still overwrite.
class Reader {
  style = PLAIN;

  #done = "";
  #line = "";
  #runs = [];
  #returned = false; // by a CR, which takes effect when text follows

  add(text, soft) {
    if (text === "") {
      return;
    }
    if (this.#returned) {
      this.#dropLine();
    }
    const start = this.#done.length + this.#line.length;
    this.#line += text;
    if (!soft && this.style === PLAIN) {
      return;
    }
    const end = start + text.length;
    const last = this.#runs.at(-1);
    if (last?.end === start && (last.soft === true) === soft && same(last, this.style)) {
      last.end = end;
    } else {
      this.#runs.push(soft ? { start, end, ...this.style, soft } : { start, end, ...this.style });
    }
  }

  return() {
    this.#returned = true;
  }

  endLine() {
    this.#done += `${this.#line}\n`;
    this.#line = "";
  }

  end() {
    const runs = this.#runs;
    return { text: this.#done + this.#line, styles: runs.length === 0 ? null : runs };
  }

  #dropLine() {
    const start = this.#done.length;
    this.#line = "";
    this.#returned = false;
    while (this.#runs.length > 0 && this.#runs.at(-1).start >= start) {
      this.#runs.pop();
    }
  }
}

// Reads the sequence after an ESC. Returns the position after it.
function escape(reader, data, at) {
  for (const sequence of [CSI, STRING, SHORT]) {
    sequence.lastIndex = at;
    const found = sequence.exec(data);
    if (found === null) {
      continue;
    }
    if (sequence === CSI && found[2] === "") {
      if (found[3] === "m" && /^[0-9:;]*$/.test(found[1])) {
        reader.style = select(reader.style, found[1]);
      } else if (found[3] === "G" && /^0*1?$/.test(found[1])) {
        reader.return(); // to the first column, as spinners do
      }
    }
    return sequence.lastIndex;
  }
  reader.add("\u241b", false);
  return at;
}

// Returns {text, styles}: the data without escapes, and null or its styled runs:
// {start, end, bold, dim, italic, underline, inverse, strike, foreground, background}. Colours are
// null, 0 to 15 of the palette, or "#rrggbb". soft: true is set if the run stands for a character
// that cannot be displayed.
export function readANSI(data) {
  if (!CONTROL.test(data)) {
    return { text: data, styles: null };
  }
  const reader = new Reader();
  let start = 0;
  CONTROL_OR_BREAK.lastIndex = 0;
  for (
    let found = CONTROL_OR_BREAK.exec(data);
    found !== null;
    found = CONTROL_OR_BREAK.exec(data)
  ) {
    const control = found[0];
    const code = control.charCodeAt(0);
    reader.add(data.slice(start, found.index), false);
    start = found.index + 1;
    if (control === "\n") {
      reader.endLine();
    } else if (control === "\r") {
      reader.return();
    } else if (control === "\x1b") {
      start = escape(reader, data, start);
      CONTROL_OR_BREAK.lastIndex = start;
    } else if (code <= 0x7f) {
      reader.add(code === 0x7f ? "\u2421" : String.fromCharCode(0x2400 + code), false);
    } else {
      reader.add(`\\u${code.toString(16).padStart(4, "0")}`, true);
    }
  }
  reader.add(data.slice(start), false);
  return reader.end();
}
