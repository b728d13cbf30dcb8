// Tests for excerpt.js.

"use strict";

import { Excerpt, MOST } from "../../twisted_sse/daemon/page/excerpt.js";
import { equal, ok, test } from "./testing.js";

// Groups of one line each, with these numbers.
function groups(from, end, lines = 1) {
  const entries = new Array(lines).fill({});
  return Array.from({ length: end - from }, (_, i) => ({ number: from + i, entries }));
}

const numbers = (items) => items.map(({ number }) => number);
const range = (from, end) => Array.from({ length: end - from }, (_, i) => from + i);

test("the newest excerpt has as many events as fit, but at least one", () => {
  const passing = groups(1, 100, 3);
  const excerpt = new Excerpt({ passing });
  equal(numbers(excerpt.newest(10)), [97, 98, 99]);
  equal(numbers(excerpt.newest(2)), [99]);
  equal(new Excerpt({ passing: [] }).newest(10), []);
});

test("the visible events stay, and newer ones are added while there is room", () => {
  const filter = { passing: groups(1, 1000) };
  const excerpt = new Excerpt(filter);
  const shown = filter.passing.slice(100, 200);
  equal(numbers(excerpt.update(shown)), range(101, 101 + MOST));
  const full = filter.passing.slice(100, 100 + MOST);
  equal(numbers(excerpt.update(full)), numbers(full));
  filter.passing = filter.passing.filter(({ number }) => number !== 150);
  ok(!numbers(excerpt.update(shown)).includes(150), "no longer passing");
});

test("scrolling from one end to the other passes each item, with never more rows than allowed", () => {
  const filter = { passing: groups(1, 2000, 2) };
  const excerpt = new Excerpt(filter);
  let shown = excerpt.newest(160);
  const met = new Set(numbers(shown));
  for (let older = excerpt.older(shown); older !== shown; older = excerpt.older(shown)) {
    shown = older;
    numbers(shown).forEach((number) => met.add(number));
    ok(shown.length * 2 <= MOST, "rows");
  }
  equal([...met].sort((a, b) => a - b), range(1, 2000));
  for (let newer = excerpt.newer(shown); newer !== shown; newer = excerpt.newer(shown)) {
    shown = newer;
    ok(shown.length * 2 <= MOST, "rows");
  }
  equal(shown.at(-1).number, 1999);
});

test("the event with a number is found, or the next that passes, with its neighbours", () => {
  const filter = { passing: groups(1, 1000).filter(({ number }) => number % 10 === 0) };
  filter.passing.push({ number: 995, entries: [], marker: { text: "" } });
  const excerpt = new Excerpt(filter);
  equal(excerpt.around(500).event.number, 500);
  const { event, items } = excerpt.around(501);
  equal(event.number, 510);
  equal(numbers(items), numbers(filter.passing));
  equal(excerpt.around(991).event, undefined, "only a marker is later");
});

test("events dropped after the excerpt leave one notice, even if all after it were dropped", () => {
  const all = groups(1, 1000);
  const filter = { passing: all };
  const excerpt = new Excerpt(filter);
  const shown = all.slice(0, 100);
  const gone = all.slice(0, 300);
  gone.forEach((item) => (item.gone = true));
  excerpt.dropped(gone, shown);
  filter.passing = all.slice(300);
  const items = excerpt.newer(shown);
  equal(numbers(items.slice(0, 100)), range(1, 101));
  const [notice, next] = items.slice(100);
  equal(notice.marker.text, "200 events went by here and are no longer kept.");
  equal(next.number, 301);
  equal(excerpt.update(items).filter(({ isNotice }) => isNotice).length, 1);
});

test("events that did not pass are not counted as passed by", () => {
  const all = groups(1, 100);
  const filter = { passing: all.filter(({ number }) => number % 2 === 0) };
  const excerpt = new Excerpt(filter);
  const shown = filter.passing.slice(0, 5); // 2 to 10
  excerpt.dropped(all.slice(0, 20), shown);
  filter.passing = filter.passing.filter(({ number }) => number > 20);
  const text = excerpt.newer(shown).find(({ isNotice }) => isNotice).marker.text;
  equal(text, "5 events went by here and are no longer kept.");
});
