// A source on the page: its stream, and how its events are turned into entries.

"use strict";

import { makeEntry } from "./entry.js";
import { MOST_EVENTS } from "./kept.js";
import { Groups } from "./line/groups.js";
import * as markers from "./markers.js";
import { Stream } from "./stream.js";

const RESET_WAIT = 300; // milliseconds to wait after a reconnection before reporting what was lost

const OPEN = new Set(["open", "silent"]); // states of a stream

// Kinds of sources that keep events, so that a client also gets events from before it connected.
const KEPT = new Set(["file", "command", "stdin", "post"]);

export class Source {
  isOn = false;
  stream;
  #groups = new Groups();
  #group = null; // the latest group
  #replaying = false;
  #isRead = true; // whether the server has sent all earlier events
  #replayed = 0; // events since the connection was last opened
  #pending = null; // the marker that waits in case a reset follows
  #timer = 0;
  #page;

  // address: the URL of the stream. heartbeat: see Stream. page: has an intake, add(entry), which
  // returns a group, join(group, entry), mark(marker), onState() and
  // onReplayed().
  constructor({ path, kind, label, address }, heartbeat, page) {
    this.path = path;
    this.kind = kind;
    this.label = label;
    this.address = address;
    this.#page = page;
    const asked = KEPT.has(kind) ? `${address}?tail=${MOST_EVENTS}` : address;
    this.stream = new Stream(asked, heartbeat, page.intake, {
      onState: () => this.#onState(),
      onOpen: (how) => this.#onOpen(how),
      onEvent: (event) => this.#onEvent(event),
      onComment: (text) => this.#onComment(text),
    });
  }

  // Turns the source on or off. When off, it keeps its place in the stream.
  toggle() {
    this.isOn = !this.isOn;
    if (this.isOn) {
      this.stream.connect();
    } else {
      this.stream.stop();
    }
  }

  // Whether earlier events may still arrive.
  get isReplaying() {
    return !this.#isRead && OPEN.has(this.stream.state.name);
  }

  // Forgets earlier events, which are not in the page any more.
  forget() {
    this.#group = null;
  }

  #onState() {
    if (this.stream.state.name === "connecting") {
      this.#isRead = !KEPT.has(this.kind);
    }
    this.#page.onState();
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

  // A reset may have arrived and not been read yet: less is read while the page is hidden.
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
        // Only its ID matters, and the stream already has it.
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

  // Any comment shows that the server has sent the earlier events, even if a proxy has removed
  // the first.
  #onComment(text) {
    if (!this.#isRead) {
      this.#isRead = true;
      this.#page.onReplayed();
    }
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
    // An empty line is not an event, but an empty event of another type is.
    const isLine = event.type === "message";
    const isEmpty = isLine && entry.text === "";
    if (belongs && this.#canJoin(entry) && (isLine || entry.text !== "")) {
      this.#page.join(this.#group, entry);
    } else if (!isEmpty) {
      this.#group = this.#page.add(entry);
    }
  }

  // Events of different types are never one group, however they look.
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
