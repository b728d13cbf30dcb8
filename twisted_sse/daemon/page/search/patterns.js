// Runs regular expressions in a worker, and stops it when one takes too long.

"use strict";

const MOST_TIME = 250; // milliseconds of matching per question
const MOST_START = 10000; // milliseconds for the worker to load
const GRACE = 15; // milliseconds for an answer that is on its way when the time is up
const MOST_IN_QUESTION = 2 ** 16; // characters: ordinary patterns match them in a few milliseconds
const MOST_TEXTS = 1000; // per question
const MOST_WAITING = 2 ** 26; // characters that may wait: more than a page keeps
const MOST_OF_TEXT = 10000; // characters of a text that are matched

export const SLOW = "slow";
export const INVALID = "invalid";
export const BLOCKED = "blocked";

function startWorker() {
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
}

// Asks the questions one at a time, in order. There is at most one worker, and none while the
// search has no pattern.
export class Patterns {
  #onFailure;
  #start;
  #worker = null;
  #isReady = false;
  #timer = 0;
  #jobs = []; // {sources, texts, most, done, found}
  #waiting = 0; // characters of all jobs
  #asked = 0; // the ID of the latest question
  #open = null; // the job of the open question, or "old" if it was cancelled

  // onFailure(SLOW, INVALID or BLOCKED) is called when matching has stopped until the next set().
  // start is for tests: it returns a Worker.
  constructor(onFailure, start = startWorker) {
    this.#onFailure = onFailure;
    this.#start = start;
  }

  // Cancels all questions. isNeeded: whether there will be new ones.
  set(isNeeded) {
    this.#jobs = [];
    this.#waiting = 0;
    if (!isNeeded) {
      this.#stop();
    } else if (this.#open !== null) {
      this.#open = "old"; // its time limit still applies: a worker that hangs is replaced
    } else if (this.#worker === null) {
      this.#begin();
    }
  }

  // Calls done(found) later, but never after set(): for each text, an array of whether each pattern
  // of sources matches; or, if most is not 0, of up to that number of [start, end] for each
  // pattern. Only the first 10,000 characters of a text count. After a failure, done is not called.
  ask({ sources, texts, most }, done) {
    const cut = texts.map((text) => text.slice(0, MOST_OF_TEXT));
    this.#jobs.push({ sources, texts: cut, most, done, found: [] });
    this.#waiting += cut.reduce((sum, { length }) => sum + length, 0);
    if (this.#waiting > MOST_WAITING) {
      this.#fail(SLOW);
    } else {
      this.#next();
    }
  }

  #begin() {
    let worker;
    try {
      worker = this.#start();
    } catch {
      this.#fail(BLOCKED); // a SecurityError
      return;
    }
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => {
      if (worker === this.#worker) {
        this.#receive(data);
      }
    });
    for (const kind of ["error", "messageerror"]) {
      worker.addEventListener(kind, (event) => {
        event.preventDefault?.();
        if (worker === this.#worker) {
          this.#fail(BLOCKED);
        }
      });
    }
    this.#timer = setTimeout(() => this.#fail(BLOCKED), MOST_START);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = null;
    this.#isReady = false;
    this.#open = null;
  }

  #fail(kind) {
    this.#stop();
    this.#jobs = [];
    this.#waiting = 0;
    this.#onFailure(kind);
  }

  // Asks the next question, if none is open.
  #next() {
    while (this.#isReady && this.#open === null && this.#jobs.length > 0) {
      const job = this.#jobs[0];
      const texts = [];
      let size = 0;
      for (let at = job.found.length; at < job.texts.length; at += 1) {
        size += job.texts[at].length;
        if (texts.length > 0 && (size > MOST_IN_QUESTION || texts.length === MOST_TEXTS)) {
          break;
        }
        texts.push(job.texts[at]);
      }
      if (texts.length === 0) {
        this.#jobs.shift();
        job.done(job.found);
        continue;
      }
      this.#asked += 1;
      this.#open = job;
      const { sources, most } = job;
      this.#worker.postMessage({ id: this.#asked, sources, texts, most });
    }
  }

  #receive({ ready, id, began, found, failed }) {
    if (ready) {
      clearTimeout(this.#timer);
      this.#isReady = true;
    } else if (began) {
      this.#timer = setTimeout(() => {
        this.#timer = setTimeout(() => this.#giveUp(), GRACE);
      }, MOST_TIME);
    } else if (id === this.#asked) {
      clearTimeout(this.#timer);
      const job = this.#open;
      this.#open = null;
      if (job !== "old") {
        if (failed) {
          this.#fail(INVALID);
          return;
        }
        job.found.push(...found);
        if (job.found.length === job.texts.length) {
          this.#waiting -= job.texts.reduce((sum, { length }) => sum + length, 0);
        }
      }
    }
    this.#next();
  }

  #giveUp() {
    if (this.#open === "old") {
      this.#stop();
      this.#begin();
    } else {
      this.#fail(SLOW);
    }
  }
}
