// Reads the text of the search as terms.

"use strict";

import { fold } from "./fold.js";

export const NOT_VALID = "Not a valid pattern";

// The page's own keys, which take precedence over the data's. A quoted key always belongs to the
// data.
export const OWN = ["level", "type", "source", "id"];

const BLANKS = /\s*/y;
const WORD = /\S+/y;
const QUOTED = /"([^"\\]*(?:\\[^][^"\\]*)*)(?:"|\\?$)/y; // an unfinished one ends with the text
// Not keys: 12:30, 127.0.0.1:8080, [::1]:80, std::map, addresses with //, C:\dir.
const KEY = /([^\s:"\d[(][^\s:"]*):(?!\/\/|[:\\\s]|$)/y;
const VALUE = /[^\s,]*/y;
const COMPARED = /^(>=|<=|>|<)(.+)$/s;
const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;

// The number that a value or a typed text stands for, or NaN.
export function asNumber(text) {
  return NUMBER.test(text) ? Number(text) : NaN;
}

class Scanner {
  at = 0;

  constructor(text) {
    this.text = text;
  }

  get ended() {
    return this.at >= this.text.length;
  }

  // Matches a sticky expression at the current position and moves past it; null if it does not
  // match.
  take(expression) {
    expression.lastIndex = this.at;
    const found = expression.exec(this.text);
    if (found !== null) {
      this.at = expression.lastIndex;
    }
    return found;
  }

  // A quoted text at the current position, without its quotes, or null.
  takeQuoted() {
    const found = this.take(QUOTED);
    return found && found[1].replace(/\\(["\\])/g, "$1");
  }

  // Moves past a given character if it is at the current position.
  takeIf(character) {
    if (this.text[this.at] !== character) {
      return false;
    }
    this.at += 1;
    return true;
  }

  // A /pattern/ at the current position. It ends at a slash before a blank or the end, so that
  // paths need no escapes; without such a slash, it extends to the end.
  takePattern() {
    const start = this.at;
    let inClass = false;
    let end = start;
    for (; end < this.text.length; end += 1) {
      const character = this.text[end];
      if (character === "\\") {
        end += 1;
      } else if (character === "[") {
        inClass = true;
      } else if (character === "]") {
        inClass = false;
      } else if (character === "/" && !inClass && !/\S/.test(this.text[end + 1] ?? "")) {
        break;
      }
    }
    this.at = end + 1;
    return this.text.slice(start, end);
  }
}

function readValue(scanner) {
  const quoted = scanner.takeQuoted();
  if (quoted !== null) {
    return { operator: "=", text: fold(quoted), number: NaN };
  }
  const value = scanner.take(VALUE)[0];
  const compared = COMPARED.exec(value);
  if (compared !== null) {
    const [, operator, text] = compared;
    return { operator, text: fold(text), number: asNumber(text) };
  }
  if (value.endsWith("*")) {
    return { operator: "*", text: fold(value.slice(0, -1)), number: NaN };
  }
  return { operator: "=", text: fold(value), number: asNumber(value) };
}

function readValues(scanner) {
  const values = [];
  do {
    const start = scanner.at;
    const value = readValue(scanner);
    if (scanner.at > start) {
      values.push(value);
    }
  } while (scanner.takeIf(","));
  return values;
}

function readKey(scanner) {
  const start = scanner.at;
  const quoted = scanner.takeQuoted();
  if (quoted !== null && scanner.takeIf(":") && /\S/.test(scanner.text[scanner.at] ?? "")) {
    return { kind: "key", key: fold(quoted) };
  }
  scanner.at = start;
  const found = scanner.take(KEY);
  if (found === null) {
    return null;
  }
  const key = fold(found[1]);
  return { kind: OWN.includes(key) ? "own" : "key", key };
}

function readTerm(scanner) {
  if (scanner.takeIf("/")) {
    return { kind: "pattern", source: scanner.takePattern() };
  }
  const key = readKey(scanner);
  if (key !== null) {
    return { ...key, values: readValues(scanner) };
  }
  const text = scanner.takeQuoted() ?? scanner.take(WORD)?.[0] ?? "";
  return { kind: "text", text: fold(text) };
}

// Whether a term is complete enough to search for.
function isComplete(term) {
  return (term.text ?? term.source ?? term.values).length > 0;
}

// Returns {terms, problem}. A term is one of
// - {kind: "text", text}, a word or phrase, folded
// - {kind: "pattern", source}
// - {kind: "key" or "own", key, values}, with values [{operator, text, number}]: the operator is
//   one of = * > >= < <=, the number is NaN if the text is not a number
// and each has `negated`.
export function parseQuery(text) {
  const scanner = new Scanner(text);
  const terms = [];
  let problem = "";
  for (scanner.take(BLANKS); !scanner.ended; scanner.take(BLANKS)) {
    const negated = scanner.takeIf("-");
    const term = { ...readTerm(scanner), negated };
    if (term.kind === "pattern" && !isPattern(term.source)) {
      problem = NOT_VALID;
    }
    if (isComplete(term)) {
      terms.push(term);
    }
  }
  return { terms, problem };
}

function isPattern(source) {
  try {
    new RegExp(source, "iu");
    return true;
  } catch {
    return false;
  }
}
