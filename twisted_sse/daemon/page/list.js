// The list: a window of what passes the filter is in the page, and slides over it.
//
// It follows the newest events, or is held where the reader is: then nothing moves that is in view.

"use strict";

import * as markers from "./markers.js";
import { Place } from "./place.js";
import { Shown } from "./shown.js";
import { indexOf } from "./sorted.js";

const FOLLOWING = 160; // rows in the page
const HELD = 400;
const STEP = 100; // rows that the window slides by
const NEAR = 800; // pixels to its edge, where it slides
const AT_END = 24; // pixels to the newest row, where it counts as read
const ROW = 24; // pixels of a row

const isEvent = (item) => item.marker === undefined;

export class List {
  mode = "following"; // or "held", "paused"
  isFlooded = false; // then the window is as small as it can be
  #element;
  #scroller;
  #filter;
  #kept;
  #onMode;
  #place;
  #shown;
  #seen = 0; // the number of the newest item that was in view
  #wentBy = 0; // events below the window that were dropped

  // onMode() is called when `mode` has changed.
  constructor({ scroller, list, filter, search, view, kept, onMode }) {
    this.#element = list;
    this.#scroller = scroller;
    this.#filter = filter;
    this.#kept = kept;
    this.#onMode = onMode;
    this.#place = new Place(scroller, list);
    this.#shown = new Shown({ list, filter, search, view });
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    list.addEventListener("focusin", ({ target }) => this.#focused(target.closest("li")));
    const resized = new ResizeObserver(() => this.#settle());
    resized.observe(scroller);
    resized.observe(list);
  }

  get isEmpty() {
    return this.#shown.items.length === 0;
  }

  // Events that pass and have not been in view.
  get unseen() {
    const { passing } = this.#filter;
    return passing.slice(indexOf(passing, this.#seen + 0.1)).filter(isEvent);
  }

  get newestFirst() {
    return this.#shown.newestFirst;
  }

  // redraw() or refilter() shows it.
  set newestFirst(value) {
    this.#shown.newestFirst = value;
  }

  setMode(mode) {
    if (mode === this.mode) {
      return;
    }
    if (this.mode === "following") {
      this.#seen = this.#filter.passing.at(-1)?.number ?? 0;
      this.#place.remember();
    }
    this.mode = mode;
    this.#wentBy = 0;
    if (mode === "following") {
      this.#place.forget();
    }
    this.draw();
    this.#onMode();
  }

  // Brings the page up to date with what passes.
  draw() {
    if (this.mode === "following") {
      this.#show(this.#newest());
      this.#toNewest();
      this.#putTabStop(this.#shown.items.findLast(isEvent));
    } else {
      this.#place.keep(() => this.#show(this.#held()));
    }
  }

  // The filter passes other events now. The row at the top keeps its place, or the next one that
  // passes takes it.
  refilter() {
    this.#wentBy = 0;
    if (this.mode === "following") {
      this.#shown.clear();
      this.draw();
      return;
    }
    const { passing } = this.#filter;
    const number = this.#place.held?.number ?? 0;
    const found = passing.findIndex((item) => isEvent(item) && item.number >= number);
    const i = found < 0 ? passing.length : found;
    const before = takeLast(passing, i, HELD / 2);
    this.#shown.clear();
    this.#show([...before, ...take(passing, i, HELD - countRows(before))]);
    const row = this.#shown.of(passing[i])?.head;
    if (row !== undefined) {
      this.#place.give(row);
    } else if (passing.some(isEvent)) {
      this.#toNewest();
      this.#place.remember();
    }
  }

  // All rows look different now.
  redraw() {
    const held = this.#place.held?.row.item;
    this.#shown.redraw();
    const row = this.#shown.of(held)?.rows.at(0);
    if (this.mode !== "following" && row !== undefined) {
      this.#place.give(this.#shown.of(held).head ?? row);
    }
    this.draw();
  }

  // Items were dropped from memory. Those in the page stay while they are read.
  dropped(items) {
    if (this.mode === "following") {
      return;
    }
    const { passing } = this.#filter;
    const last = this.#shown.last;
    for (const item of items) {
      const passed = passing[indexOf(passing, item.number)] === item;
      this.#wentBy += item.number > last && isEvent(item) && passed ? 1 : 0;
    }
  }

  clear() {
    this.#shown.clear();
    this.#place.forget();
    this.#wentBy = 0;
  }

  goToOldest() {
    this.setMode(this.mode === "paused" ? "paused" : "held");
    const { passing } = this.#filter;
    this.#shown.clear();
    this.#show(take(passing, 0, HELD));
    this.#focus(passing.find(isEvent));
  }

  // To the next event as they are read, or the one before it: by is 1 or -1. The first time to the one
  // that has the Tab stop.
  move(by) {
    const { items, current } = this.#shown;
    this.#hold();
    const step = this.newestFirst ? -by : by;
    let i = items.indexOf(current) + (this.#hasFocus ? step : 0);
    while (items[i] !== undefined && !isEvent(items[i])) {
      i += step;
    }
    this.#focus(items[i]);
  }

  // Opens a group, or closes it.
  toggle(item) {
    const drawn = this.#shown.of(item);
    if (drawn?.head === undefined) {
      return;
    }
    this.#hold();
    this.#place.hold(drawn.head);
    this.#shown.toggle(item);
    this.#place.settle();
    this.#place.remember();
    this.#shown.setCurrent(item);
  }

  // The group that has the focus; null if none has.
  get current() {
    return this.#hasFocus ? this.#shown.current : null;
  }

  get #hasFocus() {
    const focused = document.activeElement;
    return focused !== this.#element && this.#element.contains(focused);
  }

  // Gives the focus to the row with the Tab stop.
  focus() {
    const { current } = this.#shown;
    if (current === null) {
      this.#element.focus({ preventScroll: true });
    } else {
      this.#focus(current);
    }
  }

  #hold() {
    if (this.mode === "following") {
      this.setMode("held");
    }
  }

  #focus(item) {
    const button = this.#shown.of(item)?.button;
    if (button === undefined) {
      return;
    }
    this.#shown.setCurrent(item);
    button.focus({ preventScroll: true });
    button.closest("li").scrollIntoView({ block: "nearest" });
    this.#place.top = this.#scroller.scrollTop;
    this.#moved();
  }

  // The Tab stop is where the reader is, so that to come there by Tab moves nothing.
  #putTabStop(item) {
    if (!this.#hasFocus && item !== undefined && isEvent(item)) {
      this.#shown.setCurrent(item);
    }
  }

  #focused(row) {
    if (row?.item !== undefined && isEvent(row.item)) {
      this.#shown.setCurrent(row.item);
    }
  }

