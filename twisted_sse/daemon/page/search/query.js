// What is typed into the search, as terms.

"use strict";

import { fold } from "./fold.js";

export const NOT_VALID = "Not a valid pattern";

// Keys of the page's own, before those of a line's data. In quotes a key is always the data's.
export const OWN = ["level", "type", "source", "id"];

const BLANKS = /\s*/y;
const WORD = /\S+/y;
const QUOTED = /"([^"\\]*(?:\\[^][^"\\]*)*)(?:"|\\?$)/y; // an unfinished one ends with the text
// Not keys: 12:30, 127.0.0.1:8080, [::1]:80, std::map, addresses with //, C:\dir.
const KEY = /([^\s:"\d[(][^\s:"]*):(?!\/\/|[:\\\s]|$)/y;
const VALUE = /[^\s,]*/y;
const COMPARED = /^(>=|<=|>|<)(.+)$/s;
const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;

// The number that a value or what was typed stands for, or NaN.
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

  // The match of a sticky expression here, which is gone past; or null.
  take(expression) {
    expression.lastIndex = this.at;
    const found = expression.exec(this.text);
    if (found !== null) {
      this.at = expression.lastIndex;
    }
    return found;
  }

  // A quoted text here, without its quotes, or null.
  takeQuoted() {
    const found = this.take(QUOTED);
    return found && found[1].replace(/\\(["\\])/g, "$1");
  }

  // A character here that is the one asked for.
  takeIf(character) {
    if (this.text[this.at] !== character) {
      return false;
    }
    this.at += 1;
    return true;
  }

  // A /pattern/ here: up to a slash that a blank or the end follows, so that paths need no
  // escapes; up to the end if there is none.
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

// Whether a term says anything: what is only begun does not.
function isComplete(term) {
  return (term.text ?? term.source ?? term.values).length > 0;
}

// Returns {terms, problem}. A term is one of
// - {kind: "text", text}, a word or phrase, folded
// - {kind: "pattern", source}
// - {kind: "key" or "own", key, values}, with values [{operator, text, number}]: the operator is
//   one of = * > >= < <=, the number NaN if the text is none
// and has negated.
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
