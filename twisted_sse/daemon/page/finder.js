// Asks the server for its sources, until it answers.

"use strict";

import { isOffline } from "./network.js";
import { stateOf } from "./responses.js";

const RETRY = 3000; // the shortest time between two requests, in milliseconds

export class Finder {
  state = { name: "connecting" };
  #address;
  #onState;
  #wake = null;

  // onState() is called when `state`, as for describe(), has changed.
  constructor(address, onState) {
    this.#address = address;
    this.#onState = onState;
  }

  // Resolves with the list of sources.
  async find() {
    for (;;) {
      this.#set({ name: "connecting" });
      let state = { name: isOffline() ? "offline" : "waiting", wait: 0 };
      try {
        const response = await fetch(this.#address, { cache: "no-store" });
        const refused = stateOf(response, "application/json");
        if (refused === null) {
          return await response.json();
        }
        state = refused;
        await response.body?.cancel();
      } catch {
        // Refused or cut off; browsers do not report why.
      }
      await this.#wait(state);
    }
  }

  // Whether it will retry by itself.
  get isStopped() {
    return ["refused", "other"].includes(this.state.name);
  }

  // Retries now.
  again() {
    this.#wake?.();
  }

  #set(state) {
    this.state = state;
    this.#onState();
  }

  async #wait(state) {
    const wait = Math.max(RETRY, state.wait ?? 0);
    this.#set({ ...state, until: Date.now() + wait });
    await new Promise((resolve) => {
      this.#wake = resolve;
      if (!this.isStopped) {
        setTimeout(resolve, wait);
      }
    });
    this.#wake = null;
  }
}
