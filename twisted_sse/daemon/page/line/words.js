// Names of levels in the text of a line: a name is a level only in certain places.

"use strict";

import { isEveryday, levelOf } from "./levels.js";

// Only the beginning of a text matters.
const REACH = 100;

// The places. In each, the text before the name and the text after it must match. Everyday words
// must be in CAPITALS unless `everyday`.
export const PLACES = [
  {
    name: "start",
    reason:
      "error: .., WARNING:root:.., error[E0425]: .., and the same after host and program[pid]:",
    before:
      /^(?:(?:[\w.-]+ )?(?:(?:[\w./-]+:|[\w./-]*(?:\[[^\]]*\]|\([^)]*\)|<[^>]*>)+:?) ){1,3})?$/,
    after: /^(?:\d? ?:|\]| -[\s-]| \||\[[\w.-]*\]:)/,
  },
  {
    name: "column",
    reason: "zap, Istio: info, then a tab or several blanks",
    before: /^$/,
    after: /^(?:\t| {2})/,
  },
  {
    name: "bars",
    reason: "2026-11-29|Warn|Import, n=ansible | fatal: .., 0|api | info: .. of pm2",
    before: /\| ?$/,
    after: /^(?::| ?\|)/,
  },
  {
    name: "square brackets",
    reason: "[error], [ OK ], [error    ] of structlog, [mpm_event:notice] of Apache, ##[error]",
    before: /(?<![\w[])\[(?:[\w.-]+:)? *$/,
    after: /^ *\]/,
    everyday: true,
  },
  {
    name: "angle and round brackets",
    reason: "<Information> of ClickHouse, (warning); not f(error) of a program",
    before: /(?<!\w)[<(] *$/,
    after: /^ *[>)]/,
  },
  {
    name: "capitals",
    reason: "most programs write a level in capitals between blanks or signs",
    before: /(?:^|[\s[\]()<>|:,!"])$/,
    after: /^(?:$|[\s[\]()<>|:,!"])/,
    capitals: true,
  },
  {
    name: "thread",
    reason: "[Server thread/WARN]: of Minecraft",
    before: /\[[^\]]*\/$/,
    after: /^\]/,
    capitals: true,
  },
  {
    name: "process",
    reason: "WARNING/ForkPoolWorker-2] of Celery",
    before: /^$/,
    after: /^\/[\w-]+\]/,
    capitals: true,
  },
  {
    name: "channel",
    reason: "production.ERROR: of Monolog and Laravel",
    before: /^[\w-]+\.$/,
    after: /^:/,
    capitals: true,
  },
  {
    name: "npm, CMake",
    reason: "npm ERR! code .., npm warn .., CMake Error at ..",
    before: /^(?:npm|CMake) $/,
    after: /^[!\s(:]/,
    everyday: true,
  },
  {
    name: "place in a file",
    reason: "compilers: app.c:1:2: error: .., app.ts(1,2): error TS1: .., 1:2  error ..",
    before:
      /^(?:[A-Za-z]:)?[^\s:(]*(?:(?::\d+){1,2}(?::| -)|\(\d+(?:,\d+)*\) ?:) +$|^\d+:\d+ {2,}$/,
    after: /^(?::| {2}| [A-Z]+\d+:)/,
  },
  {
    name: "facility",
    reason: "kern  :warn  : .. of dmesg -x",
    before: /^[a-z0-9]+ *:$/,
    after: /^ *: /,
    everyday: true,
  },
  {
    name: "workflow command",
    reason: "::error file=.. of GitHub Actions",
    before: /^::$/,
    after: /^(?: |::)/,
    everyday: true,
  },
];

// Finds the first name that is a level: { level, start, end } with positions in the text, or null.
export function findWord(text, start) {
  const head = text.slice(start, start + REACH);
  for (const match of head.matchAll(/[A-Za-z]{3,}/g)) {
    const word = match[0];
    const level = levelOf(word);
    if (level === "") {
      continue;
    }
    const capitals = word === word.toUpperCase();
    const before = head.slice(0, match.index);
    const end = match.index + word.length;
    const after = text.slice(start + end, start + end + REACH);
    const isPlaced = PLACES.some(
      (each) =>
        (capitals || !(each.capitals || (isEveryday(word) && !each.everyday))) &&
        each.before.test(before) &&
        each.after.test(after),
    );
    if (isPlaced) {
      return { level, start: start + match.index, end: start + end };
    }
  }
  return null;
}
