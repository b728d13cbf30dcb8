// The values of a key in a line: from JSON, logfmt or an access log.

"use strict";

import { readPairs } from "../line/logfmt.js";
import { fold } from "./fold.js";
import { asNumber } from "./query.js";

const METHOD = "(?<method>[A-Z]{3,16})";
const STATUS = "(?<status>[1-5]\\d\\d)";
const ACCESS = [
  // "GET /path HTTP/1.1" 200: Apache, nginx, uvicorn ..
  `"${METHOD} (?<path>[^\\s"]+)(?: HTTP/[\\d.]+)?" ${STATUS}(?!\\S)`,
  // five timers, 200, .. "GET /path HTTP/1.1": HAProxy
  ` -?\\d+(?:/[-+]?\\d+){4} ${STATUS} [^"]{1,300}"${METHOD} (?<path>[^\\s"]+)`,
  // | 200 | 1.2ms | 192.0.2.7 | GET "/path": Gin
  `\\| *${STATUS} \\|[^|]*\\|[^|]*\\| *${METHOD} +"(?<path>[^"]*)"`,
  // GET /path 200, GET /path in 200: morgan, Next.js
  `(?<!\\S)${METHOD} (?<path>/\\S*) (?:in )?${STATUS}(?!\\S)`,
].map((source) => new RegExp(source, "d"));
const ACCESS_KEYS = ["status", "method", "path"];
const MOST_OF_ACCESS = 10000; // characters of a line that are searched

// All values of a folded key in an object. The key may be a path: "a.b" is the key "a.b", or "b" in
// the value of "a".
function ofRecord(record, key) {
  const values = [];
  const open = [[record, key]];
  while (open.length > 0) {
    const [object, rest] = open.pop();
    for (const name of Object.keys(object)) {
      if (name.length > rest.length) {
        continue;
      }
      const folded = rest.startsWith(name) ? name : fold(name);
      if (folded === rest) {
        values.push(object[name]);
      } else if (rest[folded.length] === "." && rest.startsWith(folded)) {
        const value = object[name];
        if (typeof value === "object" && value !== null) {
          open.push([value, rest.slice(folded.length + 1)]);
        }
      }
    }
  }
  return values;
}

function readAccess(text) {
  const part = text.slice(0, MOST_OF_ACCESS);
  for (const expression of ACCESS) {
    const found = expression.exec(part);
    if (found !== null) {
      return found;
    }
  }
  return null;
}

// The values in a text that is not JSON, as {value, start, end}.
export function* valuesInText(text, folded, key) {
  if (folded.includes(`${key}=`)) {
    for (const pair of readPairs(text)) {
      if (pair.key.length === key.length && fold(pair.key) === key) {
        yield { value: pair.value, start: pair.valueStart, end: pair.end };
      }
    }
  }
  if (ACCESS_KEYS.includes(key)) {
    const found = readAccess(text);
    if (found !== null) {
      const [start, end] = found.indices.groups[key];
      yield { value: found.groups[key], start, end };
      const query = key === "path" ? found.groups.path.search(/[?#]/) : -1;
      if (query >= 0) {
        yield { value: found.groups.path.slice(0, query), start, end: start + query };
      }
    }
  }
}

// Whether a value is one of those in the term.
export function isAsked(values, value) {
  if (Array.isArray(value)) {
    return value.some((each) => !Array.isArray(each) && isAsked(values, each)) || hasAny(values);
  }
  if (typeof value === "object" && value !== null) {
    return hasAny(values);
  }
  const text = String(value);
  return values.some((asked) => {
    switch (asked.operator) {
      case "=":
        return fold(text) === asked.text || (typeof value === "number" && value === asked.number);
      case "*":
        return fold(text).startsWith(asked.text);
      default:
        return Number.isNaN(asked.number)
          ? fold(text) === asked.operator + asked.text
          : compare(asNumber(text), asked.operator, asked.number);
    }
  });
}

// key:* matches any value.
function hasAny(values) {
  return values.some(({ operator, text }) => operator === "*" && text === "");
}

export function compare(one, operator, other) {
  switch (operator) {
    case ">":
      return one > other;
    case ">=":
      return one >= other;
    case "<":
      return one < other;
    default:
      return one <= other;
  }
}

// Whether a line has one of the values of a term {key, values}.
export function hasField(entry, folded, { key, values }) {
  const record = entry.line.record;
  if (record !== null) {
    for (const value of ofRecord(record, key)) {
      if (isAsked(values, value)) {
        return true;
      }
    }
    return false;
  }
  for (const { value } of valuesInText(entry.text, folded, key)) {
    if (isAsked(values, value)) {
      return true;
    }
  }
  return false;
}
