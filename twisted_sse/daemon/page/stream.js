// A connection to an event stream, as EventSource has it (HTML standard, 9.2): it comes back after
// the reconnection time, with the last event ID, until it is told that there is no stream.
//
// By fetch(), since an EventSource tells of no comments, of no statuses, and only of events whose
// types it was given beforehand.

"use strict";

import { EventStreamParser } from "./parser.js";
import { LONGEST_TIMER, stateOf } from "./responses.js";

const LONGEST_WAIT = 30000; // milliseconds from one attempt to the next
const SHORTEST_WAIT = 500;
const SILENT = 2.5; // heartbeats without a byte, after which it is said
const LOST = 4; // and after which the connection is given up
const FAILURES = 16; // more would not make the wait longer

export class Stream {
  state = { name: "disconnected" };
  lastEventId = "";
  connections = 0;
  #address;
  #heartbeat;
  #intake;
  #events;
  #retry = 3000;
  #failures = 0; // attempts since anything came
  #attempt = null; // the AbortController of the connection; null when stopped
  #timer = 0;
  #lastByte = 0;
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

  // Connects, anew if it is connected.
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

  // Ends the connection; connect() continues after the last event.
  stop(state = { name: "disconnected" }) {
    clearTimeout(this.#timer);
    this.#attempt?.abort();
    this.#attempt = null;
    this.#lostAt ??= Date.now();
    this.#set(state);
  }

  // To be called about once a second: looks whether the server has fallen silent.
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

  // The network is back.
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
    // What has been received of the last event ID is known when all of it has been read: by the
    // connection before, too.
    await this.#intake.settle();
    if (attempt !== this.#attempt) {
      return;
    }
    try {
      next = (await this.#read(attempt)) ?? next;
    } catch {
      // Refused or cut off; browsers do not say why.
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
    const name = next.name === "waiting" && !navigator.onLine ? "offline" : next.name;
    this.#set({ ...next, name, until: Date.now() + wait });
    this.#timer = setTimeout(() => this.connect(), wait);
  }

  // Returns the state after the response: with the least time to wait if it is to be tried again.
  async #read(attempt) {
    const headers = { Accept: "text/event-stream" };
    if (this.lastEventId !== "") {
      // As UTF-8: fetch() takes a string of bytes.
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
    this.connections += 1;
    const seconds = this.#lostAt === null ? null : Math.max(1, Math.round((now - this.#lostAt) / 1000));
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

  // A comment shows as well that the server is there: a log may be quiet for days.
  #onComment(text) {
    this.#failures = 0;
    this.#events.onComment(text);
  }

  #onEvent(type, data, id) {
    this.#failures = 0;
    this.#events.onEvent({ type, data, id });
  }
}
