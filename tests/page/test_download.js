// Tests for download.js and chart.js.

"use strict";

import { bars } from "../../twisted_sse/daemon/page/chart.js";
import { asJSONLines, asText, fileName } from "../../twisted_sse/daemon/page/download.js";
import { equal, ok, test } from "./testing.js";

const ARRIVED = Date.UTC(2026, 10, 29, 1, 33, 13, 70);

function entry(data, more = {}) {
  return {
    source: "/log",
    type: "message",
    id: "7",
    data,
    arrived: ARRIVED + 0.25,
    replayed: false,
    line: { level: "", time: null },
    ...more,
  };
}

test("a text has the events as received, to the byte, and LF after each", () => {
  const data = ["plain", "\u001b[31mred\u001b[0m ", "two\nlines", "", "\ufeffé😀\u202e\0\t"];
  equal(asText(data.map((each) => entry(each))), data.map((each) => `${each}\n`).join(""));
  equal(asText([]), "");
});

test("JSON Lines have the same six keys for each event, in the same order", () => {
  const time = { at: ARRIVED - 1000.5, zoned: true, fraction: true };
  const text = asJSONLines([entry('a "b"\nc', { line: { level: "error", time } })]);
  equal(
    text,
    '{"time":"2026-11-29T01:33:12.069Z","level":"error","source":"/log","type":"message",' +
      '"id":"7","data":"a \\"b\\"\\nc"}\n',
  );
});

test("missing fields of an event are null in JSON Lines, and no time is invented", () => {
  const lines = asJSONLines([
    entry("came", { id: "" }),
    entry("was there", { replayed: true }),
  ]).split("\n");
  equal(lines.length, 3);
  const [came, wasThere] = lines.slice(0, 2).map((line) => JSON.parse(line));
  equal([came.time, came.level, came.id], ["2026-11-29T01:33:13.070Z", null, null]);
  equal(wasThere.time, null);
});

test("a file is named after the source and the time", () => {
  equal(fileName("app.log", "20261129-013313", "log"), "app.log-20261129-013313.log");
  equal(fileName("app.log", "20261129-013313", "jsonl"), "app.log-20261129-013313.jsonl");
});

test("no name leads to another folder, is hidden, or is refused by an operating system", () => {
  const name = (label) => fileName(label, "S", "log");
  equal(name("../../etc/passwd"), "etc-passwd-S.log");
  equal(name(".profile"), "profile-S.log");
  equal(name("ping localhost"), "ping-localhost-S.log");
  equal(name('a<b>:"|?*\\c'), "a-b-c-S.log");
  equal(name("a\u0000\u202egol.exe"), "agol.exe-S.log");
  equal(name(""), "events-S.log");
  equal(name("/"), "events-S.log");
  ok(name("x".repeat(1000)).length < 120, "length");
  equal(name("журнал"), "журнал-S.log");
});

test("a chart has a bar for each second with an event", () => {
  equal(bars([0, 5, 10, 0], 8, 20), [
    { x: 2, y: 10, width: 2, height: 10 },
    { x: 4, y: 0, width: 2, height: 20 },
  ]);
  equal(bars(new Array(60).fill(0), 96, 20), []);
  equal(bars([], 96, 20), []);
});

test("bars are in whole pixels, side by side, and end at the chart's right edge", () => {
  for (const [width, height] of [[96, 20], [120, 28], [144, 30], [240, 56], [50, 20]]) {
    const shown = bars(Array.from({ length: 60 }, (_, index) => index + 1), width, height);
    equal(shown.length, 60);
    const last = shown.at(-1);
    ok(last.x + last.width >= width - 1 && last.x <= width, `${width}`);
    for (const bar of shown) {
      ok(Object.values(bar).every(Number.isInteger), JSON.stringify(bar));
      ok(bar.y >= 0 && bar.y + bar.height === height, JSON.stringify(bar));
    }
  }
});

test("one event among thousands is still visible, and a single one fills the chart", () => {
  equal(bars([1, 2000], 2, 20)[0].height, 1);
  equal(bars([1], 1, 20)[0].height, 20);
});
