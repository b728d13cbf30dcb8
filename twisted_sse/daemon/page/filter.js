// Decides which groups are shown: those of the chosen level, types and sources that match the
// search. Markers always pass.

"use strict";

import { rank } from "./line/levels.js";
import { indexOf } from "./sorted.js";

export class Filter {
  passing = []; // groups and markers, oldest first
  level = ""; // the lowest level that passes; "" for all, including groups without a level
  types = new Set(); // all if empty
  sources = null; // paths; null for all
  #kept;
  #search;
  #asked = 0;
  #open = new Set(); // questions that the search has not answered

  constructor(kept, search) {
    this.#kept = kept;
    this.#search = search;
  }

  // Whether `passing` will change when the search answers.
  get isDeciding() {
    return this.#open.size > 0;
  }

  get isOn() {
    return this.level !== "" || this.types.size > 0 || !this.#search.isEmpty;
  }

  // The items of the sources that are on.
  ofSources(items) {
    return this.sources === null ? items : items.filter((item) => this.#isOn(item));
  }

  // The number of groups that pass.
  get events() {
    return this.passing.reduce((sum, item) => sum + (item.marker === undefined ? 1 : 0), 0);
  }

  // Filters everything again, after a change. Calls done() when `passing` is up to date: at once,
  // unless the search has to wait for its worker.
  refresh(done) {
    this.#asked += 1;
    const asked = this.#asked;
    const items = [...this.#kept.items]; // more may arrive before the answer
    this.#open.clear(); // a search that was replaced does not answer
    this.#decide(items, (passes) => {
      if (asked !== this.#asked) {
        return;
      }
      const last = items.at(-1)?.number ?? 0;
      // Groups that arrived in the meantime were filtered separately.
      const later = this.passing.filter((item) => item.number > last);
      this.passing = [...items.filter((item, i) => passes[i] && !item.gone), ...later];
      done();
    });
  }

  // Filters groups that are new or have another line. Calls done() as refresh() does.
  update(changed, done) {
    const asked = this.#asked;
    this.#decide(changed, (passes) => {
      if (asked !== this.#asked) {
        this.#again(changed, done);
        return;
      }
      changed.forEach((item, i) => this.#put(item, passes[i] && !item.gone));
      done();
    });
  }

  // Removes dropped items.
  drop() {
    this.passing = this.passing.filter((item) => !item.gone);
  }

  // Filters them again, as the filter has changed since.
  #again(changed, done) {
    const present = changed.filter((item) => !item.gone);
    if (present.length > 0) {
      this.update(present, done);
    }
  }

  #put(item, passes) {
    const i = indexOf(this.passing, item.number);
    const there = this.passing[i] === item;
    if (passes && !there) {
      this.passing.splice(i, 0, item);
    } else if (!passes && there) {
      this.passing.splice(i, 1);
    }
  }

  #decide(items, done) {
    const passes = items.map((item) => this.#isChosen(item));
    if (this.#search.isEmpty) {
      done(passes);
      return;
    }
    const groups = items.filter((item, i) => passes[i] && item.marker === undefined);
    this.#open.add(groups);
    this.#search.ask(groups, (matching) => {
      this.#open.delete(groups);
      let next = 0;
      items.forEach((item, i) => {
        if (passes[i] && item.marker === undefined) {
          passes[i] = matching[next];
          next += 1;
        }
      });
      done(passes);
    });
  }

  #isChosen(item) {
    const { type, level, marker } = item;
    return (
      this.#isOn(item) &&
      (marker !== undefined ||
        ((this.level === "" || rank(level) >= rank(this.level)) &&
          (this.types.size === 0 || this.types.has(type))))
    );
  }

  #isOn({ source }) {
    return this.sources === null || source === undefined || this.sources.has(source);
  }
}
