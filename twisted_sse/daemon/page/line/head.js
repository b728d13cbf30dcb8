// The part of a line before its message: a prefix, the time, and a level before the time.

"use strict";

import { levelOf, levelOfLetter, levelOfPriority } from "./levels.js";
import { readKlogTime, readTime } from "./time.js";

// "web-1  | " of Compose, "[pod/shop-1/app] " of kubectl.
const PREFIX = /(?:[A-Za-z][\w.@/-]{0,99} *\| |\[pod\/[^\]\s]{1,200}\] )/y;

// A level in CAPITALS or in brackets, then at most one thread in brackets.
const LEVEL = /(\[ *)?([A-Za-z]{3,11})(?: *\])?:?[ \t]+(\[[^\]]{0,99}\] +)?/y;
const BLANKS = /[ \t]*/y;
// May stand between a time and the text after it.
const SEPARATOR = /[ \t]*(?:(?:[:,|]|-{1,2})(?=[ \t]))?[ \t]*/y;

function matchAt(pattern, text, position) {
  pattern.lastIndex = position;
  return pattern.exec(text);
}

// Each rule recognises a text before a time, in a line after its prefix. It returns null, or
// { timeFrom, level, levelAt }: the position where the time (or its bracket) must begin, and the
// level in that text.
export const OPENERS = [
  {
    name: "priority",
    reason: "syslog over the network: <34>Nov 29 .., <34>1 2026-11-29T..",
    first: "<",
    read(text, start) {
      const match = matchAt(/<(\d{1,3})>(?:1 )?/y, text, start);
      if (match === null || Number(match[1]) > 191) {
        return null;
      }
      const end = start + match[0].length;
      const level = levelOfPriority(Number(match[1]));
      return { timeFrom: end, level, levelAt: [start, end], alone: true };
    },
  },
  {
    name: "klog",
    reason: "Kubernetes, glog, CockroachDB: E1129 02:25:25.123",
    first: "IWEFD",
    read(text, start, arrived) {
      if (!/^\d{4}/.test(text.slice(start + 1, start + 5))) {
        return null;
      }
      const time = readKlogTime(text, start + 1, arrived);
      const level = levelOfLetter(text[start]);
      return { timeFrom: start + 1, time, level, levelAt: [start, start + 1] };
    },
  },
  {
    name: "letter before the bracket",
    reason:
      "Ruby's logger: W, [2026-11-29T02:25:25.123456 #7]  WARN -- : .., CUPS: E [29/Nov/2026:..",
    first: "DIWEFA",
    read(text, start) {
      const match = matchAt(/[DIWEFA],? (?=\[)/y, text, start);
      const end = start + (match?.[0].length ?? 0);
      const level = levelOfLetter(text[start]);
      return match && { timeFrom: end, level, levelAt: [start, end] };
    },
  },
  {
    name: "letter in the bracket",
    reason: "Tornado and Jupyter: [W 2026-11-29 02:25:25.123 ServerApp] ..",
    first: "[",
    read(text, start) {
      const match = matchAt(/\[([DIWEF]) (?=\d)/y, text, start);
      const level = match === null ? "" : levelOfLetter(match[1]);
      return level && { timeFrom: start + 3, level, levelAt: [start, start + 3], bracketed: true };
    },
  },
  {
    name: "level first",
    reason: "INFO 2026-11-29 02:25:25,123 .., DEBUG [thread] 2026-.., [info] 02:25:25 ..",
    first: "[ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    read(text, start) {
      const match = matchAt(LEVEL, text, start);
      if (match === null) {
        return null;
      }
      const [all, bracket, word, thread = ""] = match;
      const level = levelOf(word);
      if (level === "" || (bracket === undefined && word !== word.toUpperCase())) {
        return null;
      }
      const end = start + all.length;
      return { timeFrom: end, level, levelAt: [start, end - thread.length] };
    },
  },
  {
    name: "name",
    reason:
      "a program or a process in brackets, which stays: [Nest] 812  - 11/29/2026, .., [7] of NATS",
    first: "[",
    read(text, start) {
      const match = matchAt(/\[[\w.-]{1,40}\] (?:\d{1,10} +- )?(?=\d)/y, text, start);
      return match && { timeFrom: start + match[0].length };
    },
  },
  {
    name: "process",
    reason:
      "a process, which stays: 7:M 29 Nov 2026 02:25:25.123 * .. of Redis, 812 02:25:25 of strace",
    first: "0123456789",
    read(text, start) {
      const match = matchAt(/\d{1,10}(:[XCSM])? +(?=\d)/y, text, start);
      return match && { timeFrom: start + match[0].length, isRedis: match[1] !== undefined };
    },
  },
];

// The range of a time at the start: from its bracket through the separator before the text.
function readOpened(text, opened, arrived) {
  const hasBracket = text[opened.timeFrom] === "[";
  const start = opened.timeFrom + (hasBracket ? 1 : 0);
  const found = opened.time ?? readTime(text, start, arrived);
  if (!found) {
    return null;
  }
  let end = found.end;
  if (opened.levelAt && text.startsWith(" #", end)) {
    // Ruby's process.
    end += /^ #\d{1,10}\]/.exec(text.slice(end, end + 14))?.[0].length ?? 0;
  } else if ((hasBracket || opened.bracketed) && text[end] === "]") {
    end++;
  }
  // Redis has a sign for its level there.
  const separator = matchAt(opened.isRedis ? BLANKS : SEPARATOR, text, end);
  return {
    time: found.time,
    form: found.form,
    timeAt: [opened.timeFrom, end + separator[0].length],
    level: opened.level ?? "",
    levelAt: opened.levelAt ?? null,
    isRedis: opened.isRedis === true,
  };
}

// Reads the head of a line: { prefix, start (of the line after the prefix), body (where the message
// begins), time, form, timeAt, level (if it stands before the time), levelAt, isRedis }.
export function readHead(text, arrived) {
  const match = matchAt(PREFIX, text, 0);
  // "INFO | .." is not a service.
  const prefix = match === null || levelOf(match[0].replace("|", "")) ? "" : match[0];
  const start = prefix.length + matchAt(BLANKS, text, prefix.length)[0].length;
  const none = { time: null, form: "", timeAt: null, level: "", levelAt: null, isRedis: false };
  const head = { prefix, start, body: start, ...none };
  const plain = readOpened(text, { timeFrom: start }, arrived);
  if (plain !== null) {
    return { ...head, ...plain, body: plain.timeAt[1] };
  }
  for (const { first, read } of OPENERS) {
    const opened = first.includes(text[start] ?? "\n") ? read(text, start, arrived) : null;
    if (!opened) {
      continue;
    }
    const found = readOpened(text, opened, arrived);
    if (found !== null) {
      return { ...head, ...found, body: found.timeAt[1] };
    }
    if (opened.alone) {
      return { ...head, body: opened.timeFrom, level: opened.level, levelAt: opened.levelAt };
    }
  }
  return head;
}
