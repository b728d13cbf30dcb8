// Tests for counts.js.

"use strict";

import { countLevels, Rates, sinceWhen } from "../../twisted_sse/daemon/page/counts.js";
import { groupOf } from "./entries.js";
import { equal, test } from "./testing.js";

test("events are counted by the second of their arrival", () => {
  const rates = new Rates(0);
  rates.count(1, 100);
  rates.count(1, 900);
  rates.tick(1000);
  equal(rates.last, 2);
  rates.count(3, 1500);
  equal([rates.last, rates.now], [2, 3]);
  rates.tick(2010);
  equal([rates.last, rates.now], [3, 0]);
  equal(rates.perSecond.slice(-3), [0, 2, 3]);
  equal(rates.perSecond.length, 60);
});

test("after a late tick, as in a hidden page, no minute counts as a second", () => {
  const rates = new Rates(0);
  for (let second = 0; second < 70; second += 1) {
    rates.count(5, second * 1000 + 500);
  }
  rates.tick(70000);
  equal(rates.perSecond, new Array(60).fill(5));
});

test("seconds in which no code ran had no events", () => {
  const rates = new Rates(0);
  rates.count(5, 500);
  rates.count(7, 3500);
  rates.tick(4000);
  equal(rates.perSecond.slice(-4), [5, 0, 0, 7]);
  rates.tick(24 * 3600 * 1000);
  equal(rates.perSecond, new Array(60).fill(0));
});

test("groups are counted for each chip that includes them, markers for none", () => {
  const items = [groupOf("ERROR: a"), groupOf("WARN: b"), groupOf("plain"), { marker: {} }];
  equal(countLevels(items), { "": 3, error: 1, warn: 2, info: 2 });
});

test("the oldest time is that of the first event that has one", () => {
  const [first, second] = [groupOf("plain"), groupOf("2026-11-29T01:33:13Z x")];
  first.entries[0].replayed = true;
  equal(sinceWhen([{ marker: {} }, first, second]), Date.UTC(2026, 10, 29, 1, 33, 13));
  equal(sinceWhen([]), null);
});
