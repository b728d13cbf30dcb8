// A connection to an event stream, like EventSource (HTML standard, 9.2): it reconnects after the
// reconnection time, with the last event ID, until the server responds that there is no stream.
//
// Uses fetch(), since EventSource reports neither comments nor statuses, and only events whose
// types are known in advance.

"use strict";

import { isOffline } from "./network.js";
import { EventStreamParser } from "./parser.js";
import { LONGEST_TIMER, stateOf } from "./responses.js";

const LONGEST_WAIT = 30000; // milliseconds between two attempts
const SHORTEST_WAIT = 500;
const SILENT = 2.5; // heartbeats without a byte, after which the state is "silent"
const LOST = 4; // and after which it connects again
const FAILURES = 16; // a higher count would not make the wait longer

export class Stream {
  state = { name: "disconnected" };
  lastEventId = "";
  #address;
  #heartbeat;
  #intake;
  #events;
  #retry = 3000;
  #failures = 0; // attempts since the last data
  #attempt = null; // the AbortController of the connection; null when stopped
  #timer = 0;
  #lastByte = 0;
  #wasOpen = false; // whether it has ever been open
  #lostAt = null;

  // heartbeat: milliseconds, 0 if the server sends none.
  //
  // events: an object with onState(), onOpen({ seconds, hasID }) (seconds since the connection was
  // lost, null the first time), onEvent({ type, data, id }), onComment(text).
  constructor(address, heartbeat, intake, events) {
    this.#address = address;
    this.#heartbeat = heartbeat;
    this.#intake = intake;
    this.#events = events;
  }

  get isStopped() {
    return this.#attempt === null;
  }

  // Connects or reconnects.
  connect() {
    clearTimeout(this.#timer);
    if (this.#isOpen) {
      this.#lostAt = Date.now();
    }
    this.#attempt?.abort();
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#set({ name: "connecting" });
    this.#run(attempt);
  }

  // Disconnects; connect() resumes after the last event.
  stop(state = { name: "disconnected" }) {
    clearTimeout(this.#timer);
    this.#attempt?.abort();
    this.#attempt = null;
    this.#lostAt ??= Date.now();
    this.#set(state);
  }

  // Call this about once a second: checks whether the server has fallen silent.
  check(now) {
    this.#lastByte = Math.min(this.#lastByte, now); // the clock may have been set back
    const silence = now - this.#lastByte;
    if (!this.#isOpen || this.#heartbeat === 0 || silence < SILENT * this.#heartbeat) {
      return;
    }
    if (silence > LOST * this.#heartbeat) {
      this.connect();
    } else {
      this.#set({ name: "silent", since: this.#lastByte });
    }
  }

  // The browser is online again.
  online() {
    if (["waiting", "offline"].includes(this.state.name)) {
      this.connect();
    }
  }

  get #isOpen() {
    return this.state.name === "open" || this.state.name === "silent";
  }

  #set(state) {
    this.state = state;
    this.#events.onState();
  }

  async #run(attempt) {
    let next = { name: "waiting", wait: 0 };
    // The last event ID is up to date only when everything has been read, also from the previous
    // connection.
    await this.#intake.settle();
    if (attempt !== this.#attempt) {
      return;
    }
    try {
      next = (await this.#read(attempt)) ?? next;
    } catch {
      // Refused or cut off; browsers do not report why.
    }
    await this.#intake.settle();
    if (attempt !== this.#attempt) {
      return;
    }
    if (next.wait === undefined) {
      this.stop(next);
      return;
    }
    this.#lostAt ??= Date.now();
    const own = Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** this.#failures);
    this.#failures = Math.min(FAILURES, this.#failures + 1);
    const wait = Math.max(this.#retry, own, next.wait);
    const name = next.name === "waiting" && isOffline() ? "offline" : next.name;
    this.#set({ ...next, name, until: Date.now() + wait });
    this.#timer = setTimeout(() => this.connect(), wait);
  }

  // Returns the state after the response, with the shortest wait if it should be retried.
  async #read(attempt) {
    const headers = { Accept: "text/event-stream" };
    if (this.lastEventId !== "") {
      // In UTF-8: fetch() takes a byte string.
      const bytes = new TextEncoder().encode(this.lastEventId);
      headers["Last-Event-ID"] = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    }
    const options = { headers, signal: attempt.signal, cache: "no-store" };
    const response = await fetch(this.#address, options);
    const refused = stateOf(response, "text/event-stream");
    if (refused !== null) {
      await response.body?.cancel();
      return refused;
    }
    if (attempt !== this.#attempt) {
      await response.body.cancel();
      return null;
    }
    this.#opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventStreamParser(
      this.lastEventId,
      (type, data) => this.#onEvent(type, data, parser.lastEventId),
      (text) => this.#onComment(text),
    );
    const read = (text) => {
      parser.feed(text);
      this.lastEventId = parser.lastEventId;
      this.#retry = Math.min(parser.retry ?? this.#retry, LONGEST_TIMER);
    };
    for (;;) {
      const { done, value } = await reader.read();
      if (done || attempt !== this.#attempt) {
        return null;
      }
      this.#received();
      await this.#intake.add(value, read);
    }
  }

  #opened() {
    const now = Date.now();
    this.#lastByte = now;
    const seconds = !this.#wasOpen ? null : Math.max(1, Math.round((now - this.#lostAt) / 1000));
    this.#wasOpen = true;
    this.#lostAt = null;
    this.#set({ name: "open", since: now });
    this.#events.onOpen({ seconds, hasID: this.lastEventId !== "" });
  }

  #received() {
    this.#lastByte = Date.now();
    if (this.state.name === "silent") {
      this.#set({ name: "open", since: this.#lastByte });
    }
  }

  // A comment also shows that the server is there: a log may be quiet for days.
  #onComment(text) {
    this.#failures = 0;
    this.#events.onComment(text);
  }

  #onEvent(type, data, id) {
    this.#failures = 0;
    this.#events.onEvent({ type, data, id });
  }
}
