// Where the reader is: what is in view, and how it stays there while rows are put in and taken out.
//
// Browsers differ in how they keep the place (Safari does not), so the page does it: CSS has
// overflow-anchor: none.

"use strict";

export class Place {
  top = 0; // where the page has scrolled to itself
  #scroller;
  #list;
  #room = 0; // pixels below the last row, so that it can be scrolled up
  #held = null; // the row that keeps its place, its number, and its offset from the top

  constructor(scroller, list) {
    this.#scroller = scroller;
    this.#list = list;
  }

  get height() {
    return this.#scroller.clientHeight;
  }

  // Pixels above what is in view, and below it to the end of the last row.
  get above() {
    return this.#scroller.scrollTop;
  }

  get below() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - this.#room - clientHeight - scrollTop;
  }

  // The place that is kept; null before the first row.
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

  // The reader has moved: what is in view now keeps its place from here on. That is the first event
  // whose beginning is in view, for one that is cut off may be shorter soon.
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

  // Another row takes the place.
  give(row) {
    const number = row.item.number;
    this.#held = { row, number, offset: this.#held?.offset ?? 0 };
    this.settle();
  }

  // This row keeps its place, whatever is above it or below.
  hold(row) {
    this.#held = { row, number: row.item.number, offset: this.#offsetOf(row) };
  }

  // Puts the row back where it was.
  settle() {
    if (this.#held?.row.isConnected === true) {
      const { row, offset } = this.#held;
      this.#moveTo(this.above + this.#offsetOf(row) - offset);
    }
  }

  // Makes a change that moves rows: the first row in view that is still there after it stays.
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

  // Makes room below the list if that is too short, and takes away what is not needed any more.
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

  // The first row that ends below a height. Hidden rows have no height, and no place.
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
