// Removes the escapes that the vectors have from a text.

"use strict";

export function plain(data) {
  return data
    .replace(/\x1b\[1?G/g, "\r")
    .replace(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, "")
    .replace(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]/g, "")
    .replace(/\r+$/, "")
    .replace(/^.*\r/s, "")
    .replace(/[\x00-\x08\x0b-\x1f]/g, (each) => String.fromCharCode(0x2400 + each.charCodeAt(0)));
}
