// Writes a search term that query.js reads.

"use strict";

import { OWN } from "./query.js";

const PLAIN_KEY = /^[^\s:"\d[(/-][^\s:"]*$/;
const PLAIN_VALUE = /^(?!\/\/)[^\s,"*<>:\\][^\s,"*]*$/;

const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;

// The term that finds exactly this value of a key. A quoted key belongs to the data, even if the
// page has a key of that name.
export function writeTerm(key, value) {
  const isPlain = PLAIN_KEY.test(key) && !OWN.includes(key.toLowerCase());
  return `${isPlain ? key : quoted(key)}:${PLAIN_VALUE.test(value) ? value : quoted(String(value))}`;
}
