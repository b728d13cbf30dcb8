import { CONTINUATIONS, Groups } from "../../twisted_sse/daemon/page/line/groups.js";
import { readLine } from "../../twisted_sse/daemon/page/line/line.js";
import { ARRIVED } from "./checking.js";
import { equal, test } from "./testing.js";

// Returns the positions of the lines that begin a group. Each may be [text, seconds].
function heads(...lines) {
  const groups = new Groups();
  return lines.flatMap((each, index) => {
    const [text, seconds] = Array.isArray(each) ? each : [each, 0];
    const arrived = ARRIVED + seconds * 1000;
    const line = readLine(text, { arrived, type: "message" });
    return groups.belongs(text, line, arrived) ? [] : [index];
  });
}

const LINES = {
  Python: [
    "Traceback (most recent call last):",
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
  ],
  Java: ["Caused by: x", "... 12 more", "... 12 common frames omitted"],
  Go: ["goroutine 1 [running]:", "created by main.main"],
  PHP: ["Stack trace:", "[stacktrace]", "#0 /srv/a.php(3): f()"],
  Rust: ["stack backtrace:", "stack traceback:", "note: run with `RUST_BACKTRACE=1`"],
  Elixir: ["** (MatchError) x"],
  code: ["12 | let a", "> 2 | let"],
  "a box": ["│ x", "╭─ x", "╵"],
  "closing brackets": ["}", "]);", '"} ', "})"],
};

for (const { name } of CONTINUATIONS) {
  test(`unindented lines of ${name} belong to the line before`, () => {
    for (const text of LINES[name]) {
      equal(heads("ERROR x", text), [0], text);
    }
  });
}

test("the first line belongs to none", () => {
  for (const text of ["", "  x", "Caused by: x"]) {
    equal(heads(text), [0], text);
  }
});

test("empty lines belong to the line before, however late", () => {
  equal(heads("a", "", ["", 5], [" ", 9]), [0]);
  equal(heads("a", "", "b"), [0, 2]);
});

test("lines with a tab, or two blanks more than the first, belong to it", () => {
  equal(heads("a", "\tb", "  c", "    d"), [0]);
  equal(heads("a", " b"), [0, 1]);
  equal(heads("  a", "  b", "   c", "     d"), [0, 1, 2]);
});

test("lines with a blank and a mark of a traceback belong to the line before", () => {
  for (const text of [
    " at f (a.js:1)",
    " | x",
    " + x",
    " --> a.rs:1",
    " ---> x",
    " ... 3",
    " = note: x",
  ]) {
    equal(heads("a", text), [0], text);
  }
});

test("an indented line that begins with a level in capitals is a separate event", () => {
  equal(heads("a", "      INFO     b", "      INFORMATIVE", "                c"), [0, 1, 2]);
});

test("a line belongs to none if it is late, has another prefix or a time, or is JSON", () => {
  equal(heads("a", ["  b", 0.999]), [0]);
  equal(heads("a", ["  b", 1]), [0, 1]);
  equal(heads("web-1  | a", "db-1   |   b"), [0, 1]);
  equal(heads("web-1  | a", "web-1  |   b", "web-1  | "), [0]);
  equal(heads("a", '  {"b":1}'), [0, 1]);
  equal(heads("a", "  02:25:25 b"), [0, 1]);
});

test("a group has at most 200 lines", () => {
  equal(heads("a", ...Array(450).fill("  b")), [0, 200, 400]);
});

test("the line that ends a traceback belongs to it, and the next does not", () => {
  equal(heads("Traceback (most recent call last):", '  File "a"', "Declined: x", "y"), [0, 3]);
  equal(heads("thread 'main' panicked at a.rs:1:2:", "index 7", "y"), [0, 2]);
  equal(heads("thread 'main' panicked at 'x', a.rs:1:2", "y"), [0, 1]);
});

test("functions of a goroutine belong to it", () => {
  equal(
    heads("panic: x", "", "goroutine 1 [running]:", "main.f(...)", "\ta.go:1", "exit 2"),
    [0, 5],
  );
  equal(heads("a", "main.f(...)"), [0, 1]);
});

test("the name of an exception belongs to the line before if it has a package or ends a group", () => {
  equal(heads("ERROR x", "java.io.IOException: y"), [0]);
  equal(heads("java.io.IOException: x", "java.io.IOException: y"), [0, 1]);
  equal(heads("a", "TypeError: x"), [0, 1]);
  equal(heads("/a.js:1", "    throw", "", "TypeError: x"), [0]);
});

test("the level below a date of java.util.logging belongs to it", () => {
  equal(heads("Nov 29, 2026 2:25:25 AM a.B c", "INFO: x", "WARNING: y"), [0, 2]);
  equal(heads("x", "INFO: y"), [0, 1]);
});

test("PostgreSQL's statement belongs to the error of the same process", () => {
  const at = "2026-11-29 02:25:25.123 UTC";
  equal(heads(`${at} [8] ERROR:  x`, `${at} [8] DETAIL:  y`, `${at} [8] a@b STATEMENT:  z`), [0]);
  equal(heads(`${at} [8] ERROR:  x`, `${at} [9] STATEMENT:  z`), [0, 1]);
  equal(heads(`${at} [8] ERROR:  x`, `${at} [8] LOG:  z`), [0, 1]);
});
