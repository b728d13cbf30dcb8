// The scroll position: the rows in view, and how they stay there while rows are added and removed.
//
// Browsers differ in scroll anchoring (Safari has none), so the page does it: CSS sets
// overflow-anchor: none.

"use strict";

export class Place {
  top = 0; // the last known scroll position
  #scroller;
  #list;
  #room = 0; // pixels of empty space below the last row, so that it can be scrolled up
  #held = null; // the row that keeps its position, its number, and its offset from the top

  constructor(scroller, list) {
    this.#scroller = scroller;
    this.#list = list;
  }

  get height() {
    return this.#scroller.clientHeight;
  }

  // Pixels above the view, and below it to the end of the last row.
  get above() {
    return this.#scroller.scrollTop;
  }

  get below() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - this.#room - clientHeight - scrollTop;
  }

  // The row that keeps its position; null before the first row.
  get held() {
    return this.#held;
  }

  scrollTo(top) {
    this.#scroller.scrollTop = top;
    this.top = this.#scroller.scrollTop;
  }

  scrollToEnd() {
    this.scrollTo(this.#scroller.scrollHeight);
  }

  // The user has scrolled: keep the position of the rows now in view. The anchor is the first event
  // that begins in view, as one that is cut off may become shorter.
  remember() {
    const rows = this.inView();
    const isEvent = ({ item }) => item !== undefined && item.marker === undefined;
    const begins = (row) => isEvent(row) && this.#offsetOf(row) > -1;
    const row = rows.find(begins) ?? rows.find(isEvent) ?? rows[0];
    this.#held =
      row === undefined
        ? null
        : { row, number: row.item?.number ?? 0, offset: this.#offsetOf(row) };
  }

  forget() {
    this.#held = null;
    this.#setRoom(0);
  }

  // Another row takes over the position.
  give(row) {
    const number = row.item.number;
    this.#held = { row, number, offset: this.#held?.offset ?? 0 };
    this.settle();
  }

  // Keeps this row where it is, whatever changes above or below it.
  hold(row) {
    this.#held = { row, number: row.item.number, offset: this.#offsetOf(row) };
  }

  // Moves the row back to its position.
  settle() {
    if (this.#held?.row.isConnected === true) {
      const { row, offset } = this.#held;
      this.#moveTo(this.above + this.#offsetOf(row) - offset);
    }
  }

  // Makes a change that moves rows: the first row in view that is still there afterwards stays in
  // place.
  keep(change) {
    const rows = this.inView();
    const offsets = rows.map((row) => this.#offsetOf(row));
    change();
    const i = rows.findIndex((row) => row.isConnected);
    const by = i < 0 ? 0 : this.#offsetOf(rows[i]) - offsets[i];
    if (by !== 0 || this.#room > 0) {
      this.#moveTo(this.above + by);
    }
    if (this.#held?.row.isConnected !== true) {
      this.remember();
    }
  }

  // Adds empty space below the list if it is too short, and removes what is no longer needed.
  #moveTo(top) {
    const { scrollHeight, clientHeight } = this.#scroller;
    this.#setRoom(Math.max(0, top - (scrollHeight - this.#room - clientHeight)));
    this.scrollTo(top);
  }

  #setRoom(room) {
    this.#room = room;
    this.#list.style.setProperty("--room", `${room}px`);
  }

  // The rows in view, from the top.
  inView() {
    const { children } = this.#list;
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    const rows = [];
    for (let i = this.#firstBelow(top); i < children.length; i += 1) {
      const box = children[i].getBoundingClientRect();
      if (box.top >= bottom) {
        break;
      }
      if (box.height > 0) {
        rows.push(children[i]);
      }
    }
    return rows;
  }

  // The first row that ends below a height. Hidden rows have no height and no position.
  #firstBelow(top) {
    const { children } = this.#list;
    let [low, high] = [0, children.length];
    while (low < high) {
      let middle = (low + high) >> 1;
      const from = middle;
      while (middle > low && children[middle].hidden) {
        middle -= 1;
      }
      if (children[middle].getBoundingClientRect().bottom <= top) {
        low = from + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  #offsetOf(row) {
    return row.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
  }
}
