// The level of a line of text, by rules; the first rule that finds a level wins.

"use strict";

import { levelOf, levelOfLetter, levelOfStatus } from "./levels.js";
import { levelOfCut } from "./record.js";
import { findWord } from "./words.js";

// An address may be long, and in an access log, the status follows it.
const LONGEST_REQUEST = 4096;

const LEVEL_KEYS = new Set(["level", "lvl", "severity", "loglevel", "at"]);

// May precede the actual text: blanks, and signs such as ✖, │ and emoji.
const SIGNS = /[\s\p{So}\u2139\uFE0F\u200D\u203A\u2022\u2A2F]*/uy;

// Beginnings that report an uncaught error.
export const FAILURES = [
  { name: "Python", pattern: /(?:\+ Exception Group )?Traceback \(most/y },
  { name: "Java", pattern: /Exception in thread/y },
  { name: "Go", pattern: /panic: |http: panic |fatal error: /y },
  { name: "Rust", pattern: /thread '[^']*'(?: \(\d+\))? panicked at/y },
  {
    name: "Node.js, .NET",
    pattern: /\[?[Uu]nhandled ?(?:[Pp]romise ?)?(?:[Rr]ejection|[Ee]xception)/y,
  },
  { name: "Elixir", pattern: /\*\* \([A-Z]/y },
  { name: "make", pattern: /g?make(?:\[\d+\])?: \*\*\* /y },
  { name: "a class", pattern: /(?:Uncaught )?[\w.$\\/]+(?:Error|Exception)(?=:)/y },
];
// A host and a program, as syslog and the journal write them.
const PROGRAM = /[\w.-]{1,100} [\w./-]{1,100}\[\d+\]: /y;
// Ruby and others name the class at the end.
const CLASS_AT_END = /\([\w:.]*\w(?:Error|Exception)\)\s*$/;

const PHP =
  /(?:[A-Z]\w+\/\w+\] )?(?:PHP )?((?:Fatal|Parse) error|(?<=PHP )(?:Warning|Notice|Deprecated)): /y;
const LETTER = /(?:([EW]):|([VDIWEF])(?:!|\/[^(]{1,60}\( *\d+\):| \(\d+\) \w+:)) /y;
// Warnings of Python and Node.js.
const WARNING = /(?:\S+:\d+: |\(node:\d+\) (?:\[\w+\] )?)?(?:[A-Z]\w+)?Warning: /y;

function at(pattern, text, position) {
  pattern.lastIndex = position;
  return pattern.exec(text);
}

// Returns the position of the actual text.
export function afterSigns(text, position) {
  return position + at(SIGNS, text, position)[0].length;
}

// Each rule reads a line { text, start (the beginning of the text, long enough for most), body
// (where the actual text begins), head (see head.js), pairs (of logfmt), type (of the event) }, and
// returns a level or { level, start, end }, or "" or null.
export const RULES = [
  {
    name: "before the time",
    reason: "syslog's <34>, klog, INFO 2026-11-29 .., Ruby: see head.js",
    read: ({ head }) => head.level,
  },
  {
    name: "Redis",
    reason: "a sign between the time and the text",
    read({ text, head }) {
      const sign = head.isRedis && text[head.body + 1] === " " ? text[head.body] : "";
      const level = { ".": "debug", "-": "debug", "*": "info", "#": "warn" }[sign];
      return level && { level, start: head.body, end: head.body + 1 };
    },
  },
  {
    name: "letter after the time",
    reason: "lnav and others; I is left out, being a word",
    read({ text, head }) {
      const match = head.timeAt && at(/([DWEF]) /y, text, head.body);
      return match && { level: levelOfLetter(match[1]), start: head.body, end: head.body + 1 };
    },
  },
  {
    name: "logcat",
    reason: "Android: 11-29 02:25:25.123  812  830 E Tag: ..",
    read({ text, head }) {
      const match = head.form === "logcat" && at(/\d+ +\d+ ([VDIWEF]) /y, text, head.body);
      return match && levelOfLetter(match[1]);
    },
  },
  {
    name: "Twisted",
    reason: "[namespace#level]",
    read({ start, body }) {
      const match = at(/\[[\w.$<>-]+#([a-z]+)\]/y, start, body);
      return match && levelOf(match[1]);
    },
  },
  {
    name: "PHP",
    reason:
      "its own names; the name of a time zone may precede them: Europe/Berlin] PHP Warning: ..",
    read({ text, body }) {
      const match = at(PHP, text, body);
      const names = { "Fatal error": "fatal", "Parse error": "fatal", Warning: "warn" };
      return match && (names[match[1]] ?? "info");
    },
  },
  {
    name: "access log",
    reason: 'nginx, Apache, uvicorn: "GET / HTTP/1.1" 502',
    read({ text }) {
      const position = text.slice(0, LONGEST_REQUEST).indexOf(" HTTP/");
      const match = position < 0 ? null : at(/ HTTP\/\d(?:\.\d)?" (\d{3})(?!\d)/y, text, position);
      return match && levelOfStatus(Number(match[1]));
    },
  },
  {
    name: "short access log",
    reason: "morgan and Next.js: GET /orders 500 in 45ms",
    read({ start, body }) {
      const match = at(/[A-Z]{3,7} \/\S* (?:in )?(\d{3})(?![\w.])/y, start, body);
      return match && levelOfStatus(Number(match[1]));
    },
  },
  {
    name: "HAProxy",
    reason: "the status follows five timers",
    read({ start, head }) {
      const match = / -?\d+\/-?\d+\/-?\d+\/-?\d+\/\+?-?\d+ (\d{3}) /.exec(start.slice(head.body));
      return match && levelOfStatus(Number(match[1]));
    },
  },
  {
    name: "GIN",
    reason: "[GIN] 2026/11/29 - 02:25:25 | 502 | ..",
    read({ text, head }) {
      const match = at(/\[GIN\] [^|]{1,40}\| *(\d{3}) \|/y, text, head.start);
      return match && levelOfStatus(Number(match[1]));
    },
  },
  {
    name: "failure",
    reason: "an error that was not caught, as languages and tools write it",
    read({ text, start, body }) {
      const said = body + (at(PROGRAM, start, body)?.[0].length ?? 0);
      const isFailure = FAILURES.some(({ pattern }) => at(pattern, start, said) !== null);
      return isFailure || CLASS_AT_END.test(text.slice(-100)) ? "error" : "";
    },
  },
  {
    name: "logfmt",
    reason: 'level=info msg="..": before words, which may be in the message',
    read({ pairs }) {
      for (const { key, value, start, end } of pairs) {
        const level = LEVEL_KEYS.has(key.toLowerCase()) ? levelOf(value) : "";
        if (level !== "") {
          return { level, start, end, isPair: true };
        }
      }
      return null;
    },
  },
  {
    name: "letter first",
    reason: "apt: E: .., Telegraf: I! .., Android: W/Tag(  812): .., ESP-IDF: E (812) wifi: ..",
    read({ start, body }) {
      const match = at(LETTER, start, body);
      return match && levelOfLetter(match[1] ?? match[2]);
    },
  },
  {
    name: "warning",
    reason: "Python and Node.js: a.py:12: DeprecationWarning: .., (node:812) Warning: ..",
    read: ({ start, body }) => (at(WARNING, start, body) === null ? "" : "warn"),
  },
  {
    name: "cut JSON",
    reason: "an object that was cut, or that is written over several lines",
    read({ start, body }) {
      return '{"'.includes(start[body] ?? "\n") ? levelOfCut(start.slice(body)) : "";
    },
  },
  {
    name: "word",
    reason: "names of levels in the text: see words.js",
    read: ({ start, body }) => findWord(start, body),
  },
  {
    name: "event type",
    reason: "an event of the type error is one",
    read: ({ type }) => levelOf(type),
  },
];

// Returns { level, start, end, isPair }: the level, and its position if known.
export function readLevel(line) {
  for (const { read } of RULES) {
    const found = read(line);
    const level = typeof found === "string" ? found : found?.level;
    if (level) {
      return typeof found === "string" ? { level } : found;
    }
  }
  return { level: "" };
}
