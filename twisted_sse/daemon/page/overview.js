// What the index says of a source.

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

const LATELY = 5; // seconds whose mean is the rate

// "File · app.log", "Command · ping localhost"; "Standard input"
function showKind({ kind, label }) {
  const name = KINDS.get(kind);
  return name === undefined ? label : `${name} · ${label}`;
}

// [.., 12, 13, 11] -> "12/s"; "0.4/s", for a rate of less than ten is not a whole number
function showRate(rates) {
  const newest = rates.slice(-LATELY);
  const rate = newest.reduce((sum, each) => sum + each, 0) / Math.max(1, newest.length);
  return `${rate >= 10 ? showNumber(rate) : Math.round(rate * 10) / 10}/s`;
}

// The line as it is in a list: without escapes, and without what has a column of its own there.
function showLine(data, at) {
  const { text } = readANSI(data);
  const line = readLine(text, { arrived: at, type: "message" });
  if (line.record !== null) {
    return showRecord(line.record, new Set()).text;
  }
  return line.pieces.map(([start, end]) => text.slice(start, end)).join("").trim();
}

// An item of page/sources -> what is shown. A source whose clients each get their own events has
// neither lines nor a rate. Now is by the server's clock.
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
    // There may have been some that are no longer kept.
    last: last === null ? "" : showLine(last, lastAt ?? now),
    isLine: last !== null,
    age: lastAt !== null ? showAge(lastAt, now) : last === null ? nothing : "",
    rate: showRate(rates),
    rates,
  };
}
