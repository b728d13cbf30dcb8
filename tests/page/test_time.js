import { readLine } from "../../twisted_sse/daemon/page/line/line.js";
import { DATED, SOMEWHERE, UNDATED } from "../../twisted_sse/daemon/page/line/time.js";
import { ARRIVED } from "./checking.js";
import { equal, ok, test } from "./testing.js";

function timeOf(text, arrived = ARRIVED) {
  return readLine(text, { arrived, type: "message" }).time;
}

function local(...fields) {
  return new Date(...fields).getTime();
}

const UTC = Date.UTC(2026, 10, 29, 2, 25, 25);
const LOCAL = local(2026, 10, 29, 2, 25, 25);

// Lines for each form, and their times.
const FORMS = {
  "ISO 8601, RFC 3339": {
    "2026-11-29T02:25:25Z x": UTC,
    "2026-11-29t02:25:25z x": UTC,
    "2026-11-29T03:25:25+01:00 x": UTC,
    "2026-11-29T02:25:25.123456789Z x": UTC + 123.456789,
    "2026-11-28 21:25:25,5 -0500 x": UTC + 500,
    "2026-11-29 03:25:25 CET x": UTC,
    "2026-11-28 18:25:25 PST x": UTC,
    "2026-11-29 02:25:25+00 x": UTC,
    "2026-11-29  2:25:25 x": LOCAL,
    "2026/11/29 02:25:25 x": LOCAL,
    "2026.11.29 02:25:25.5 x": LOCAL + 500,
    "2026-11-29_02:25:25 x": LOCAL,
    "[2026-11-29][02:25:25][x] y": LOCAL,
    "2026-11-29 02:25 x": local(2026, 10, 29, 2, 25),
    "2026-11-29 x": null,
    "2026-02-30 02:25:25 x": null,
    "2026-13-01 02:25:25 x": null,
    "2026-11-29 24:25:25 x": null,
    "2026-11-29 02:60:25 x": null,
    "2026-11-29T02:25:25+99:00 x": null,
  },
  "ISO 8601, basic": {
    "20261129T022525Z x": UTC,
    "20261129T022525.5Z x": UTC + 500,
    "20261129T022525 x": LOCAL,
  },
  "day, name, year": {
    "29-Nov-2026 02:25:25 x": LOCAL,
    "29 Nov 2026 02:25:25.5 x": LOCAL + 500,
    "[29/Nov/2026 02:25:25] x": LOCAL,
    "Sun, 29 Nov 2026 02:25:25 GMT x": UTC,
    "29-Nov-2026 02:25:25 UTC x": UTC,
  },
  "java.util.logging": {
    "Nov 29, 2026 2:25:25 AM x": LOCAL,
    "Nov 28, 2026 11:58:02 PM x": local(2026, 10, 28, 23, 58, 2),
    "Nov 28, 2026 12:00:00 AM x": local(2026, 10, 28, 0),
    "Nov 28, 2026 12:00:00 PM x": local(2026, 10, 28, 12),
    "Nov 28, 2026 13:00:00 PM x": null,
  },
  ctime: {
    "[Sun Nov 29 02:25:25 2026] x": LOCAL,
    "Sun Nov 29 02:25:25.5 UTC 2026 x": UTC + 500,
    "Sun Nov  1 02:25:25 2026 x": local(2026, 10, 1, 2, 25, 25),
  },
  slashes: {
    "11/29/2026 02:25:25 x": LOCAL,
    "11/29/26 02:25:25 x": LOCAL,
    "29/11/2026, 2:25:25 AM x": LOCAL,
    "26/11/29 02:25:25 x": LOCAL,
    "11/10/2026 02:25:25 x": local(2026, 10, 10, 2, 25, 25),
    "29/29/2026 02:25:25 x": null,
  },
  dots: { "29.11.2026 02:25:25 x": LOCAL, "29.11.26 02:25:25 x": LOCAL, "10.12.2026 x": null },
  "RFC 3164": {
    "Nov 29 02:25:25 web x": LOCAL,
    "Nov  1 02:25:25 web x": local(2026, 10, 1, 2, 25, 25),
    "Dec 31 23:59:59 web x": local(2025, 11, 31, 23, 59, 59),
    "Nov 29 2026 02:25:25: x": LOCAL,
  },
  logcat: { "11-29 02:25:25.5  1  2 E x: y": LOCAL + 500 },
  "six digits": { "261129 02:25:25 x": LOCAL, "261129  2:25:25 x": LOCAL },
  epoch: {
    "1795919125 x": UTC,
    "1795919125.5 x": UTC + 500,
    "1795919125123 x": UTC + 123,
    "1795919125123456: x": UTC + 123.456,
    "[1795919125123456789] x": UTC + 123.456789,
    "17959191 x": null,
    "1795919125x": null,
    "9999999999 x": null,
  },
};

