// An entry is one event as the page keeps it: exactly what came, and what was read from it.

"use strict";

import { readANSI } from "./line/ansi.js";
import { readLine } from "./line/line.js";

// Of an entry whatever its text: the objects that hold it.
const OVERHEAD = 200;

export function makeEntry(source, { type, data, id }, arrived, replayed) {
  const { text, styles } = readANSI(data);
  const line = readLine(text, { arrived, type });
  const size = data.length + OVERHEAD;
  return { source, type, id, data, arrived, replayed, text, styles, line, size };
}

// Its own time, else when it arrived; null for a replayed line without a time, whose arrival says
// nothing. In milliseconds.
export function timeOf(entry) {
  return entry.line.time?.at ?? (entry.replayed ? null : entry.arrived);
}
