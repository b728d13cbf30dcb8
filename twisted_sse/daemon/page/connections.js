// The sources of the page, and how their connections are.

"use strict";

import { absolute } from "./absolute.js";
import { Finder } from "./finder.js";
import { Source } from "./source.js";
import { describe, together } from "./states.js";

const MOST = 4; // at once: browsers have six connections to a server by HTTP/1.1
const LIVE = ["open", "silent", "connecting"];

export class Connections {
  sources = [];
  #told;
  #page;
  #left = []; // the streams that were connected when the page was left
  #finder = null; // until the sources are known

  // told: what the server says of the page, in data attributes. page: see Source.
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

  // The paths of those that are on; null if all are.
  get shown() {
    return this.#on.length === this.sources.length ? null : this.#on.map(({ path }) => path);
  }

  // The same for choose(): null also for those that it turns on if all are wanted.
  get chosen() {
    const first = this.sources.slice(0, this.#most);
    const isDefault = first.length === this.#on.length && first.every(({ isOn }) => isOn);
    return isDefault ? null : this.shown;
  }

  // Turns on these and no others, as many as can be at once; null for all. If none of them is known,
  // the server was started with others since, and all are wanted.
  choose(paths) {
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

  // Whether the user, or the server, ended all of them.
  get isStopped() {
    return this.#finder?.isStopped ?? this.#on.every(({ stream }) => stream.isStopped);
  }

  get isConnected() {
    return this.#states.every(({ name }) => LIVE.includes(name));
  }

  // Tries again now.
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

  // The page is left. Browsers keep it for the way back, and would keep the connections with it, of
  // which they have six to a server.
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

  // To be called about once a second.
  check() {
    const now = Date.now();
    for (const { stream } of this.#on) {
      stream.check(now);
    }
  }

  // The network is back.
  online() {
    this.#finder?.again();
    for (const { stream } of this.#on) {
      stream.online();
    }
  }

  // The state of all, as describe() has it.
  describe(clock) {
    const states = this.#states;
    if (states.length === 0) {
      // Only the chips turn on a source again.
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
