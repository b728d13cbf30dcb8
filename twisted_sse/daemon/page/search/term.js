// Writes a term of the search, as query.js reads it.

"use strict";

import { OWN } from "./query.js";

const PLAIN_KEY = /^[^\s:"\d[(/-][^\s:"]*$/;
const PLAIN_VALUE = /^(?!\/\/)[^\s,"*<>:\\][^\s,"*]*$/;

const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;

// A key and its value, as a term that finds exactly that. In quotes, a key of the page's own is the
// data's.
export function writeTerm(key, value) {
  const isPlain = PLAIN_KEY.test(key) && !OWN.includes(key.toLowerCase());
  return `${isPlain ? key : quoted(key)}:${PLAIN_VALUE.test(value) ? value : quoted(String(value))}`;
}
