// Tests for clock.js and numbers.js.

"use strict";

import { Clock, showAge } from "../../twisted_sse/daemon/page/clock.js";
import { showCount, showNumber } from "../../twisted_sse/daemon/page/numbers.js";
import { equal, ok, test } from "./testing.js";

const SUNDAY = Date.UTC(2026, 10, 29, 2, 25, 25, 47);
const utc = new Clock(true);
const local = new Clock();

function entry(time, arrived = SUNDAY, replayed = false) {
  return { line: { time }, arrived, replayed };
}

test("times have two digits per part, three for milliseconds, and 24 hours", () => {
  equal(utc.time(SUNDAY), "02:25:25");
  equal(utc.exactTime(SUNDAY), "02:25:25.047");
  equal(utc.exactTime(Date.UTC(2026, 10, 30)), "00:00:00.000");
  equal(utc.exactTime(Date.UTC(2026, 10, 30, 23, 59, 59, 999)), "23:59:59.999");
});

test("fractions of a millisecond are cut off, not rounded into the next", () => {
  equal(utc.exactTime(SUNDAY + 0.999), "02:25:25.047");
  equal(utc.exactTime(Date.UTC(1969, 11, 31, 23, 59, 59, 999) + 0.5), "23:59:59.999");
});

test("a day is written in English, and a moment with its time", () => {
  equal(utc.day(Date.UTC(2026, 10, 30)), "Monday 30 November 2026");
  equal(utc.dayAndTime(SUNDAY), "Sunday 29 November 2026 at 02:25:25");
});

test("every day of a year has the name that Intl gives it in British English", () => {
  const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeZone: "UTC" });
  for (let day = 1; day <= 366; day += 1) {
    const at = Date.UTC(2028, 0, day, 12);
    equal(utc.day(at), format.format(at).replace(",", ""));
  }
});

test("local times are in the browser's zone, before and after a change of its clocks", () => {
  const format = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", hourCycle: "h23" });
  for (let hour = 0; hour < 366 * 24; hour += 1) {
    const at = SUNDAY + hour * 3600000;
    equal(local.time(at), format.format(at));
  }
});

test("two times are on the same day if they are so in the zone shown", () => {
  const midnight = Date.UTC(2026, 10, 30);
  ok(!utc.isSameDay(midnight - 1, midnight), "before midnight");
  ok(utc.isSameDay(midnight, midnight + 86399999), "one day");
  ok(!utc.isSameDay(midnight, midnight + 365 * 86400000), "a year later");
  const localMidnight = new Date(2026, 10, 30).getTime();
  ok(!local.isSameDay(localMidnight - 1, localMidnight), "before local midnight");
  ok(local.isSameDay(localMidnight, localMidnight + 3600000), "after local midnight");
});

test("the zone is named, including UTC", () => {
  equal(utc.zone(), "Times in UTC");
  equal(local.zone(), `Times in ${new Intl.DateTimeFormat().resolvedOptions().timeZone}`);
});

test("names of files have a time stamp without colons", () => {
  equal(utc.stamp(Date.UTC(2026, 0, 9, 1, 33, 13)), "20260109-013313");
});

test("a cell has as many digits as the line, else the arrival, else a dash", () => {
  const at = SUNDAY;
  equal(utc.cell(entry({ at, zoned: true, fraction: true })), {
    text: "02:25:25.047",
    isArrival: false,
  });
  equal(utc.cell(entry({ at, zoned: true, fraction: false })).text, "02:25:25");
  equal(utc.cell(entry(null)), { text: "02:25:25.047", isArrival: true });
  equal(utc.cell(entry(null, SUNDAY, true)), { text: "—", isArrival: false });
});

test("a tooltip shows when a line was written, when it arrived, and which part is a guess", () => {
  const at = SUNDAY;
  equal(
    utc.tooltip(entry({ at, zoned: true })),
    "Sunday 29 November 2026 at 02:25:25\nArrived 02:25:25",
  );
  equal(
    utc.tooltip(entry({ at, zoned: false })),
    "Sunday 29 November 2026 at 02:25:25 — no time zone in the line; read as local time\n" +
      "Arrived 02:25:25",
  );
  equal(
    utc.tooltip(entry(null)),
    "Arrived Sunday 29 November 2026 at 02:25:25 — no time was found in the line",
  );
  equal(
    utc.tooltip(entry(null, SUNDAY, true)),
    "Was there before this page opened; no time was found in the line",
  );
});

test("a tooltip has the day of the arrival if it differs", () => {
  equal(
    utc.tooltip(entry({ at: SUNDAY, zoned: true }, SUNDAY + 86400000)),
    "Sunday 29 November 2026 at 02:25:25\nArrived Monday 30 November 2026 at 02:25:25",
  );
});

test("an age is in a natural unit, and never negative", () => {
  for (const [seconds, text] of [
    [-60, "just now"],
    [0, "just now"],
    [4.9, "just now"],
    [5, "5 s ago"],
    [12.9, "12 s ago"],
    [59, "59 s ago"],
    [60, "1 min ago"],
    [300, "5 min ago"],
    [7199, "119 min ago"],
    [7200, "2 h ago"],
    [47 * 3600, "47 h ago"],
    [48 * 3600, "2 days ago"],
  ]) {
    equal(showAge(SUNDAY, SUNDAY + seconds * 1000), text);
  }
});

test("thousands have a comma, whatever the browser's language", () => {
  equal([0, 999, 1000, 17260, 1204551].map(showNumber).join(" "), "0 999 1,000 17,260 1,204,551");
});

test("a counted noun is in the plural, except for one", () => {
  equal([0, 1, 2, 5000].map((each) => showCount(each, "event")).join(", "), [
    ...["0 events", "1 event", "2 events", "5,000 events"],
  ].join(", "));
  equal(showCount(2, "entry", "entries"), "2 entries");
});
