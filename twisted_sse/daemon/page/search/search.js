// Finds the groups that match the search, and the text to mark in them.

"use strict";

import { levelOf, rank } from "../line/levels.js";
import { fold, findWords, mergeRanges } from "./fold.js";
import { compare, hasField, isAsked, valuesInText } from "./fields.js";
import { BLOCKED, INVALID, Patterns, SLOW } from "./patterns.js";
import { NOT_VALID, parseQuery } from "./query.js";

const MOST_MARKS = 50; // per row

const PROBLEMS = {
  [SLOW]: "Pattern too slow, stopped",
  [INVALID]: NOT_VALID,
  [BLOCKED]: "Patterns are not available",
};

// All the text in a JSON value, however deeply nested.
function strings(record) {
  const found = [];
  const open = [record];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value === "string") {
      found.push(value);
    } else if (typeof value === "object" && value !== null) {
      for (const key of Object.keys(value)) {
        found.push(key);
        open.push(value[key]);
      }
    }
  }
  return found;
}

// The folded text of an entry, cached, as every typed word needs it. For JSON with escapes, it also
// has the characters that they stand for: "\u00fc" is found as "ü", as the row shows it.
function foldedText(entry) {
  entry.folded ??= fold(
    entry.line.record !== null && entry.text.includes("\\")
      ? [entry.text, ...strings(entry.line.record)].join("\n")
      : entry.text,
  );
  return entry.folded;
}

function isLevel(level, { operator, text }) {
  if (operator === "*") {
    return level.startsWith(text);
  }
  const wanted = levelOf(text); // also accepts other names of a level: "warning"
  if (operator === "=") {
    return level === wanted && (wanted !== "" || text === "");
  }
  return level !== "" && wanted !== "" && compare(rank(level), operator, rank(wanted));
}

