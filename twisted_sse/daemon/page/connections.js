// The sources of the page, and the state of their connections.

"use strict";

import { absolute } from "./absolute.js";
import { Finder } from "./finder.js";
import { Source } from "./source.js";
import { describe, together } from "./states.js";

const MOST = 4; // at once: browsers allow six connections to a server with HTTP/1.1
const LIVE = ["open", "silent", "connecting"];

export class Connections {
  sources = [];
  #told;
  #page;
  #left = []; // the streams that were connected when the page was left
  #isChosen = false; // whether choose() was called
  #finder = null; // set until the sources are known

  // told: the server's data attributes for the page. page: see Source.
  constructor(told, page) {
    this.#told = told;
    this.#page = page;
  }

  // Resolves when the sources are known.
  async find() {
    if (this.#told.kind !== "all") {
      this.sources = [this.#make(this.#told, absolute(location.pathname))];
      return;
    }
    this.#finder = new Finder(absolute(`${this.#told.prefix}page/sources`), () => this.#page.onState());
    const found = await this.#finder.find();
    this.#finder = null;
    this.sources = found.map((source) => {
      const reference = `${this.#told.prefix}${source.path.slice(1)}` || "./";
      return this.#make(source, absolute(reference));
    });
  }

  #make({ path, kind, label }, address) {
    const heartbeat = Number(this.#told.heartbeat) * 1000;
    return new Source({ path, kind, label, address }, heartbeat, this.#page);
  }

  // The paths of the sources that are on; null if all are.
  get shown() {
    return this.#on.length === this.sources.length ? null : this.#on.map(({ path }) => path);
  }

  // The paths for choose(): null also if the sources that are on are those of choose(null).
  get chosen() {
    const first = this.sources.slice(0, this.#most);
    const isDefault = first.length === this.#on.length && first.every(({ isOn }) => isOn);
    return isDefault ? null : this.shown;
  }

  // Turns on exactly these sources, up to the limit; null for all. If none of them is known, the
  // server was restarted with other sources, and all are meant.
  choose(paths) {
    this.#isChosen = true;
    const known = this.sources.filter(({ path }) => paths?.includes(path));
    const isAll = paths === null || (paths.length > 0 && known.length === 0);
    const on = new Set((isAll ? this.sources : known).slice(0, this.#most));
    for (const source of this.sources) {
      if (source.isOn !== on.has(source)) {
        source.toggle();
      }
    }
  }

  toggle(path) {
    const source = this.sources.find((each) => each.path === path);
    if (source.isOn || this.#on.length < this.#most) {
      source.toggle();
    }
  }

  // Whether another source can be turned on.
  get hasRoom() {
    return this.#on.length < this.#most;
  }

  // Whether all streams were stopped, by the user or the server.
  get isStopped() {
    return this.#finder?.isStopped ?? this.#on.every(({ stream }) => stream.isStopped);
  }

  get isConnected() {
    return this.#states.every(({ name }) => LIVE.includes(name));
  }

  get isConnecting() {
    const isNew = this.#finder === null && !this.#isChosen; // it will connect in a moment
    return isNew || this.#states.some(({ name }) => name === "connecting");
  }

  // Whether events from before may still arrive.
  get isReplaying() {
    return this.#on.some((source) => source.isReplaying);
  }

  // Retries now.
  reconnect() {
    this.#finder?.again();
    for (const { stream } of this.#on) {
      if (!LIVE.includes(stream.state.name)) {
        stream.connect();
      }
    }
  }

  // Disconnects, or connects if nothing is connected.
  switch() {
    const { isStopped } = this;
    for (const { stream } of this.#on) {
      if (isStopped) {
        stream.connect();
      } else {
        stream.stop();
      }
    }
  }

  // The page is being left. The browser keeps it for the Back button, and would keep its
  // connections: it allows six to a server.
  leave() {
    this.#left = this.#on.map(({ stream }) => stream).filter((stream) => !stream.isStopped);
    for (const stream of this.#left) {
      stream.stop();
    }
  }

  // The page is shown again as it was left.
  comeBack() {
    for (const stream of this.#left) {
      stream.connect();
    }
    this.#left = [];
  }

  // Call this about once a second.
  check() {
    const now = Date.now();
    for (const { stream } of this.#on) {
      stream.check(now);
    }
  }

  // The browser is online again.
  online() {
    this.#finder?.again();
    for (const { stream } of this.#on) {
      stream.online();
    }
  }

  // The state of all streams, in the form of describe().
  describe(clock) {
    const states = this.#states;
    if (states.length === 0) {
      // Only the chips can turn on a source again.
      return { ...describe({ name: "disconnected" }, Date.now(), clock), button: "" };
    }
    const worst = states.find(({ name }) => name !== "open") ?? states[0];
    const state = describe(worst, Date.now(), clock);
    const summary = states.length > 1 ? together(states) : null;
    return summary === null ? state : { ...state, word: summary, spoken: summary };
  }

  get #states() {
    return this.#finder === null ? this.#on.map(({ stream }) => stream.state) : [this.#finder.state];
  }

  get #on() {
    return this.sources.filter(({ isOn }) => isOn);
  }

  get #most() {
    const [navigation] = performance.getEntriesByType("navigation");
    return /^(?:http\/1.*)?$/.test(navigation?.nextHopProtocol ?? "") ? MOST : Infinity;
  }
}
