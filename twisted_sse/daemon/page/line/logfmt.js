// key=value pairs of a text.

"use strict";

const PAIR = /(?<![^\s,{[(])([A-Za-z_@][\w.@/-]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))/g;

// Returns [{key, value, start, end}], with the positions of the value in the text.
export function readLogfmt(text) {
  const pairs = [];
  for (const found of text.matchAll(PAIR)) {
    const quoted = found[2] !== undefined;
    const value = quoted ? found[2].replace(/\\(["\\])/g, "$1") : found[3];
    const end = found.index + found[0].length - (quoted ? 1 : 0);
    pairs.push({ key: found[1], value, start: end - (found[2] ?? found[3]).length, end });
  }
  return pairs;
}
