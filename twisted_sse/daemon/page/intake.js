// Reads received text a little in each frame, so that the page stays responsive under any load.

"use strict";

const BUDGET = 8; // milliseconds per frame
const BUDGET_HIDDEN = 200; // per turn while the page is hidden: browsers allow one turn a second
const SLICE = 2048; // characters read between two checks of the clock
const FULL = 4 * 2 ** 20; // characters that may wait; above this, reading from the network stops
const LATEST = 250; // milliseconds until a turn, if there is no frame

export class Intake {
  #queue = []; // texts, with the functions that read them
  #first = 0; // the index of the next text; #read: the position in it
  #read = 0;
  #waiting = 0; // characters
  #frame = 0;
  #timer = 0;
  #onTurn;
  #held = []; // resolves the promises of callers that wait for room

  // onTurn() is called after each turn, even if nothing was read: see request().
  constructor(onTurn) {
    this.#onTurn = onTurn;
  }

  // Queues a text for a function, which gets it in slices. Resolves when there is room for more.
  async add(text, read) {
    this.#queue.push({ text, read });
    this.#waiting += text.length;
    this.request();
    if (this.#waiting > FULL) {
      await new Promise((resolve) => {
        this.#held.push(resolve);
      });
    }
  }

  // Resolves when everything queued before has been read.
  settle() {
    if (this.#queue.length === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#queue.push({ text: "", read: resolve });
      this.request();
    });
  }

  // Requests a turn in the next frame. A hidden page has no frames.
  request() {
    if (this.#timer === 0) {
      this.#frame = requestAnimationFrame(() => this.#turn());
      this.#timer = setTimeout(() => this.#turn(), LATEST);
    }
  }

  #turn() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#timer = 0;
    const end = performance.now() + (document.hidden ? BUDGET_HIDDEN : BUDGET);
    try {
      while (this.#first < this.#queue.length && performance.now() < end) {
        this.#readSlice();
      }
    } finally {
      // If reading a text throws, the error is reported, and the next turn reads the others.
      this.#goOn();
      this.#onTurn();
    }
  }

  #goOn() {
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    } else {
      this.request();
    }
    if (this.#waiting < FULL / 2) {
      for (const goOn of this.#held.splice(0)) {
        goOn();
      }
    }
  }

  #readSlice() {
    const { text, read } = this.#queue[this.#first];
    const from = this.#read;
    this.#read += SLICE;
    if (this.#read >= text.length) {
      this.#waiting -= text.length;
      this.#queue[this.#first] = null;
      this.#first += 1;
      this.#read = 0;
    }
    read(text.slice(from, from + SLICE));
  }
}
