// The list: a window of what passes the filter is in the page, and slides over it.
//
// It follows the newest events, or is held where the reader is: then nothing moves that is in view.

"use strict";

import { Excerpt, isEvent } from "./excerpt.js";
import { Place } from "./place.js";
import { Shown } from "./shown.js";
import { indexOf } from "./sorted.js";

const FOLLOWING = 160; // rows in the page
const NEAR = 800; // pixels to its edge, where it slides
const AT_END = 24; // pixels to the newest row, where it counts as read
const ROW = 24; // pixels of a row

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
  #excerpt;
  #seen = 0; // the number of the newest item that was in view

  // onMode() is called when `mode` has changed.
  constructor({ scroller, list, filter, search, view, kept, onMode }) {
    this.#element = list;
    this.#scroller = scroller;
    this.#filter = filter;
    this.#kept = kept;
    this.#onMode = onMode;
    this.#excerpt = new Excerpt(filter);
    this.#place = new Place(scroller, list);
    this.#shown = new Shown({ list, filter, search, view });
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    list.addEventListener("focusin", ({ target }) => this.#focused(target.closest("li")));
    const resized = new ResizeObserver(() => this.#settle());
    resized.observe(scroller);
    resized.observe(list);
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
    this.#excerpt.forget();
    if (mode === "following") {
      this.#place.forget();
    }
    this.draw();
    this.#onMode();
  }

  // Brings the page up to date with what passes.
  draw() {
    if (this.mode === "following") {
      const visible = Math.ceil(this.#place.height / ROW);
      this.#show(this.#excerpt.newest(this.isFlooded ? 2 * visible + 4 : FOLLOWING));
      this.#toNewest();
      this.#putTabStop(this.#shown.items.findLast(isEvent));
    } else {
      this.#place.keep(() => this.#show(this.#excerpt.update(this.#shown.items)));
    }
  }

  // The filter passes other events now. The row at the top keeps its place, or the next one that
  // passes takes it.
  refilter() {
    this.#shown.clear();
    if (this.mode === "following") {
      this.draw();
      return;
    }
    const { event, items } = this.#excerpt.around(this.#place.held?.number ?? 0);
    this.#show(items);
    if (event !== undefined) {
      this.#place.give(this.#shown.of(event).head);
    } else if (items.some(isEvent)) {
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
    if (this.mode !== "following") {
      this.#excerpt.dropped(items, this.#shown.items);
    }
  }

  clear() {
    this.#shown.clear();
    this.#place.forget();
    this.#excerpt.forget();
  }

  goToOldest() {
    this.setMode(this.mode === "paused" ? "paused" : "held");
    this.#shown.clear();
    this.#show(this.#excerpt.oldest());
    this.#focus(this.#shown.items.find(isEvent));
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

  // Slides the window when its edge comes near.
  #slide() {
    const nearTop = this.#place.above < NEAR;
    const nearBottom = this.#place.below < NEAR;
    if (this.newestFirst ? nearBottom : nearTop) {
      this.#slideTo(this.#excerpt.older(this.#shown.items));
    }
    if (this.newestFirst ? nearTop : nearBottom) {
      this.#slideTo(this.#excerpt.newer(this.#shown.items));
    }
  }

  #slideTo(items) {
    if (items !== this.#shown.items) {
      this.#place.keep(() => this.#show(items));
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
