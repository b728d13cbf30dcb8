// What is read aloud by screen readers, and how often: enough to know, never so much that nothing
// else is heard.

"use strict";

import { setText } from "./elements.js";
import { showCount } from "./numbers.js";

const BETWEEN = 10000; // milliseconds from one sentence on new events to the next, at least
const FIRST = 1000; // milliseconds in which the first events come together
const AFTER_TYPING = 1000; // milliseconds

// Puts a text into a live region. One that is there already is not read again, so a second time it
// ends with a blank.
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

  // The region has aria-live="polite". The clock is a window, with performance.
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

  // Some more came.
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

// Announces the state of the connection (role="status"): its word, and only if that changes. The
// seconds that count down are shown elsewhere.
export class StateWord {
  #region;

  constructor(region) {
    this.#region = region;
  }

  set(word) {
    setText(this.#region, word);
  }
}

// Announces what a search found, a second after the last key.
export class SearchCount {
  #region;
  #clock;
  #timer = null;

  constructor(region, clock = window) {
    this.#region = region;
    this.#clock = clock;
  }

  // The text is asked for when it is said: until then there may be more matches.
  typed(showText) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => say(this.#region, showText()), AFTER_TYPING);
  }
}
