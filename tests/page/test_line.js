import { Groups } from "../../twisted_sse/daemon/page/line/groups.js";
import { OPENERS } from "../../twisted_sse/daemon/page/line/head.js";
import { LEVELS } from "../../twisted_sse/daemon/page/line/levels.js";
import { readLine } from "../../twisted_sse/daemon/page/line/line.js";
import { showRecord } from "../../twisted_sse/daemon/page/line/record.js";
import { ALL, ARRIVED } from "./checking.js";
import { plain } from "./escapes.js";
import { equal, ok, test } from "./testing.js";

function read(text) {
  return readLine(text, { arrived: ARRIVED, type: "message" });
}

// The text that remains as the message of a line.
function rest(text) {
  return read(text)
    .pieces.map(([start, end]) => text.slice(start, end))
    .join("");
}

// The text moved to the cells of the time and the level.
function cells(text) {
  const { timeAt, levelAt } = read(text);
  return [timeAt, levelAt].map((at) => at && text.slice(...at));
}

// Lines for each rule about text before a time, and the remaining messages.
const OPENED = {
  priority: {
    "<34>Nov 29 02:25:25 web-1 su: x": "web-1 su: x",
    "<34>1 2026-11-29T02:25:25Z web-1 x": "web-1 x",
    "<4>no time": "no time",
  },
  klog: { "E1129 02:25:25.123 7 a.go:1] x": "7 a.go:1] x", "E1129 x": "E1129 x" },
  "letter before the bracket": {
    "W, [2026-11-29T02:25:25.1 #7]  WARN -- : x": "x",
    "I, [2026-11-29T02:25:25.1 #7]  INFO -- shop: x": "shop: x",
    "E [29/Nov/2026:02:25:25 +0000] x": "x",
  },
  "letter in the bracket": { "[W 2026-11-29 02:25:25.123 App] x": "App] x" },
  "level first": {
    "INFO 2026-11-29 02:25:25,123 x": "x",
    " INFO [main] 2026-11-29 02:25:25,123 x": "[main] x",
    "[info] 02:25:25 x": "x",
    "INFO 7 x": "7 x",
  },
  name: {
    "[Nest] 812  - 11/29/2026, 2:25:25 AM     LOG x": "[Nest] 812  - x",
    "[7] 2026/11/29 02:25:25 [INF] x": "[7] x",
    "[7] 42 x": "[7] 42 x",
  },
  process: {
    "7:M 29 Nov 2026 02:25:25.123 * x": "7:M x",
    "812   02:25:25.5 open": "812   open",
    "812 x": "812 x",
  },
};

for (const { name } of OPENERS) {
  test(`text that the rule "${name}" finds before a time is understood`, () => {
    for (const [text, message] of Object.entries(OPENED[name])) {
      equal(rest(text), message, text);
    }
  });
}

test("the time and the level are removed together with their separators", () => {
  for (const [text, message] of Object.entries({
    "2026-11-29 02:25:25 [error] 31#31: x": "31#31: x",
    "2026-11-29 02:25:25 | SUCCESS  | a - x": "a - x",
    "2026-11-29 02:25:25 - x": "x",
    "2026-11-29 02:25:25 -1 x": "-1 x",
    "[2026-11-29 02:25:25] INFO     x": "x",
    "[02:25:25 WRN] x": "x",
    "[2026-11-29T02:25:25Z WARN  a::b] x": "a::b] x",
    "[2026-11-29 02:25:25,123: WARNING/Pool-2] x": "Pool-2] x",
    "2026-11-29T02:25:25Z [INFO]  a: x": "a: x",
    "ERROR:shop:x": "shop:x",
    "[WARNING]: x": "x",
    "DEBUG - x": "x",
    "error: x": "x",
    "error[E0425]: x": "error[E0425]: x",
    "2026-11-29 02:25:25 [mpm:notice] x": "[mpm:notice] x",
    "x ERROR y": "x ERROR y",
    "2026-11-29T02:25:25Z": "",
  })) {
    equal(rest(text), message, text);
  }
});

test("pairs of logfmt are removed wherever they are", () => {
  equal(rest('ts=2026-11-29T02:25:25Z msg="x" level=info'), 'msg="x"');
  equal(rest("a=1 t=2026-11-29T02:25:25Z level=info b=2"), "a=1 b=2");
  equal(rest("2026-11-29T02:25:25Z app[web.1]: at=info x=1"), "app[web.1]: at=info x=1");
});

