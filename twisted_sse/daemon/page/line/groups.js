// Decides which lines belong to the one before: those of a traceback, a paragraph, a statement.

"use strict";

import { levelOf } from "./levels.js";

const SOON = 1000;
const MOST_LINES = 200;
// Only the beginning of a line matters.
const REACH = 200;

const CLASS = /^(?:[\w$]+[.:\\/]+)*[A-Z][\w$]*(?:Exception|Error|Throwable)(?=:|\s*$)/;
const DOTTED_CLASS = /^(?:[\w$]+[.:\\/]+)+[A-Z][\w$]*(?:Exception|Error|Throwable)(?=:|\s*$)/;

// Beginnings of unindented lines that belong to the one before.
export const CONTINUATIONS = [
  {
    name: "Python",
    pattern: /^(?:Traceback \(most|During handling of the above|The above exception was)/,
  },
  { name: "Java", pattern: /^(?:Caused by:|\.\.\. \d+ )/ },
  { name: "Go", pattern: /^(?:goroutine \d+|created by )/ },
  { name: "PHP", pattern: /^(?:Stack trace:|\[stacktrace\]|#\d+ )/ },
  { name: "Rust", pattern: /^(?:stack (?:backtrace|traceback):|note: run with )/ },
  { name: "Elixir", pattern: /^\*\* \(/ },
  { name: "code", pattern: /^(?:> ?)?\d+ \| / },
  { name: "a box", pattern: /^[\u2500-\u257f]/ },
  { name: "closing brackets", pattern: /^["')\]},;\s]+$/ },
];

// java.util.logging writes the level below the date.
const JUL = /^[A-Z][a-z]{2} \d\d?, \d{4},? \d\d?:\d\d:\d\d/;
const BELOW = /^[ \t]*(?:at |\||\+|--+>|\.\.\.|= )/;
const STATEMENT = /^(\[\d+\]) (?:.{0,80} )?(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY): /;
const PROCESS = /^\[\d+\]/;

function indentOf(text) {
  return /^ */.exec(text)[0].length;
}

// Whether an indented line is separate, like Rich's "  INFO  x".
function beginsWithLevel(text) {
  const word = /^\s*([A-Z]{3,11})(?![\w])/.exec(text);
  return word !== null && levelOf(word[1]) !== "";
}

// The groups of one source. Pass it each line once, in order.
export class Groups {
  #head = null;
  #last = 0;
  #count = 0;
  // The expected next line: the last line of a traceback, or the frames of a goroutine.
  #awaits = "";

  // Whether a line belongs to the one before; `line` is readLine's result for the text, and
  // `arrived` the time of arrival, in milliseconds.
  belongs(text, line, arrived) {
    const start = text.slice(line.prefix.length, line.prefix.length + REACH);
    const isEmpty = text.length === line.prefix.length || text.trim() === line.prefix.trim();
    const belongs = this.#head !== null && this.#continues(start, isEmpty, line, arrived);
    const isFull = this.#count === MOST_LINES;
    if (belongs) {
      // The next group continues like this one: an indented line is not compared with itself.
      this.#count = isFull ? 1 : this.#count + 1;
    } else {
      const message = text.slice(line.timeAt?.[1] ?? line.prefix.length).slice(0, REACH);
      this.#head = { line, indent: indentOf(start), message, isJUL: JUL.test(start) };
      this.#count = 1;
      this.#awaits = "";
    }
    if (!isEmpty) {
      this.#last = arrived;
      this.#expect(start);
    }
    return belongs && !isFull;
  }

  #continues(start, isEmpty, line, arrived) {
    const head = this.#head;
    if (isEmpty) {
      return true;
    }
    if (arrived - this.#last >= SOON || line.prefix !== head.line.prefix) {
      return false;
    }
    if (line.record !== null) {
      return false;
    }
    if (line.time !== null) {
      return this.#isStatement(start, line);
    }
    if (/^\s/.test(start) && !beginsWithLevel(start)) {
      return start[0] === "\t" || indentOf(start) >= head.indent + 2 || BELOW.test(start);
    }
    return this.#isExpected(start) || this.#isContinuation(start);
  }

  // PostgreSQL writes the statement of an error as a line with its own time.
  #isStatement(start, line) {
    if (line.timeAt === null) {
      return false;
    }
    const process = STATEMENT.exec(start.slice(line.timeAt[1] - line.prefix.length))?.[1];
    return process !== undefined && process === PROCESS.exec(this.#head.message)?.[0];
  }

  #isExpected(start) {
    switch (this.#awaits) {
      case "the error":
        return true;
      case "functions":
        return /^[\w.*()/[\]{}$-]+\(.*\)$/.test(start);
      default:
        return false;
    }
  }

  #isContinuation(start) {
    if (this.#count === 1 && this.#head.isJUL && levelOf(/^[A-Z]+(?=: )/.exec(start)?.[0] ?? "")) {
      return true;
    }
    return (
      CONTINUATIONS.some(({ pattern }) => pattern.test(start)) ||
      (DOTTED_CLASS.test(start) && !CLASS.test(this.#head.message)) ||
      ((this.#count > 1 || this.#head.indent > 0) && CLASS.test(start))
    );
  }

  #expect(start) {
    if (
      /^Traceback \(most/.test(start) ||
      /^thread '[^']*'(?: \(\d+\))? panicked at .*:$/.test(start)
    ) {
      this.#awaits = "the error";
    } else if (/^goroutine \d/.test(start)) {
      this.#awaits = "functions";
    } else if (this.#awaits === "the error" && !/^\s/.test(start)) {
      this.#awaits = "";
    }
  }
}
