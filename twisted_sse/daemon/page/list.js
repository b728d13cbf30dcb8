// The list: the page contains a window of the events that pass the filter, and slides it over them.
//
// It follows the newest events, or is held at the user's position: then no row in view moves.

"use strict";

import { Excerpt, isEvent } from "./excerpt.js";
import { Place } from "./place.js";
import { Shown } from "./shown.js";
import { indexOf } from "./sorted.js";

const FOLLOWING = 160; // rows in the page
const NEAR = 800; // pixels to the edge of the window, where it slides
const AT_END = 24; // pixels to the newest row, where it counts as read
const ROW = 24; // pixels of a row

export class List {
  mode = "following"; // or "held", "paused"
  isFlooded = false; // the window is then as small as possible
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

  // Passing events that have not been in view.
  get unseen() {
    const { passing } = this.#filter;
    return passing.slice(indexOf(passing, this.#seen + 0.1)).filter(isEvent);
  }

  get newestFirst() {
    return this.#shown.newestFirst;
  }

  // Call redraw() or refilter() to show it.
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

  // Updates the page with the events that pass.
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

  // The filter has changed. The row at the top keeps its position, or the next passing row takes
  // it.
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

  // The look of all rows has changed.
  redraw() {
    const held = this.#place.held?.row.item;
    this.#shown.redraw();
    const row = this.#shown.of(held)?.rows.at(0);
    if (this.mode !== "following" && row !== undefined) {
      this.#place.give(this.#shown.of(held).head ?? row);
    }
    this.draw();
  }

  // Items were dropped from memory. Those in the page stay while the user reads them.
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

  // Moves to the next or previous event as displayed (by: 1 or -1); the first time, to the one with
  // the Tab stop.
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

  // Opens or closes a group.
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

  // The group with the focus; null if none has it.
  get current() {
    return this.#hasFocus ? this.#shown.current : null;
  }

  get #hasFocus() {
    const focused = document.activeElement;
    return focused !== this.#element && this.#element.contains(focused);
  }

  // Focuses the row with the Tab stop.
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

  // The Tab stop follows the user's position, so that tabbing to it does not scroll.
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

  // Slides the window when its edge is near.
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

  // The size of the page or of rows has changed: stay at the end, or keep the row at the top.
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

  // The user has scrolled.
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