test("the cells have the moved text", () => {
  equal(cells("2026-11-29T02:25:25Z [INFO]  x"), ["2026-11-29T02:25:25Z ", "[INFO]  "]);
  equal(cells("level=info ts=2026-11-29T02:25:25Z x=1"), [
    "ts=2026-11-29T02:25:25Z ",
    "level=info ",
  ]);
  equal(cells("x ERROR y"), [null, null]);
});

test("a prefix stays, and is reported", () => {
  equal(read("web-1  | 2026-11-29 02:25:25 ERROR x").prefix, "web-1  | ");
  equal(rest("web-1  | 2026-11-29 02:25:25 ERROR x"), "web-1  | x");
  equal(rest("[pod/shop-1/app] 2026-11-29T02:25:25Z ERROR x"), "[pod/shop-1/app] x");
  equal(read("INFO | x").prefix, "");
  equal(read("12 | x").prefix, "");
});

test("JSON may follow a prefix or a time", () => {
  for (const before of [
    "",
    " ",
    "api-1  | ",
    "2026-11-29T02:25:25Z ",
    "api-1  | 2026-11-29T02:25:25Z ",
  ]) {
    const line = read(`${before}{"level":"warn","msg":"x"}`);
    equal([line.level, line.record?.msg], ["warn", "x"], before);
  }
  equal(read('2026-11-29T02:25:25Z got {"level":"error"}').record, null);
});

test("the pieces and the moved text are in the line, in order, and do not overlap", () => {
  for (const text of ALL.flatMap(({ lines }) => lines.map(plain))) {
    const { pieces, timeAt, levelAt } = read(text);
    let position = 0;
    for (const [start, end] of pieces) {
      ok(start >= position && end >= start && end <= text.length, text);
      position = end;
    }
    for (const at of [timeAt, levelAt].filter((each) => each !== null)) {
      ok(at[0] < at[1] && at[1] <= text.length, text);
    }
  }
});

// Reads a text as the only line of a source, and shows it.
function readAll(text) {
  const line = read(text);
  new Groups().belongs(text, line, ARRIVED);
  const groups = new Groups();
  for (const before of ["goroutine 1", text]) {
    groups.belongs(before, read(before), ARRIVED);
  }
  ok(line.level === "" || LEVELS.includes(line.level), "the level");
  ok(line.time === null || Number.isFinite(line.time.at), "the time");
  if (line.record !== null) {
    showRecord(line.record, new Set());
  }
}

test("a million characters of any kind are read quickly", () => {
  const size = 1_000_000;
  const before = performance.now();
  for (const unit of [
    ..."a 1[](){}<>\"'\\=:|-.,/#*✖│\t\n\u0000\ud800",
    ...[
      'a="',
      'a="\\',
      "a |",
      '"\\"',
      "a.",
      "a: ",
      "a/",
      " HTTP/",
      '" HTTP/1.1',
      "Error",
      "[x] ",
      "(x) ",
    ],
    ...[
      "2026-11-29 ",
      "02:25:25",
      "[[[[]",
      "ERROR ",
      "error: ",
      "1:2:",
      "file(1,2): ",
      "-->",
      "** (",
    ],
    ...['{"a":', '{"msg":"', '[{"a":1},', "level=", "INFO    ", "<1>", "a b: "],
  ]) {
    const text = unit.repeat(size / unit.length);
    for (const start of ["", "2026-11-29T02:25:25Z ", "GET /"]) {
      readAll(start + text);
    }
  }
  // 150 lines of a million characters: quadratic time would take hours.
  ok(performance.now() - before < 30_000, "the time it took");
});

// A generator of numbers that are the same in each run (mulberry32).
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

test("no line causes an exception", () => {
  const texts = ALL.flatMap(({ lines }) => lines.map(plain));
  const next = numbers(17);
  for (let round = 0; round < 10_000; round++) {
    const [one, other] = [texts[next(texts.length)], texts[next(texts.length)]];
    const cut = one.slice(0, next(one.length + 1));
    const rest = other.slice(next(other.length + 1));
    const sign = String.fromCharCode(next(3) === 0 ? next(0x10000) : next(128));
    const text = cut + sign.repeat(next(3)) + rest;
    try {
      readAll(text);
    } catch (error) {
      throw new Error(`${JSON.stringify(text)}: ${error.stack}`);
    }
  }
});
