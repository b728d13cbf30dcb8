// JSON objects: which keys are the level, the time and the message, and how the others are shown.

"use strict";

import { cut } from "./cut.js";
import { LEVELS, levelOf, levelOfPriority, levelOfStatus } from "./levels.js";
import { timeOfValue } from "./time.js";

const MOST_CHARACTERS = 100_000;
const MOST_PAIRS = 14;
const MOST_OF_A_VALUE = 200;

const LEVEL_KEYS = ["level", "lvl", "severity", "severitytext", "levelname", "loglevel", "@l"];
const TIME_KEYS = (
  "ts time timestamp @timestamp t @t datetime asctime timeunixnano timemillis " +
  "realtimetimestamp instant"
).split(" ");
const MESSAGE_KEYS = "msg message event text shortmessage body @m @mt".split(" ");
const REQUEST_KEYS = ["request", "method", "path", "uri", "url"];

const MONGODB = new Map(
  Object.entries({ F: "fatal", E: "error", W: "warn", I: "info" }).concat(
    ["D", "D1", "D2", "D3", "D4", "D5"].map((name) => [name, "debug"]),
  ),
);

// The keys of a record that became its level and its time, and are not shown again.
const taken = new WeakMap();

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Normalises keys: log.level, logLevel and LOG_LEVEL are the same.
function normalised(key) {
  return key.toLowerCase().replace(/[._-]/g, "");
}

// The actual keys of an object, by normalised key; the first of several equal ones.
function keysOf(record) {
  const keys = new Map();
  for (const key of Object.keys(record)) {
    const name = normalised(key);
    if (!keys.has(name)) {
      keys.set(name, key);
    }
  }
  return keys;
}

function levelOfNumber(number, keys) {
  if (keys.has("shortmessage") && number >= 0 && number <= 7) {
    return levelOfPriority(number);
  }
  // Bunyan's and pino's: ten per level.
  return number >= 10 && number < 70 ? LEVELS[Math.floor(number / 10) - 1] : "";
}

function levelOfValue(value, keys) {
  if (typeof value === "string") {
    return levelOf(value);
  }
  return typeof value === "number" ? levelOfNumber(value, keys) : "";
}

// Each rule returns the key of the level and the level, or null. In order.
export const LEVEL_RULES = [
  {
    name: "name or number",
    reason: "pino, zap, Serilog, Elastic, GELF: most loggers name the key that way",
    read(record, keys) {
      for (const name of LEVEL_KEYS) {
        const key = keys.get(name);
        const level = key === undefined ? "" : levelOfValue(record[key], keys);
        if (level !== "") {
          return { key, level };
        }
      }
      return null;
    },
  },
  {
    name: "nested",
    reason: "the Elastic Common Schema has log.level, which some write as an object",
    read(record, keys) {
      const key = keys.get("log");
      const level = isObject(record[key]) ? record[key].level : undefined;
      return typeof level === "string" ? { key: null, level: levelOf(level) } : null;
    },
  },
  {
    name: "PRIORITY",
    reason: "the journal's export has syslog's number",
    read(record, keys) {
      const key = keys.get("priority");
      const priority = /^[0-7]$/.test(String(plain(record[key]))) ? Number(record[key]) : NaN;
      return Number.isNaN(priority) ? null : { key, level: levelOfPriority(priority) };
    },
  },
  {
    name: "severityNumber",
    reason: "OpenTelemetry has four a level, and often no severityText",
    read(record, keys) {
      const key = keys.get("severitynumber");
      const number = Number(plain(record[key]));
      return number >= 1 && number <= 24 ? { key, level: LEVELS[Math.ceil(number / 4) - 1] } : null;
    },
  },
  {
    name: "MongoDB",
    reason: "s is the severity in its records, which have t and msg",
    read(record, keys) {
      const level = keys.has("t") && keys.has("msg") ? MONGODB.get(record.s) : undefined;
      return level === undefined ? null : { key: "s", level };
    },
  },
  {
    name: "CLEF",
    reason: "Serilog's compact format leaves @l out if it is Information",
    read(record, keys) {
      return keys.has("@t") ? { key: null, level: "info" } : null;
    },
  },
  {
    name: "status",
    reason: "access logs as JSON",
    read(record, keys) {
      const status = record[keys.get("status")];
      const isRequest = REQUEST_KEYS.some((name) => keys.has(name));
      return isRequest && typeof status === "number"
        ? { key: null, level: levelOfStatus(status) }
        : null;
    },
  },
];

// An object may have a toString of its own, and converting it may throw.
function plain(value) {
  return typeof value === "object" ? "" : value;
}

