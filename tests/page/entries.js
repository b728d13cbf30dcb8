// Entries and groups as the page makes them.

"use strict";

import { readANSI } from "../../twisted_sse/daemon/page/line/ansi.js";
import { readLine } from "../../twisted_sse/daemon/page/line/line.js";

const ARRIVED = Date.UTC(2026, 10, 29, 12);

export function entryOf(data, { source = "/log", type = "message", id = "" } = {}) {
  const { text, styles } = readANSI(data);
  const line = readLine(text, { arrived: ARRIVED, type });
  return { source, type, id, data, arrived: ARRIVED, replayed: false, text, styles, line };
}

// A group of lines, with the level of its head.
export function groupOf(...lines) {
  const entries = lines.map((line) => (typeof line === "string" ? entryOf(line) : line));
  return { entries, level: entries[0].line.level };
}

// The row of an entry.
export function rowOf(entry) {
  const text = entry.line.pieces.map(([start, end]) => entry.text.slice(start, end)).join("");
  return { text, parts: null, entry };
}
