// Writes a term of the search, as query.js reads it.

"use strict";

const OWN = ["level", "type", "source", "id"]; // in quotes, a key of the page's own is the data's
const PLAIN_KEY = /^[^\s:"\d[(/-][^\s:"]*$/;
const PLAIN_VALUE = /^[^\s,"*<>/:][^\s,"*]*$/;

const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;

// A key and the text of its value, as a term that finds exactly that.
export function writeTerm(key, value) {
  const isPlain = PLAIN_KEY.test(key) && !OWN.includes(key.toLowerCase());
  return `${isPlain ? key : quoted(key)}:${PLAIN_VALUE.test(value) ? value : quoted(value)}`;
}