const TIMES_OF_DAY = {
  clock: {
    "02:25:25 x": LOCAL,
    "02:25:25.5 x": LOCAL + 500,
    "2:25:25 AM x": LOCAL,
    "02:25:25| x": LOCAL,
    "[02:25:25] x": LOCAL,
    "11:58:02 PM x": local(2026, 10, 28, 23, 58, 2),
    "03:25:29 x": local(2026, 10, 29, 3, 25, 29),
    "03:25:31 x": local(2026, 10, 28, 3, 25, 31),
    "12:30:45:99 x": null,
    "12:30 x": null,
  },
  "kitchen clock": { "2:25AM x": local(2026, 10, 29, 2, 25), "2:25 x": null },
};

const ANYWHERE = {
  "in brackets": {
    "a - - [29/Nov/2026:02:25:25 +0000] x": UTC,
    "a - - [29/Nov/2026:02:25:25.5] x": LOCAL + 500,
    "a - - [29/Nov/2026 02:25:25] x": LOCAL,
  },
  audit: { "type=A msg=audit(1795919125.123:812): x": UTC + 123 },
  GIN: { "[GIN] 2026/11/29 - 02:25:25 | x": LOCAL },
};

for (const [table, examples] of [
  [DATED, FORMS],
  [UNDATED, TIMES_OF_DAY],
  [SOMEWHERE, ANYWHERE],
]) {
  for (const { name } of table) {
    test(`times of the form "${name}" are read`, () => {
      for (const [text, at] of Object.entries(examples[name])) {
        const is = timeOf(text)?.at ?? null;
        ok(is === at || Math.abs(is - at) < 0.001, `${text}: ${is}, not ${at}: right`);
      }
    });
  }
}

test("a time has flags for an explicit zone and for a fraction", () => {
  for (const [text, zoned, fraction] of [
    ["2026-11-29T02:25:25Z x", true, false],
    ["2026-11-29 02:25:25.1 x", false, true],
    ["1795919125 x", true, false],
    ["1795919125123 x", true, true],
  ]) {
    const time = timeOf(text);
    equal([time.zoned, time.fraction], [zoned, fraction], text);
  }
});

test("a time in Bunyan's short form is on the current day in UTC", () => {
  const at = Date.UTC(2026, 10, 29, 2, 25, 25);
  equal(timeOf("02:25:25Z x", at + 1000).at, at);
  equal(
    timeOf("23:59:59Z x", Date.UTC(2026, 10, 29, 0, 0, 1)).at,
    Date.UTC(2026, 10, 28, 23, 59, 59),
  );
});

test("times before 2000 or more than a day ahead are not recognised, and stay in the text", () => {
  const text = "2027-11-29 02:25:25 ERROR x";
  const line = readLine(text, { arrived: ARRIVED, type: "message" });
  equal([line.time, line.timeAt, line.pieces], [null, null, [[0, text.length]]]);
  equal(timeOf("1999-12-31T23:59:59Z x"), null);
  equal(timeOf("2000-01-01T00:00:00Z x").at, Date.UTC(2000, 0, 1));
  const day = 86_400_000;
  ok(timeOf(`${new Date(ARRIVED + day).toISOString()} x`) !== null, "a day ahead");
  equal(timeOf(`${new Date(ARRIVED + day + 1).toISOString()} x`), null);
});

test("a line in the new year may be from the old one", () => {
  const arrived = local(2027, 0, 1, 0, 0, 5);
  equal(timeOf("Dec 31 23:59:59 web x", arrived).at, local(2026, 11, 31, 23, 59, 59));
  equal(timeOf("Jan  1 00:00:04 web x", arrived).at, local(2027, 0, 1, 0, 0, 4));
  equal(timeOf("23:59:59 x", arrived).at, local(2026, 11, 31, 23, 59, 59));
});

test("the 29th of February is recognised in leap years only", () => {
  equal(timeOf("Feb 29 02:25:25 web x"), null);
  equal(timeOf("2024-02-29 02:25:25 x").at, local(2024, 1, 29, 2, 25, 25));
});

test("a time is valid on every day, even if a change of the clocks skips it", () => {
  const arrived = local(2026, 11, 31, 12);
  for (let day = 1; day <= 365; day++) {
    const date = new Date(Date.UTC(2026, 0, day));
    for (const clock of ["00:30:00", "01:30:00", "02:30:00", "03:30:00"]) {
      const text = `${date.toISOString().slice(0, 10)} ${clock} x`;
      const time = timeOf(text, arrived);
      ok(time !== null && !time.zoned, text);
    }
  }
});
