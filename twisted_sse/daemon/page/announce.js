// Announcements for screen readers: often enough to keep up, and never so often that they drown out
// everything else.

"use strict";

import { setText } from "./elements.js";
import { showCount } from "./numbers.js";

const BETWEEN = 10000; // the shortest time between two announcements of new events, in milliseconds
const FIRST = 1000; // milliseconds in which the first events are collected
const AFTER_TYPING = 1000; // milliseconds

// Puts a text into a live region. Screen readers ignore a text that is already there, so a repeated
// one gets a blank at the end.
function say(region, text) {
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}

// "128 new events, 3 errors."
export function newEvents(events, errors) {
  const bad = errors > 0 ? `, ${showCount(errors, "error")}` : "";
  return `${showCount(events, "new event")}${bad}.`;
}

// Announces new events: off at first, and only while the list follows them.
export class NewEvents {
  #region;
  #clock;
  #enabled = false;
  #following = true;
  #events = 0;
  #errors = 0;
  #timer = null;
  #last = -Infinity;

  // region has aria-live="polite". clock is a window, with performance.
  constructor(region, clock = window) {
    this.#region = region;
    this.#clock = clock;
  }

  set enabled(isEnabled) {
    this.#enabled = isEnabled;
    this.#forget();
  }

  set following(isFollowing) {
    if (this.#following !== isFollowing) {
      this.#following = isFollowing;
      this.#forget();
    }
  }

  // Counts new events.
  add(events, errors) {
    if (!this.#enabled || !this.#following || events === 0) {
      return;
    }
    this.#events += events;
    this.#errors += errors;
    if (this.#timer === null) {
      const wait = Math.max(FIRST, this.#last + BETWEEN - this.#clock.performance.now());
      this.#timer = this.#clock.setTimeout(() => this.#tell(), wait);
    }
  }

  #tell() {
    this.#last = this.#clock.performance.now();
    say(this.#region, newEvents(this.#events, this.#errors));
    this.#forget();
  }

  #forget() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#events = 0;
    this.#errors = 0;
  }
}

// Announces the state of the connection (role="status"): only its word, when it changes. The
// countdown is shown elsewhere.
export class StateWord {
  #region;

  constructor(region) {
    this.#region = region;
  }

  set(word) {
    setText(this.#region, word);
  }
}

// Announces the number of matches, a second after the last key.
export class SearchCount {
  #region;
  #clock;
  #timer = null;

  constructor(region, clock = window) {
    this.#region = region;
    this.#clock = clock;
  }

  // The text is computed only when it is announced: more matches may have arrived.
  typed(showText) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => say(this.#region, showText()), AFTER_TYPING);
  }
}
