// Reads one line: its level, its time, and its message.

"use strict";

import { readHead } from "./head.js";
import { levelOf } from "./levels.js";
import { readPairs } from "./logfmt.js";
import { readRecord } from "./record.js";
import { afterSigns, readLevel } from "./severity.js";
import { findTime, timeOfValue } from "./time.js";

// The characters of a line that most rules look at.
const REACH = 400;
const TIME_KEYS = new Set("ts time timestamp @timestamp t @t datetime asctime instant".split(" "));

// A level directly at the time or at the start, with its delimiters.
const LEADING = new RegExp(
  [
    String.raw`([[<(|] *)?`,
    String.raw`([A-Za-z]{1,11}|[.*#-](?= ))(?=[\s\])>:|/]|$)`,
    String.raw`(?: *[\])>]|/(?=\S))?`,
    String.raw`(?:[ \t]*(?:[:|]|--?(?=\s)(?: :)?))?[ \t]*`,
  ].join(""),
  "y",
);

function timeInPairs(pairs, arrived) {
  for (const { key, value, start, end } of pairs) {
    const time = TIME_KEYS.has(key.toLowerCase()) ? timeOfValue(value, arrived) : null;
    if (time !== null) {
      return { time, start, end };
    }
  }
  return null;
}

// A pair with the blank that separates it from its neighbours.
function withBlank(text, { start, end }, from) {
  if (text[end] === " ") {
    return [start, end + 1];
  }
  return start > from && text[start - 1] === " " ? [start - 1, end] : [start, end];
}

// The parts of a text that were not moved to other cells.
function piecesOf(text, moved) {
  const pieces = [];
  let position = 0;
  for (const [start, end] of moved.sort((one, other) => one[0] - other[0])) {
    if (start > position) {
      pieces.push([position, start]);
    }
    position = Math.max(position, end);
  }
  if (position < text.length || pieces.length === 0) {
    pieces.push([position, text.length]);
  }
  return pieces;
}

// The range of a level at the beginning of the message, or null.
function leadingLevel(text, head, found) {
  LEADING.lastIndex = head.body;
  const match = found.level === "" ? null : LEADING.exec(text);
  if (match === null) {
    return null;
  }
  const [all, opened = "", word] = match;
  const start = head.body + opened.length;
  const isFound = found.start === start && found.end === start + word.length;
  // A level before the time may be repeated after it: Ruby's "W, [..]  WARN -- : ".
  const isRepeated =
    head.level !== "" && word === word.toUpperCase() && levelOf(word) === found.level;
  return isFound || isRepeated ? [head.body, head.body + all.length] : null;
}

function readJSON(text, head, { arrived, type }) {
  const found = readRecord(text.slice(head.body), arrived);
  if (found === null) {
    return null;
  }
  // Docker's record of a line that is not JSON itself.
  const inner = found.text === null ? null : readLine(found.text, { arrived, type });
  return {
    level: found.level || inner?.level || head.level || levelOf(type),
    time: inner?.time ?? found.time ?? head.time,
    timeAt: null,
    levelAt: null,
    pieces: [[0, text.length]],
    record: found.record,
    prefix: head.prefix,
  };
}

// Reads a line without escapes. `arrived` is the time of arrival, in milliseconds since 1970, and
// `type` the type of its event. Returns
//   level     its name in levels.js, or ""
//   time      the result of time.js, or null
//   timeAt, levelAt    [start, end] of the text moved to the cells of time and level, or null
//   pieces    [[start, end], ..] of the message; for JSON, the whole text
//   record    the JSON object, or null
//   prefix    the text before the line itself, such as "web-1  | ", or ""
export function readLine(text, { arrived, type = "message" }) {
  const head = readHead(text, arrived);
  if (text[head.body] === "{") {
    const line = readJSON(text, head, { arrived, type });
    if (line !== null) {
      return line;
    }
  }
  const start = text.slice(0, head.body + REACH);
  const pairs = start.includes("=", head.body) ? readPairs(start, head.body) : [];
  const found = readLevel({ text, start, body: afterSigns(start, head.body), head, type, pairs });
  const pair = head.time === null ? timeInPairs(pairs, arrived) : null;
  const time = head.time ?? pair?.time ?? findTime(text, arrived);

  const isLogfmt = pairs.length > 0 && pairs[0].start === head.body;
  function movedPair(each) {
    return isLogfmt && each ? withBlank(text, each, head.body) : null;
  }
  const timeAt = head.timeAt ?? movedPair(pair);
  const leading = leadingLevel(text, head, found);
  const levelAt = leading ?? head.levelAt ?? movedPair(found.isPair ? found : null);
  const moved = [head.levelAt, timeAt, levelAt].filter((each) => each !== null);
  if (moved.some(([first]) => first === head.start)) {
    // Blanks before a moved part no longer indent anything.
    moved.push([head.prefix.length, head.start]);
  }
  return {
    level: found.level,
    time,
    timeAt,
    levelAt,
    pieces: piecesOf(text, moved),
    record: null,
    prefix: head.prefix,
  };
}
