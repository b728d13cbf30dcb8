// Styles and marks as one list of runs.

"use strict";

import { mapRuns, mergeRuns } from "../../twisted_sse/daemon/page/search/runs.js";
import { Random } from "./random.js";
import { equal, ok, test } from "./testing.js";

// Random runs that do not overlap, in order.
function someRuns(random, length) {
  const runs = [];
  for (let at = random.below(4); at < length; at += random.below(3)) {
    const start = at;
    at += 1 + random.below(6);
    runs.push({ start, end: at, name: runs.length });
  }
  return runs;
}

test("without styles and marks there is one run, and none in no text", () => {
  equal(mergeRuns(5, null, []), [{ start: 0, end: 5, style: null, mark: false }]);
  equal(mergeRuns(0, [], []), []);
});

test("a mark is cut where styles change, and a style where marks do", () => {
  const red = { start: 2, end: 6, foreground: 1 };
  equal(
    mergeRuns(
      9,
      [red],
      [
        [1, 3],
        [5, 8],
      ],
    ),
    [
      { start: 0, end: 1, style: null, mark: false },
      { start: 1, end: 2, style: null, mark: true },
      { start: 2, end: 3, style: red, mark: true },
      { start: 3, end: 5, style: red, mark: false },
      { start: 5, end: 6, style: red, mark: true },
      { start: 6, end: 8, style: null, mark: true },
      { start: 8, end: 9, style: null, mark: false },
    ],
  );
});

test("adjacent marks are merged, and those beyond the text are cut", () => {
  const red = { start: 3, end: 99 };
  equal(
    mergeRuns(
      4,
      [red],
      [
        [0, 1],
        [1, 2],
        [4, 7],
      ],
    ),
    [
      { start: 0, end: 2, style: null, mark: true },
      { start: 2, end: 3, style: null, mark: false },
      { start: 3, end: 4, style: red, mark: false },
    ],
  );
});

test("runs cover the text once, are not empty, and have the style and mark of each position", () => {
  const random = new Random(17);
  for (let round = 0; round < 500; round += 1) {
    const length = random.below(40);
    const styles = random.below(5) === 0 ? null : someRuns(random, length);
    const marks = someRuns(random, length).map(({ start, end }) => [start, end]);
    const runs = mergeRuns(length, styles, marks);
    let at = 0;
    for (const { start, end, style, mark } of runs) {
      ok(start === at && end > start, `${start} after ${at}`);
      for (; at < end; at += 1) {
        const place = at;
        const has = (each) => each.start <= place && place < each.end;
        equal(style, (styles ?? []).find(has) ?? null);
        equal(
          mark,
          marks.some(([from, to]) => from <= place && place < to),
        );
      }
    }
    equal(at, length);
    runs.slice(1).forEach(({ style, mark }, before) => {
      ok(style !== runs[before].style || mark !== runs[before].mark, "could be one run");
    });
  }
});

test("runs are where their characters are in the pieces", () => {
  const run = { start: 1, end: 6, bold: true };
  equal(mapRuns([[0, 10]], [run]), [run]);
  equal(mapRuns([[4, 10]], [run]), [{ start: 0, end: 2, bold: true }]);
  equal(
    mapRuns(
      [
        [0, 2],
        [4, 5],
      ],
      [run],
    ),
    [
      { start: 1, end: 2, bold: true },
      { start: 2, end: 3, bold: true },
    ],
  );
  equal(mapRuns([[6, 9]], [run]), []);
  equal(mapRuns([], [run]), []);
  equal(
    mapRuns(
      [
        [0, 0],
        [1, 2],
      ],
      [],
    ),
    [],
  );
  equal(
    mapRuns(
      [
        [2, 2],
        [3, 4],
      ],
      [run],
    ),
    [{ start: 0, end: 1, bold: true }],
  );
});

test("each character of the pieces keeps its style and mark", () => {
  const random = new Random(19);
  for (let round = 0; round < 500; round += 1) {
    const length = random.below(40);
    const pieces = someRuns(random, length).map(({ start, end }) => [start, Math.min(end, length)]);
    const runs = someRuns(random, length);
    const nameAt = (list, at) => list.find(({ start, end }) => start <= at && at < end)?.name;
    const wanted = pieces.flatMap(([start, end]) =>
      Array.from({ length: end - start }, (_, at) => nameAt(runs, start + at)),
    );
    const mapped = mapRuns(pieces, runs);
    equal(
      wanted.map((_, at) => nameAt(mapped, at)),
      wanted,
    );
    ok(
      mapped.every(({ start, end }) => start < end && end <= wanted.length),
      "within the pieces",
    );
  }
});
