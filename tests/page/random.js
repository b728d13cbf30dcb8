// Random values that are the same in each run.

"use strict";

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  // A whole number from 0 to below most (mulberry32).
  below(most) {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * most) | 0;
  }

  of(list) {
    return list[this.below(list.length)];
  }

  // Up to a number of items of the list, as a text.
  text(list, most) {
    return Array.from({ length: this.below(most + 1) }, () => this.of(list)).join("");
  }
}
