// Reads what has come, a little in each frame, so that however much comes the page stays quick.

"use strict";

const BUDGET = 8; // milliseconds of a frame
const BUDGET_HIDDEN = 200; // of a turn while nobody can see the page: browsers give it one a second
const SLICE = 2048; // characters that are read between two looks at the clock
const FULL = 4 * 2 ** 20; // characters that may wait; beyond, the network waits
const LATEST = 250; // milliseconds until a turn, if no frame comes

export class Intake {
  #queue = []; // texts with the functions that read them
  #first = 0; // the index of the next, and how much of that was read
  #read = 0;
  #waiting = 0; // characters
  #frame = 0;
  #timer = 0;
  #onTurn;
  #held = []; // what lets those go on that wait for room

  // onTurn() is called after each turn, also after one in which nothing was read: see request().
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

  // Resolves when all that was queued before has been read.
  settle() {
    if (this.#queue.length === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#queue.push({ text: "", read: resolve });
      this.request();
    });
  }

  // Asks for a turn in the next frame. No frames come while the page is hidden.
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
      // A fault in reading one text is reported, and the next turn reads the others.
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
