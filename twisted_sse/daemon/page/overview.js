// The texts in the list of sources.

"use strict";

import { showAge } from "./clock.js";
import { readANSI } from "./line/ansi.js";
import { readLine } from "./line/line.js";
import { showRecord } from "./line/record.js";
import { showNumber } from "./numbers.js";

const KINDS = new Map([
  ["file", "File"],
  ["command", "Command"],
  ["python", "Python"],
]);

const LATELY = 5; // the rate is the mean of this many seconds

// "File · app.log", "Command · ping localhost"; "Standard input"
function showKind({ kind, label }) {
  const name = KINDS.get(kind);
  return name === undefined ? label : `${name} · ${label}`;
}

// [.., 12, 13, 11] -> "12/s"; "0.4/s", as rates below ten may have a decimal
function showRate(rates) {
  const newest = rates.slice(-LATELY);
  const rate = newest.reduce((sum, each) => sum + each, 0) / Math.max(1, newest.length);
  return `${rate >= 10 ? showNumber(rate) : Math.round(rate * 10) / 10}/s`;
}

// The line as the page of the source shows it: without escapes, time and level.
function showLine(data, at) {
  const { text } = readANSI(data);
  const line = readLine(text, { arrived: at, type: "message" });
  if (line.record !== null) {
    return showRecord(line.record, new Set()).text;
  }
  return line.pieces.map(([start, end]) => text.slice(start, end)).join("").trim();
}

// Converts an item of page/sources for display. A source whose clients each get their own events
// has neither lines nor a rate. now is the server's time.
export function describe(source, now) {
  const kind = showKind(source);
  if (source.rates === null) {
    const last = "Each client gets its own events; open it to see them.";
    return { kind, last, isLine: false, age: "", rate: "—", rates: null };
  }
  const { last, lastAt, rates } = source;
  const nothing = source.kind === "post" ? "No events yet" : "No lines yet";
  return {
    kind,
    // There may have been events that are no longer kept.
    last: last === null ? "" : showLine(last, lastAt ?? now),
    isLine: last !== null,
    age: lastAt !== null ? showAge(lastAt, now) : last === null ? nothing : "",
    rate: showRate(rates),
    rates,
  };
}
