// Downloads events: the exact text, or with all that is known about them.

"use strict";

import { timeOf } from "./entry.js";
import { cut } from "./line/cut.js";

const KEPT = 60000; // milliseconds, after which the browser has certainly begun to read the file

// The data of the events, each ending with LF.
export function asText(entries) {
  return entries.map((entry) => `${entry.data}\n`).join("");
}

// ISO 8601 in UTC; null for null.
function write(at) {
  return at === null ? null : new Date(Math.floor(at)).toISOString();
}

// JSON Lines; each object has the same six keys, null if the event has no such value.
export function asJSONLines(entries) {
  return entries
    .map((entry) => {
      const { line, source, type, id, data } = entry;
      const level = line.level || null;
      const shown = { time: write(timeOf(entry)), level, source, type, id: id || null, data };
      return `${JSON.stringify(shown)}\n`;
    })
    .join("");
}

// "app.log-20261129-013313.log": valid on all systems, without a folder.
export function fileName(label, stamp, extension) {
  const name = cut(label, 100)
    .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/[\\/:*?"<>|\s]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");
  return `${name || "events"}-${stamp}.${extension}`;
}

// Makes the browser save a text, in UTF-8.
export function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.hidden = true;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), KEPT);
}
