// Tests for kept.js.

"use strict";

import { Kept, MOST_EVENTS } from "../../twisted_sse/daemon/page/kept.js";
import { reconnected } from "../../twisted_sse/daemon/page/markers.js";
import { equal, ok, test } from "./testing.js";

function entry(size = 100, level = "") {
  return { source: "/log", type: "message", size, line: { level } };
}

function keep() {
  const dropped = [];
  return { kept: new Kept((gone) => dropped.push(...gone)), dropped };
}

test("of more events than are kept, the oldest are dropped, 500 at a time", () => {
  const { kept, dropped } = keep();
  for (let i = 0; i < MOST_EVENTS + 501; i += 1) {
    kept.add(entry());
  }
  equal([kept.events, kept.dropped, dropped.length], [MOST_EVENTS + 1, 500, 500]);
  ok(dropped.every(({ gone }) => gone), "whether they are marked as gone");
  equal(kept.items[0].number, 501);
});

test("large events push out no more of the others than they need the place of", () => {
  const { kept } = keep();
  for (let i = 0; i < 40; i += 1) {
    kept.add(entry(2 ** 20));
  }
  ok(kept.events >= 24, `that ${kept.events} are kept`);
  ok(kept.events <= 32, `that ${kept.events} are kept`);
  equal(kept.events + kept.dropped, 40);
});

test("the newest event is kept, however large it is", () => {
  const { kept } = keep();
  kept.add(entry());
  kept.add(entry(2 ** 26));
  equal([kept.events, kept.dropped], [1, 1]);
});

test("markers without events between them do not add up without end", () => {
  const { kept } = keep();
  for (let i = 0; i < 3 * MOST_EVENTS; i += 1) {
    kept.mark(reconnected(i, "/log"));
  }
  ok(kept.items.length <= 2 * MOST_EVENTS, `that ${kept.items.length} are kept`);
  equal(kept.items.at(-1).marker.text, "Reconnected after 14999 s. No events were lost.");
  equal([kept.events, kept.dropped], [0, 0]);
});

test("two markers that say the same are one", () => {
  const { kept } = keep();
  ok(kept.mark(reconnected(4, "/log")) !== null, "whether the first is kept");
  equal(kept.mark(reconnected(4, "/log")), null);
});

test("a group whose head has no level has that of its worst line", () => {
  const { kept } = keep();
  const group = kept.add(entry());
  kept.join(group, entry(100, "error"));
  kept.join(group, entry(100, "info"));
  equal([group.level, group.version], ["error", 2]);
  const other = kept.add(entry(100, "info"));
  kept.join(other, entry(100, "error"));
  equal(other.level, "info");
});
