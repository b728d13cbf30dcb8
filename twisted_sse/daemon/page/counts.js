// The numbers on the page. They are computed together, so that they agree.

"use strict";

import { rank } from "./line/levels.js";
import { LEVELS } from "./chips.js";
import { timeOf } from "./entry.js";

const SECONDS = 60; // of the chart

// The number of groups at or above each level that has a chip.
export function countLevels(items) {
  const counts = Object.fromEntries(LEVELS.map(({ level }) => [level, 0]));
  const ranks = LEVELS.map(({ level }) => [level, level === "" ? -Infinity : rank(level)]);
  for (const { marker, level } of items) {
    if (marker === undefined) {
      const its = rank(level);
      for (const [each, least] of ranks) {
        counts[each] += its >= least ? 1 : 0;
      }
    }
  }
  return counts;
}

// The time of the oldest event with a known time; null if there is none.
export function sinceWhen(items) {
  for (const { marker, entries } of items) {
    const at = marker === undefined ? timeOf(entries[0]) : null;
    if (at !== null) {
      return at;
    }
  }
  return null;
}

// Live events in each of the last seconds. Uses the clock, since browsers call a hidden page only
// once a minute.
export class Rates {
  perSecond = new Array(SECONDS).fill(0);
  #current = 0;
  #end; // of the current second, in milliseconds

  constructor(now = performance.now()) {
    this.#end = now + 1000;
  }

  count(events, now = performance.now()) {
    this.tick(now);
    this.#current += events;
  }

  // The last complete second.
  get last() {
    return this.perSecond.at(-1);
  }

  // The current second.
  get now() {
    return this.#current;
  }

  // Closes the seconds that are over.
  tick(now = performance.now()) {
    const ended = Math.floor((now - this.#end) / 1000) + 1;
    if (ended <= 0) {
      return;
    }
    const idle = new Array(Math.min(ended - 1, SECONDS)).fill(0);
    this.perSecond = [...this.perSecond, this.#current, ...idle].slice(-SECONDS);
    this.#current = 0;
    this.#end += ended * 1000;
  }
}
