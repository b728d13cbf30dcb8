// Combines the styles and marks of a text into one list of runs.

"use strict";

// Converts runs ({start, end, ..}) from positions in a text to positions in its joined pieces
// ([start, end], in the order of the text).
export function mapRuns(pieces, runs) {
  const mapped = [];
  let shown = 0;
  let first = 0; // the first run that ends after the start of the piece
  for (const [from, to] of pieces) {
    while (first < runs.length && runs[first].end <= from) {
      first += 1;
    }
    for (let at = first; at < runs.length && runs[at].start < to; at += 1) {
      const start = shown + Math.max(runs[at].start - from, 0);
      const end = shown + Math.min(runs[at].end, to) - from;
      if (start < end) {
        mapped.push({ ...runs[at], start, end });
      }
    }
    shown += to - from;
  }
  return mapped;
}

// The index of the first range that ends after a position. list is sorted and does not overlap;
// next is the first index to check.
function advance(list, next, at) {
  while (next < list.length && list[next].end <= at) {
    next += 1;
  }
  return next;
}

// Runs [{start, end, style, mark}] that cover 0 to length: style is null or one of styles ({start,
// end, ..}), mark is whether one of marks ([start, end]) covers the run. Both are sorted and do not
// overlap.
export function mergeRuns(length, styles, marks) {
  const looks = styles ?? [];
  const marked = marks.map(([start, end]) => ({ start, end }));
  const runs = [];
  let [look, mark] = [0, 0];
  for (let start = 0; start < length;) {
    look = advance(looks, look, start);
    mark = advance(marked, mark, start);
    let end = length;
    for (const next of [looks[look], marked[mark]]) {
      if (next !== undefined) {
        end = Math.min(end, next.start > start ? next.start : next.end);
      }
    }
    const style = looks[look]?.start <= start ? looks[look] : null;
    const isMarked = marked[mark]?.start <= start;
    const last = runs.at(-1);
    if (last !== undefined && last.style === style && last.mark === isMarked) {
      last.end = end;
    } else {
      runs.push({ start, end, style, mark: isMarked });
    }
    start = end;
  }
  return runs;
}
