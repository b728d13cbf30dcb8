// Tests for shown.js.

"use strict";

import { liveFromHere, reconnected } from "../../twisted_sse/daemon/page/markers.js";
import { Shown } from "../../twisted_sse/daemon/page/shown.js";
import { View } from "../../twisted_sse/daemon/page/view.js";
import { groupOf } from "./entries.js";
import { equal, test } from "./testing.js";

// Numbers the groups, in the order in which they are kept.
function keep(...items) {
  return items.map((item, i) => ({ number: i + 1, type: "message", version: 0, entries: [], ...item }));
}

const marker = (made) => ({ marker: made });

function make(passing) {
  const list = document.createElement("ol");
  const search = { isEmpty: true, marksCell: () => false };
  const shown = new Shown({ list, filter: { passing }, search, view: new View({}) });
  const said = () =>
    [...list.children]
      .filter((row) => !row.hidden)
      .map((row) => (row.querySelector(".message") ?? row).textContent);
  return { shown, said };
}

test("rows are in the order of their events, and rows no longer wanted are removed", () => {
  const items = keep(groupOf("one"), groupOf("two"), groupOf("three"));
  const { shown, said } = make(items);
  shown.show(items.slice(0, 2), false);
  equal(said(), ["one", "two"]);
  shown.show(items.slice(1), false);
  equal(said(), ["two", "three"]);
  shown.newestFirst = true;
  shown.redraw();
  equal(said(), ["three", "two"]);
});

test("two identical markers are never adjacent, whatever the filter removes", () => {
  const items = keep(
    ...[marker(liveFromHere("/")), groupOf("one"), marker(liveFromHere("/"))],
    ...[marker(reconnected(4, "/")), groupOf("two")],
  );
  const { shown, said } = make(items);
  shown.show(items, false);
  const [live, back] = ["Live from here", "Reconnected after 4 s. No events were lost."];
  equal(said(), [live, "one", live, back, "two"]);
  shown.show(items.filter((item) => item !== items[1]), false);
  equal(said(), [live, back, "two"]);
  shown.show(items, false);
  equal(said(), [live, "one", live, back, "two"]);
});

test("a note above the first row reports that older events are no longer kept", () => {
  const items = keep(groupOf("one"));
  const { shown, said } = make(items);
  shown.show(items, true);
  equal(said(), ["Older events are no longer kept.", "one"]);
  shown.show(items, false);
  equal(said(), ["one"]);
});

test("a change of the day has a marker", () => {
  const items = keep(groupOf("2026-11-29T12:00:00 one"), groupOf("2026-11-30T12:00:00 two"));
  const { shown, said } = make(items);
  shown.show(items, false);
  equal(said(), ["one", "Monday 30 November 2026", "two"]);
});
