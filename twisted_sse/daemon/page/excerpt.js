// The part of the passing events that is in the page: some rows around the user's position.
//
// Items in the page stay there when they are dropped from memory; a notice stands for those dropped
// after them.

"use strict";

import * as markers from "./markers.js";
import { indexOf } from "./sorted.js";

export const MOST = 400; // rows in the page while the user reads
const STEP = 100; // rows that are added when the user scrolls on

export class Excerpt {
  #filter;
  #wentBy = 0; // events after the excerpt that were dropped

  constructor(filter) {
    this.#filter = filter;
  }

  // The newest items, up to this number of rows.
  newest(rows) {
    const { passing } = this.#filter;
    return takeLast(passing, passing.length, rows);
  }

  oldest() {
    return take(this.#filter.passing, 0, MOST);
  }

  // The event with a number, or the next one that passes, with the items around it. The event is
  // undefined if only older ones pass.
  around(number) {
    const { passing } = this.#filter;
    this.forget();
    const found = passing.findIndex((item) => isEvent(item) && item.number >= number);
    const i = found < 0 ? passing.length : found;
    const before = takeLast(passing, i, MOST / 2);
    return { event: passing[i], items: [...before, ...take(passing, i, MOST - countRows(before))] };
  }

  // The items in the page that still pass, and newer ones while there is room.
  update(shown) {
    const { passing } = this.#filter;
    const start = indexOf(passing, shown[0]?.number ?? 0);
    const last = shown.at(-1)?.number ?? 0;
    const stays = shown.filter((item) => item.gone === true || item.isNotice === true);
    const between = passing.slice(start, indexOf(passing, last + 0.1));
    const items = [...stays, ...between].sort((a, b) => a.number - b.number);
    return this.#extend(items, MOST - countRows(items), last);
  }

  // The excerpt with some older items added, and some removed at the other end.
  older(shown) {
    const { passing } = this.#filter;
    const older = takeLast(passing, indexOf(passing, shown[0]?.number ?? 0), STEP);
    return older.length === 0 ? shown : take([...older, ...shown], 0, MOST);
  }

  newer(shown) {
    const more = this.#extend(shown, STEP, 0);
    return more.length === shown.length ? shown : takeLast(more, more.length, MOST);
  }

  // Items that passed the filter were dropped from memory.
  dropped(items, shown) {
    const { passing } = this.#filter;
    const last = shown.at(-1)?.number ?? 0;
    for (const item of items) {
      const passed = passing[indexOf(passing, item.number)] === item;
      this.#wentBy += item.number > last && isEvent(item) && passed ? 1 : 0;
    }
  }

  // Stops counting dropped events.
  forget() {
    this.#wentBy = 0;
  }

  // Adds newer items, up to a number of rows. after: the number of the last item, if there is none.
  #extend(items, rows, after) {
    const { passing } = this.#filter;
    const last = items.at(-1)?.number ?? after;
    const start = indexOf(passing, last + 0.1);
    if (rows <= 0 || start === passing.length) {
      return items;
    }
    const notice = [];
    if (this.#wentBy > 0) {
      const marker = markers.wentBy(this.#wentBy);
      notice.push({ number: last + 0.01, marker, entries: [], version: 0, isNotice: true });
      this.#wentBy = 0;
    }
    return [...items, ...notice, ...take(passing, start, rows)];
  }
}

export const isEvent = (item) => item.marker === undefined;
const sizeOf = (item) => Math.max(1, item.entries.length);
const countRows = (items) => items.reduce((sum, item) => sum + sizeOf(item), 0);

// Items from an index on, up to this number of rows, but at least one item.
function take(items, start, rows) {
  let end = start;
  for (let sum = 0; end < items.length && (sum === 0 || sum + sizeOf(items[end]) <= rows); end += 1) {
    sum += sizeOf(items[end]);
  }
  return items.slice(start, end);
}

// The same, before an index.
function takeLast(items, end, rows) {
  let start = end;
  for (let sum = 0; start > 0 && (sum === 0 || sum + sizeOf(items[start - 1]) <= rows); start -= 1) {
    sum += sizeOf(items[start - 1]);
  }
  return items.slice(start, end);
}
