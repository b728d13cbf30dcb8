// Tests for announce.js.

"use strict";

import {
  NewEvents,
  SearchCount,
  StateWord,
  newEvents,
} from "../../twisted_sse/daemon/page/announce.js";
import { equal, test } from "./testing.js";

// A window whose time passes on demand.
class Clock {
  now = 0;
  performance = { now: () => this.now };
  #timers = new Map();
  #number = 0;

  setTimeout(run, wait) {
    this.#number += 1;
    this.#timers.set(this.#number, { run, at: this.now + wait });
    return this.#number;
  }

  clearTimeout(number) {
    this.#timers.delete(number);
  }

  advance(milliseconds) {
    const end = this.now + milliseconds;
    while (this.now < end) {
      this.now += 100;
      for (const [number, { run, at }] of [...this.#timers]) {
        if (at <= this.now) {
          this.#timers.delete(number);
          run();
        }
      }
    }
  }
}

// A region that records each change of its text.
class Region {
  said = [];
  #text = "";

  get textContent() {
    return this.#text;
  }

  set textContent(text) {
    this.#text = text;
    this.said.push(text);
  }
}

function listen() {
  const [region, clock] = [new Region(), new Clock()];
  const news = new NewEvents(region, clock);
  news.enabled = true;
  return { region, clock, news };
}

test("new events are announced in one sentence, with the errors among them", () => {
  equal(newEvents(128, 3), "128 new events, 3 errors.");
  equal(newEvents(1, 1), "1 new event, 1 error.");
  equal(newEvents(17260, 0), "17,260 new events.");
});

test("nothing is announced unless the user wants it", () => {
  const [region, clock] = [new Region(), new Clock()];
  const news = new NewEvents(region, clock);
  news.add(5, 0);
  clock.advance(20000);
  equal(region.said, []);
});

test("there is at most one announcement in ten seconds, and it counts all events since the last", () => {
  const { region, clock, news } = listen();
  for (let tenth = 0; tenth < 300; tenth += 1) {
    news.add(20, tenth === 50 ? 2 : 0);
    clock.advance(100);
  }
  equal(region.said.length, 3);
  equal(region.said[0], "200 new events.");
  equal(region.said[1], "2,000 new events, 2 errors.");
});

test("an event after a long silence is announced within a second", () => {
  const { region, clock, news } = listen();
  clock.advance(60000);
  news.add(1, 0);
  clock.advance(1000);
  equal(region.said, ["1 new event."]);
});

test("the same sentence is announced again if it is true again", () => {
  const { region, clock, news } = listen();
  for (let count = 0; count < 3; count += 1) {
    news.add(1, 0);
    clock.advance(10000);
  }
  equal(region.said, ["1 new event.", "1 new event.\u00a0", "1 new event."]);
});

test("nothing is announced while the list is held, and afterwards no event from that time", () => {
  const { region, clock, news } = listen();
  news.add(7, 0);
  news.following = false;
  news.add(5, 0);
  clock.advance(20000);
  news.following = true;
  clock.advance(20000);
  equal(region.said, []);
  news.add(2, 0);
  clock.advance(1000);
  equal(region.said, ["2 new events."]);
});

test("repeating that the list follows does not silence the announcements", () => {
  const { region, clock, news } = listen();
  news.add(3, 0);
  news.following = true;
  clock.advance(1000);
  equal(region.said, ["3 new events."]);
});

test("switching announcements off drops a pending one", () => {
  const { region, clock, news } = listen();
  news.add(3, 0);
  news.enabled = false;
  clock.advance(20000);
  equal(region.said, []);
});

test("the state is announced when it changes, not every second", () => {
  const region = new Region();
  const state = new StateWord(region);
  for (const word of ["Live", "Reconnecting", "Reconnecting", "Reconnecting", "Live", "Live"]) {
    state.set(word);
  }
  equal(region.said, ["Live", "Reconnecting", "Live"]);
});

test("a search's result is announced once, a second after the last key, with its value then", () => {
  const [region, clock] = [new Region(), new Clock()];
  const count = new SearchCount(region, clock);
  let matches = 0;
  for (let key = 0; key < 5; key += 1) {
    count.typed(() => `${matches} events match`);
    clock.advance(900);
  }
  equal(region.said, []);
  matches = 12;
  clock.advance(100);
  equal(region.said, ["12 events match"]);
});