function hasOwn(entry, level, { key, values }) {
  switch (key) {
    case "level":
      return values.some((value) => isLevel(level, value));
    case "source":
      return isAsked(values, entry.source) || isAsked(values, entry.source.replace(/^\//, ""));
    default:
      return isAsked(values, entry[key]);
  }
}

// Whether an entry of a group with that level matches a term, negated or not.
function hasTerm(entry, level, term) {
  switch (term.kind) {
    case "text":
      return foldedText(entry).includes(term.text);
    case "key":
      return hasField(entry, foldedText(entry), term);
    default:
      return hasOwn(entry, level, term);
  }
}

export class Search {
  problem = "";

  #onProblem;
  #patterns;
  #waiting = new Set(); // called with "nothing matches" if the worker fails
  #stopped = false;
  #wanted = []; // terms except patterns
  #unwanted = [];
  #wantedPatterns = []; // their sources
  #unwantedPatterns = [];
  #words = []; // words to mark
  #keys = [];

  // onProblem(problem) is called when the problem has changed. startWorker is for tests.
  constructor({ onProblem, startWorker }) {
    this.#onProblem = onProblem;
    this.#patterns = new Patterns((failure) => this.#fail(PROBLEMS[failure]), startWorker);
  }

  get isEmpty() {
    return (
      this.#wanted.length + this.#unwanted.length === 0 &&
      this.#wantedPatterns.length + this.#unwantedPatterns.length === 0
    );
  }

  // Whether a failure has stopped the search: nothing matches until the next set().
  get isStopped() {
    return this.#stopped;
  }

  // Returns false if a pattern is not valid; the previous search then stays in force.
  set(text) {
    const { terms, problem } = parseQuery(text);
    if (problem !== "") {
      this.#setProblem(problem);
      return false;
    }
    const plain = terms.filter(({ kind }) => kind !== "pattern");
    const patterns = terms.filter(({ kind }) => kind === "pattern");
    this.#wanted = plain.filter(({ negated }) => !negated);
    this.#unwanted = plain.filter(({ negated }) => negated);
    this.#words = this.#wanted.filter(({ kind }) => kind === "text").map((term) => term.text);
    this.#keys = this.#wanted.filter(({ kind }) => kind === "key");
    const sources = (list) => list.map(({ source }) => source);
    this.#wantedPatterns = sources(patterns.filter(({ negated }) => !negated));
    this.#unwantedPatterns = sources(patterns.filter(({ negated }) => negated));
    this.#waiting.clear();
    this.#stopped = false;
    this.#setProblem("");
    this.#patterns.set(patterns.length > 0);
    return true;
  }

  // Calls done([whether each group matches, ..]), at once if the search has no patterns.
  ask(groups, done) {
    const nothing = groups.map(() => false);
    if (this.#stopped) {
      done(nothing);
      return;
    }
    const candidates = groups.map((group) => this.#candidates(group));
    if (this.#wantedPatterns.length + this.#unwantedPatterns.length === 0) {
      done(candidates.map((entries) => entries.length > 0));
      return;
    }
    // If there are negated patterns, all lines of a group that may match must be checked.
    const asked = candidates.map((entries, at) =>
      entries.length > 0 && this.#unwantedPatterns.length > 0 ? groups[at].entries : entries,
    );
    const texts = asked.flat().map((entry) => entry.text);
    const sources = [...this.#wantedPatterns, ...this.#unwantedPatterns];
    const wanted = this.#wantedPatterns.length;
    const isWanted = (has) => has.slice(0, wanted).every(Boolean);
    const isUnwanted = (has) => has.slice(wanted).some(Boolean);
    this.#later({ sources, texts, most: 0 }, nothing, done, (found) => {
      let next = 0;
      return asked.map((entries, at) => {
        const has = found.slice(next, (next += entries.length));
        return (
          entries.some((entry, line) => isWanted(has[line]) && candidates[at].includes(entry)) &&
          !has.some(isUnwanted)
        );
      });
    });
  }

  // Calls done([[[start, end], ..] of each row, ..]) with the ranges to mark in drawn rows,
  // {text, parts, entry}; at once if the search has no patterns.
  find(rows, done) {
    const nothing = rows.map(() => []);
    if (this.#stopped || this.isEmpty) {
      done(nothing);
      return;
    }
    const marks = rows.map((row) => this.#marks(row));
    const merge = (found) =>
      marks.map((ranges, at) => mergeRanges([...ranges, ...found[at]], MOST_MARKS));
    if (this.#wantedPatterns.length === 0) {
      done(merge(nothing));
      return;
    }
    const question = { sources: this.#wantedPatterns, texts: rows.map(({ text }) => text) };
    this.#later({ ...question, most: MOST_MARKS }, nothing, done, merge);
  }

  // Whether a word or phrase is in the text of a cell.
  marksCell(text) {
    const folded = fold(text);
    return !this.#stopped && this.#words.some((word) => folded.includes(word));
  }

  // Asks the worker. There is no answer after a set(); if the worker fails, nothing is found.
  #later(question, nothing, done, read) {
    const fail = () => done(nothing);
    this.#waiting.add(fail);
    this.#patterns.ask(question, (found) => {
      this.#waiting.delete(fail);
      done(read(found));
    });
  }

  #fail(problem) {
    this.#stopped = true;
    this.#setProblem(problem);
    for (const fail of this.#waiting) {
      this.#waiting.delete(fail);
      fail(); // it may set() another search, which empties the set
    }
  }

  #setProblem(problem) {
    if (this.problem !== problem) {
      this.problem = problem;
      this.#onProblem(problem);
    }
  }

  // The entries of a group that match all terms except patterns.
  #candidates({ entries, level }) {
    for (const term of this.#unwanted) {
      for (const entry of entries) {
        if (hasTerm(entry, level, term)) {
          return [];
        }
      }
    }
    return entries.filter((entry) => this.#wanted.every((term) => hasTerm(entry, level, term)));
  }

  #marks({ text, parts, entry }) {
    const found = findWords(text, this.#words, MOST_MARKS);
    for (const term of this.#keys) {
      if (parts !== null) {
        if (hasField(entry, foldedText(entry), term)) {
          for (const { start, end, role, key } of parts) {
            if (role !== "key" && fold(key) === term.key) {
              found.push([start, end]);
            }
          }
        }
        continue;
      }
      for (const { value, start, end } of valuesInText(text, fold(text), term.key)) {
        if (isAsked(term.values, value)) {
          found.push([start, end]);
        }
      }
    }
    return found;
  }
}
