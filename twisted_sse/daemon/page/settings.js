// What the user chose for all pages of this server, kept by the browser. One that keeps nothing
// (private windows, storage that is blocked or full) has it until the page is left.

"use strict";

const PREFIX = "twisted-sse ";

export class Settings {
  #values = new Map();
  #storage;

  // The storage is asked for by a function, for to look at localStorage may throw.
  constructor(storage = () => localStorage) {
    this.#storage = storage;
  }

  // Whether it is on.
  get(name, otherwise) {
    if (!this.#values.has(name)) {
      this.#values.set(name, this.#read(name) ?? otherwise);
    }
    return this.#values.get(name);
  }

  set(name, isOn) {
    this.#values.set(name, isOn);
    try {
      this.#storage().setItem(PREFIX + name, isOn ? "on" : "off");
    } catch {
      // It holds for this page, at least.
    }
  }

  #read(name) {
    try {
      const kept = this.#storage().getItem(PREFIX + name);
      return kept === "on" || kept === "off" ? kept === "on" : null;
    } catch {
      return null;
    }
  }
}
