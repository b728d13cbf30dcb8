// The user's settings for all pages of this server, stored by the browser. If it stores nothing
// (private windows, blocked or full storage), a setting applies until the page is left.

"use strict";

const PREFIX = "twisted-sse ";

export class Settings {
  #values = new Map();
  #storage;

  // storage is a function, since reading localStorage may throw.
  constructor(storage = () => localStorage) {
    this.#storage = storage;
  }

  // Whether the setting is on.
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
      // It still applies to this page.
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
