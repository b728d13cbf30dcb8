// Reads the vectors of log lines as the page reads the lines of a source, and compares.

"use strict";

import { Groups } from "../../twisted_sse/daemon/page/line/groups.js";
import { worse } from "../../twisted_sse/daemon/page/line/levels.js";
import { readLine } from "../../twisted_sse/daemon/page/line/line.js";
import { showRecord } from "../../twisted_sse/daemon/page/line/record.js";
import { plain } from "./escapes.js";
import { readVectors } from "./vectors.js";

// When the lines of the vectors arrived. Times without a zone are in the browser's, and so is this one.
export const ARRIVED = new Date(2026, 10, 29, 2, 25, 30).getTime();

// The expected time of a vector: as written, or read in the zone of the browser.
function wanted(iso, zoned) {
  const at = Date.parse(iso);
  if (zoned) {
    return at;
  }
  const date = new Date(at);
  return new Date(
    ...[date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCHours()],
    ...[date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds()],
  ).getTime();
}

function isTime(time, iso) {
  if (time === null || iso === null) {
    return time === null && iso === null;
  }
  return Math.abs(time.at - wanted(iso, time.zoned)) < 1;
}

function messageOf(text, line) {
  return line.record === null
    ? line.pieces.map(([start, end]) => text.slice(start, end)).join("")
    : line.prefix + showRecord(line.record, new Set()).text;
}

// Bidirectional controls are text here; the page shows them as escapes.
function withControls(text) {
  return text.replace(/\\u(20[0-9a-f]{2})/g, (_, code) => String.fromCharCode(`0x${code}`));
}

// Returns which of "level", "time", "groups" and "message" differ from the vector.
export function wrongIn(vector) {
  const groups = new Groups();
  const heads = [];
  const [first] = vector.lines.map((data, index) => {
    const text = plain(data);
    const line = readLine(text, { arrived: ARRIVED, type: vector.type ?? "message" });
    if (groups.belongs(text, line, ARRIVED)) {
      heads.at(-1).worst = worse(heads.at(-1).worst, line.level);
    } else {
      heads.push({ index, level: line.level, worst: line.level });
    }
    return { text, line };
  });
  const levels = heads.map(({ level, worst }) => level || worst || null);
  const starts = heads.map(({ index }) => index);
  const right = {
    level: vector.levels ? String(levels) === String(vector.levels) : levels[0] === vector.level,
    time: isTime(first.line.time, vector.time),
    groups: String(starts) === String(vector.starts ?? [...vector.lines.keys()]),
    message:
      vector.message === undefined ||
      messageOf(first.text, first.line) === withControls(vector.message),
  };
  return Object.keys(right).filter((what) => !right[what]);
}

export const GIVEN = await readVectors("loglines.json");
export const MORE = await readVectors("loglines-more.json");
export const ALL = [...GIVEN, ...MORE];