  #show(items) {
    const oldest = this.#filter.passing[0];
    const [first] = items;
    const isOldest = first !== undefined && (first.gone === true || first === oldest);
    this.#shown.show(items, isOldest && this.#kept.dropped > 0);
  }

  // The newest items, as many as fit.
  #newest() {
    const visible = Math.ceil(this.#place.height / ROW);
    const most = this.isFlooded ? 2 * visible + 4 : FOLLOWING;
    return takeLast(this.#filter.passing, this.#filter.passing.length, most);
  }

  // What is in the page and still passes, and newer ones while there is room.
  #held() {
    const { passing } = this.#filter;
    const { first, last, items: shown } = this.#shown;
    const stays = shown.filter((item) => item.gone === true || item.isNotice === true);
    const between = passing.slice(indexOf(passing, first), indexOf(passing, last + 0.1));
    const items = [...stays, ...between].sort((a, b) => a.number - b.number);
    return this.#extended(items, HELD - countRows(items));
  }

  // Adds newer items, up to a number of rows.
  #extended(items, rows) {
    const { passing } = this.#filter;
    const last = items.at(-1)?.number ?? this.#shown.last;
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

  // Slides the window when its edge comes near.
  #slide() {
    const nearTop = this.#place.above < NEAR;
    const nearBottom = this.#place.below < NEAR;
    if (this.newestFirst ? nearBottom : nearTop) {
      this.#slideToOlder();
    }
    if (this.newestFirst ? nearTop : nearBottom) {
      this.#slideToNewer();
    }
  }

  #slideToOlder() {
    const { passing } = this.#filter;
    const { items, first } = this.#shown;
    const older = takeLast(passing, indexOf(passing, first), STEP);
    if (older.length > 0) {
      this.#place.keep(() => this.#show(take([...older, ...items], 0, HELD)));
    }
  }

  #slideToNewer() {
    const { items } = this.#shown;
    const more = this.#extended(items, STEP);
    if (more.length > items.length) {
      this.#place.keep(() => this.#show(takeLast(more, more.length, HELD)));
    }
  }

  #toNewest() {
    if (this.newestFirst) {
      this.#place.scrollTo(0);
    } else {
      this.#place.scrollToEnd();
    }
  }

  // Another size of the page or of its rows: the end stays the end, or the row at the top stays.
  #settle() {
    if (this.mode === "following") {
      this.#toNewest();
    } else {
      this.#place.settle();
    }
  }

  #scrolled() {
    const before = this.#place.top;
    const top = this.#place.above;
    this.#place.top = top;
    if (Math.abs(top - before) < 1) {
      return;
    }
    const isAway = this.newestFirst ? top > before + 2 : top < before - 2;
    const isAtEnd = (this.newestFirst ? top : this.#place.below) <= AT_END;
    if (this.mode === "following") {
      if (isAway && !isAtEnd) {
        this.setMode("held");
        this.#moved();
      }
      return;
    }
    this.#moved();
    const isNewest = this.#shown.items.at(-1) === this.#filter.passing.at(-1);
    if (this.mode === "held" && !isAway && isAtEnd && isNewest) {
      this.setMode("following");
    }
  }

  // The reader has moved.
  #moved() {
    this.#place.remember();
    for (const { item } of this.#place.inView()) {
      this.#seen = Math.max(this.#seen, item?.number ?? 0);
    }
    if (this.mode !== "following") {
      this.#putTabStop(this.#place.held?.row.item);
      this.#slide();
    }
  }
}

const sizeOf = (item) => Math.max(1, item.entries.length);
const countRows = (items) => items.reduce((sum, item) => sum + sizeOf(item), 0);

// Items from an index on, as many as have this number of rows, but at least one.
function take(items, start, rows) {
  let end = start;
  for (let sum = 0; end < items.length && (sum === 0 || sum + sizeOf(items[end]) <= rows); end += 1) {
    sum += sizeOf(items[end]);
  }
  return items.slice(start, end);
}

// The same before an index.
function takeLast(items, end, rows) {
  let start = end;
  for (let sum = 0; start > 0 && (sum === 0 || sum + sizeOf(items[start - 1]) <= rows); start -= 1) {
    sum += sizeOf(items[start - 1]);
  }
  return items.slice(start, end);
}
