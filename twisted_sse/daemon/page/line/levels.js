// The names that programs give to levels, and the order of the levels.

"use strict";

// From least to most severe.
export const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];

const NAMES = new Map(
  Object.entries({
    trace: "trace verbose finest finer trc vrb trce",
    debug: "debug dbg dbug fine",
    info: "info inf information notice noti note log success",
    warn: "warn warning wrn",
    error: "error err erro eror severe fail failed failure",
    fatal: "fatal critical crit alert emerg emergency panic ftl dpanic",
  }).flatMap(([level, names]) => names.split(" ").map((name) => [name, level])),
);

// Names that are also ordinary words: "Fine: 12 EUR", "Log: /var/log/shop".
const EVERYDAY = new Set("verbose finest finer fine trace note log success alert".split(" "));

// The levels of syslog, 0 to 7 (RFC 5424, section 6.2.1).
const SYSLOG = ["fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug"];

const LETTERS = new Map(
  Object.entries({ V: "trace", T: "trace", D: "debug", I: "info", W: "warn", E: "error" }),
).set("F", "fatal");

// The level for a name, or "". An offset as in Go's "WARN+1" is ignored.
export function levelOf(name) {
  const word = /^\s*([A-Za-z]{3,11})(?:[+-]\d+)?\s*$/.exec(name);
  return word === null ? "" : (NAMES.get(word[1].toLowerCase()) ?? "");
}

export function isEveryday(name) {
  return EVERYDAY.has(name.toLowerCase());
}

// The level for a letter, as klog, logcat and Ruby write it, or "".
export function levelOfLetter(letter) {
  return LETTERS.get(letter) ?? "";
}

// The level for a number of syslog, whose higher bits are the facility.
export function levelOfPriority(number) {
  return SYSLOG[number & 7];
}

// The level for an HTTP status: only failures have one.
export function levelOfStatus(status) {
  if (status >= 500 && status <= 599) {
    return "error";
  }
  return status >= 400 && status <= 499 ? "warn" : "";
}

// -1 if there is no level.
export function rank(level) {
  return LEVELS.indexOf(level);
}

export function worse(one, other) {
  return rank(one) >= rank(other) ? one : other;
}
