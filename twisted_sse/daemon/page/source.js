// A source whose events the page shows: its stream, and what becomes of what comes from it.

"use strict";

import { makeEntry } from "./entry.js";
import { MOST_EVENTS } from "./kept.js";
import { Groups } from "./line/groups.js";
import * as markers from "./markers.js";
import { Stream } from "./stream.js";

const RESET_WAIT = 300; // milliseconds after a reconnection until it is said what was lost

// Kinds of sources whose events are kept, so that a client gets some that were there before it.
const KEPT = new Set(["file", "command", "stdin", "post"]);

export class Source {
  isOn = false;
  stream;
  #groups = new Groups();
  #group = null; // the last one
  #replaying = false;
  #replayed = 0; // events since the last connection was opened
  #pending = null; // the marker that waits for whether a reset comes
  #timer = 0;
  #page;

  // address: the URL of its stream. heartbeat: see Stream. page: has an intake, add(entry) which
  // returns a group, join(group, entry), mark(marker) and onState().
  constructor({ path, kind, label, address }, heartbeat, page) {
    this.path = path;
    this.kind = kind;
    this.label = label;
    this.address = address;
    this.#page = page;
    const asked = KEPT.has(kind) ? `${address}?tail=${MOST_EVENTS}` : address;
    this.stream = new Stream(asked, heartbeat, page.intake, {
      onState: () => page.onState(),
      onOpen: (how) => this.#onOpen(how),
      onEvent: (event) => this.#onEvent(event),
      onComment: (text) => this.#onComment(text),
    });
  }

  // Turns it on or off. Off, it keeps its place in the stream.
  toggle() {
    this.isOn = !this.isOn;
    if (this.isOn) {
      this.stream.connect();
    } else {
      this.stream.stop();
    }
  }

  // What came before is not in the page any more.
  forget() {
    this.#group = null;
  }

  #onOpen({ seconds, hasID }) {
    this.#replaying = KEPT.has(this.kind);
    this.#replayed = 0;
    if (seconds !== null) {
      const make = hasID ? markers.reconnected : markers.reconnectedWithoutID;
      clearTimeout(this.#timer);
      this.#pending = make(seconds, this.path);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#waited(), RESET_WAIT);
    }
  }

  // A reset may have come that has not been read: less is read while the page is hidden.
  async #waited() {
    const pending = this.#pending;
    await this.#page.intake.settle();
    if (pending === this.#pending) {
      this.#sayPending();
    }
  }

  #sayPending() {
    clearTimeout(this.#timer);
    if (this.#pending !== null) {
      this.#mark(this.#pending);
      this.#pending = null;
    }
  }

  #onEvent(event) {
    switch (event.type) {
      case "stream-position":
        // Only its ID matters, and the stream has it.
        return;
      case "stream-reset":
        this.#pending = null;
        this.#mark(markers.reset(this.path));
        return;
      case "stream-gap":
        this.#sayPending();
        this.#mark(markers.gap(droppedOf(event.data), this.path));
        return;
      default:
        this.#sayPending();
        this.#replayed += 1;
        this.#add(event);
    }
  }

  #onComment(text) {
    if (text === "live" && this.#replaying) {
      this.#replaying = false;
      this.#sayPending();
      if (this.#replayed > 0) {
        this.#mark(markers.liveFromHere(this.path));
      }
    }
  }

  // A marker separates groups.
  #mark(marker) {
    this.#group = null;
    this.#groups = new Groups();
    this.#page.mark(marker);
  }

  #add(event) {
    const entry = makeEntry(this.path, event, Date.now(), this.#replaying);
    const belongs = this.#groups.belongs(entry.text, entry.line, entry.arrived);
    // An empty line is not an event, but one of a type of its own is.
    const isLine = event.type === "message";
    const isEmpty = isLine && entry.text === "";
    if (belongs && this.#canJoin(entry) && (isLine || entry.text !== "")) {
      this.#page.join(this.#group, entry);
    } else if (!isEmpty) {
      this.#group = this.#page.add(entry);
    }
  }

  // Events of different types are different events, however they look.
  #canJoin({ type }) {
    return this.#group !== null && this.#group.gone !== true && this.#group.type === type;
  }
}

function droppedOf(data) {
  try {
    return Number(JSON.parse(data).dropped) || 0;
  } catch {
    return 0;
  }
}
