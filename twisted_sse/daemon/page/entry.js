// An entry is one event in memory: its original data, and the values read from it.

"use strict";

import { readANSI } from "./line/ansi.js";
import { readLine } from "./line/line.js";

// The size of the objects of an entry, apart from its text.
const OVERHEAD = 200;

export function makeEntry(source, { type, data, id }, arrived, replayed) {
  const { text, styles } = readANSI(data);
  const line = readLine(text, { arrived, type });
  const size = data.length + OVERHEAD;
  return { source, type, id, data, arrived, replayed, text, styles, line, size };
}

// The line's own time, else the time of arrival; null for a replayed line without a time, whose
// arrival means nothing. In milliseconds.
export function timeOf(entry) {
  return entry.line.time?.at ?? (entry.replayed ? null : entry.arrived);
}
