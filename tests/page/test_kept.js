// Tests for kept.js and filter.js.

"use strict";

import { Filter } from "../../twisted_sse/daemon/page/filter.js";
import { Kept, MOST_EVENTS } from "../../twisted_sse/daemon/page/kept.js";
import { equal, ok, test } from "./testing.js";

function entry(level = "", { source = "/", type = "message", size = 1 } = {}) {
  return { source, type, size, line: { level } };
}

// A search that finds groups with a word, immediately or when answer() is called.
class FakeSearch {
  isEmpty = true;
  waits = false;
  answers = [];
  wanted = () => true;

  ask(groups, done) {
    const answer = () => done(groups.map((group) => this.wanted(group)));
    if (this.waits) {
      this.answers.push(answer);
    } else {
      answer();
    }
  }
}

function make() {
  const kept = new Kept(() => filter.drop());
  const search = new FakeSearch();
  const filter = new Filter(kept, search);
  const add = (level, more) => {
    const group = kept.add(entry(level, more));
    filter.update([group], () => {});
    return group;
  };
  return { kept, search, filter, add };
}

const numbers = (items) => items.map(({ number }) => number);

test("a group gets the level of its most severe line if its head has none", () => {
  const kept = new Kept(() => {});
  const without = kept.add(entry(""));
  for (const level of ["info", "error", "warn", ""]) {
    kept.join(without, entry(level));
  }
  equal([without.level, without.entries.length, without.version], ["error", 5, 4]);
  const info = kept.add(entry("info"));
  kept.join(info, entry("fatal"));
  equal(info.level, "info");
  equal(kept.events, 2);
});

test("no marker follows an identical one", () => {
  const kept = new Kept(() => {});
  ok(kept.mark({ text: "a" }) !== null, "first");
  ok(kept.mark({ text: "a" }) === null, "again");
  ok(kept.mark({ text: "b" }) !== null, "other");
  kept.add(entry());
  ok(kept.mark({ text: "b" }) !== null, "after an event");
  equal([kept.events, kept.items.length], [1, 4]);
});

test("the oldest groups are dropped together, reported and flagged, and the counts are right", () => {
  const gone = [];
  const kept = new Kept((items) => gone.push(...items));
  for (let i = 0; i < MOST_EVENTS + 500; i += 1) {
    kept.add(entry());
  }
  equal([kept.events, kept.dropped, gone.length], [5500, 0, 0]);
  kept.add(entry());
  equal([kept.events, kept.dropped, gone.length], [5001, 500, 500]);
  ok(gone.every((item) => item.gone), "flags");
  equal([kept.items[0].number, kept.items.length], [501, 5001]);
});

test("large events take the place of many, but the newest stays", () => {
  const kept = new Kept(() => {});
  for (let i = 0; i < 3000; i += 1) {
    kept.add(entry("", { size: 2 ** 14 }));
  }
  ok(kept.events * 2 ** 14 <= 2 ** 25, `${kept.events} events`);
  equal(kept.events + kept.dropped, 3000);
  const huge = kept.add(entry("", { size: 2 ** 26 }));
  equal(kept.items, [huge]);
});

test("large events displace no more of the others than they need", () => {
  const kept = new Kept(() => {});
  for (let i = 0; i < 40; i += 1) {
    kept.add(entry("", { size: 2 ** 20 }));
  }
  ok(kept.events >= 24 && kept.events <= 32, `${kept.events} events`);
  equal(kept.events + kept.dropped, 40);
});

test("markers without events between them do not accumulate endlessly", () => {
  const kept = new Kept(() => {});
  for (let i = 0; i < 3 * MOST_EVENTS; i += 1) {
    kept.mark({ text: `Reconnected after ${i} s.` });
  }
  ok(kept.items.length <= 2 * MOST_EVENTS, `${kept.items.length} markers`);
  equal(kept.items.at(-1).marker.text, `Reconnected after ${3 * MOST_EVENTS - 1} s.`);
  equal([kept.events, kept.dropped], [0, 0]);
});

test("a cleared list counts from zero, and its numbers continue", () => {
  const kept = new Kept(() => {});
  const group = kept.add(entry());
  kept.clear();
  equal([kept.events, kept.dropped, kept.items, group.gone], [0, 0, [], true]);
  equal(kept.add(entry()).number, 2);
});

test("levels, types, sources and the search are combined, and markers pass all but sources", () => {
  const { kept, search, filter, add } = make();
  add("error", { type: "a", source: "/x" });
  add("info", { type: "a", source: "/x" });
  add("error", { type: "b", source: "/y" });
  filter.update([kept.mark({ text: "m", source: "/x" })], () => {});
  equal(numbers(filter.passing), [1, 2, 3, 4]);
  equal(filter.isOn, false);
  filter.level = "error";
  filter.refresh(() => {});
  equal([numbers(filter.passing), filter.events, filter.isOn], [[1, 3, 4], 2, true]);
  filter.types.add("a");
  filter.refresh(() => {});
  equal(numbers(filter.passing), [1, 4]);
  search.isEmpty = false;
  search.wanted = () => false;
  filter.refresh(() => {});
  equal(numbers(filter.passing), [4]);
  filter.sources = new Set(["/y"]);
  filter.refresh(() => {});
  equal(numbers(filter.passing), []);
});

test("a group that passes because of a later line gets its place in the order", () => {
  const { kept, filter, add } = make();
  filter.level = "error";
  const first = add("");
  add("error");
  kept.join(first, entry("error"));
  filter.update([first], () => {});
  equal(numbers(filter.passing), [1, 2]);
});

test("events that arrive while the search waits for its worker are neither lost nor shown twice", () => {
  const { search, filter, add } = make();
  add("info");
  add("info");
  search.isEmpty = false;
  search.waits = true;
  filter.refresh(() => {});
  add("info");
  const [whole, single] = search.answers.splice(0);
  single();
  whole();
  equal(numbers(filter.passing), [1, 2, 3]);
});

test("a result for an old query changes nothing", () => {
  const { search, filter, add } = make();
  add("info");
  search.isEmpty = false;
  search.waits = true;
  filter.refresh(() => {});
  search.wanted = () => false;
  filter.refresh(() => {});
  const [old, fresh] = search.answers;
  fresh();
  search.wanted = () => true;
  old();
  equal(numbers(filter.passing), []);
});

test("a group that was searched before the query changed is searched again", () => {
  const { search, filter, add } = make();
  search.isEmpty = false;
  search.waits = true;
  add("info");
  filter.refresh(() => {});
  const answers = search.answers.splice(0);
  answers.reverse().forEach((answer) => answer());
  search.answers.forEach((answer) => answer());
  equal(numbers(filter.passing), [1]);
});