function timeIn(record, keys, arrived) {
  for (const name of TIME_KEYS) {
    const key = keys.get(name);
    const time = key === undefined ? null : timeOfValue(record[key], arrived);
    if (time !== null) {
      return { key, time };
    }
  }
  return null;
}

function parse(text) {
  if (text.length > MOST_CHARACTERS) {
    return null;
  }
  try {
    const value = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    // It only looks like an object: it is text.
    return null;
  }
}

function isDocker(record) {
  const { log, stream, time } = record;
  return [log, stream, time].every((each) => typeof each === "string");
}

// Reads a text that begins with "{". Returns null if it is not a JSON object, else { record, level,
// time, text }: text is the line inside a record of Docker, if that line is not JSON.
export function readRecord(text, arrived) {
  const outer = parse(text);
  if (outer === null) {
    return null;
  }
  const inner = isDocker(outer) && outer.log.startsWith("{") ? parse(outer.log) : null;
  const record = inner ?? outer;
  const keys = keysOf(record);
  const rule = LEVEL_RULES.map((each) => each.read(record, keys)).find((found) => found?.level);
  const time = timeIn(record, keys, arrived);
  taken.set(record, new Set([rule?.key, time?.key]));
  return {
    record,
    level: rule?.level ?? "",
    time: time?.time ?? (inner === null ? null : timeOfValue(outer.time, arrived)),
    text: inner === null && isDocker(outer) ? outer.log : null,
  };
}

// JSON that was cut off, or a line of an object that spans several.
const CUT = /"(?:level|lvl|severity|log\.level)"\s*:\s*"([A-Za-z]+)"/;

export function levelOfCut(text) {
  const match = CUT.exec(text);
  return match === null ? "" : levelOf(match[1]);
}

// A value as JSON.
export function toJSON(value) {
  try {
    return JSON.stringify(value);
  } catch {
    // Nested too deeply for the stack.
    return "{…}";
  }
}

function messageIn(record, keys) {
  const names = isDocker(record) ? [...MESSAGE_KEYS, "log"] : MESSAGE_KEYS;
  for (const name of names) {
    const key = keys.get(name);
    if (key !== undefined && record[key] !== null) {
      return { key, value: record[key] };
    }
  }
  const fields = record[keys.get("fields")];
  return isObject(fields) && typeof fields.message === "string"
    ? { key: "fields.message", value: fields.message }
    : null;
}

function messageText(value) {
  if (isObject(value) && typeof value.stringValue === "string") {
    return value.stringValue;
  }
  return typeof value === "object" ? toJSON(value) : String(value).trimEnd();
}

function shorten(text) {
  return text.length > MOST_OF_A_VALUE ? `${cut(text, MOST_OF_A_VALUE)}…` : text;
}

// The text for a value of a pair, and its role.
function shown(value) {
  if (typeof value === "string") {
    const start = shorten(value);
    return [/[\s"=]|^$/.test(start) ? JSON.stringify(start) : start, "string"];
  }
  if (typeof value === "number" || typeof value === "boolean") {
    return [String(value), "number"];
  }
  if (Array.isArray(value)) {
    return [`[${value.length}]`, "other"];
  }
  return [value === null ? "null" : "{…}", "other"];
}

// The text for a key in its own column, and its role; an empty text if the record does not have the
// key.
export function showColumn(record, key) {
  if (!Object.hasOwn(record, key)) {
    return { text: "", role: "other" };
  }
  const value = record[key];
  const [text, role] = typeof value === "string" ? [shorten(value), "string"] : shown(value);
  return { text, role };
}

// A record as one line: its message, and then key=value, without the level, the time and the
// columns (a Set of keys). Returns { text, parts }; the parts { start, end, role, key }
// cover the message, the keys and the values, a role being "key", "number", "string" or "other".
export function showRecord(record, without) {
  const parts = [];
  let text = "";
  function add(more, role, key) {
    parts.push({ start: text.length, end: text.length + more.length, role, key });
    text += more;
  }
  const message = messageIn(record, keysOf(record));
  if (message !== null) {
    add(messageText(message.value), "other", message.key);
  }
  const hidden = taken.get(record) ?? new Set();
  let count = 0;
  for (const key of Object.keys(record)) {
    if (key === message?.key || hidden.has(key) || without.has(key)) {
      continue;
    }
    if (count === MOST_PAIRS) {
      text += " …";
      break;
    }
    if (text !== "") {
      text += count === 0 ? "  " : " ";
    }
    const [value, role] = shown(record[key]);
    add(`${shorten(key)}=`, "key", key);
    add(value, role, key);
    count++;
  }
  return { text, parts };
}
