// Styles and marks of a text as one list of runs.

"use strict";

// The runs ({start, end, ..}, in positions of a text), in positions of its pieces ([start, end],
// in the order of the text) put together.
export function mapRuns(pieces, runs) {
  const mapped = [];
  let shown = 0;
  let first = 0; // the first run that does not end before the piece
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

// The position where what holds at a position changes next, and what holds there: list is sorted
// and does not overlap; next is the first of it that may still count.
function advance(list, next, at) {
  while (next < list.length && list[next].end <= at) {
    next += 1;
  }
  return next;
}

// Runs [{start, end, style, mark}] that cover 0 to length: style is null or one of styles ({start,
// end, ..}), mark whether one of marks ([start, end]) is there. Both are sorted and do not overlap.
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
