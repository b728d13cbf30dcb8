// Where the reader is: what is in view, and how it stays there while rows are put in and taken out.
//
// Browsers differ in how they keep the place (Safari does not), so the page does it: CSS has
// overflow-anchor: none.

"use strict";

export class Place {
  top = 0; // where the page has scrolled to itself
  #scroller;
  #list;
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
    const room = Number.parseFloat(this.#list.style.paddingBlockEnd) || 0;
    return scrollHeight - room - clientHeight - scrollTop;
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

  // The reader has moved: what is in view now keeps its place from here on.
  remember() {
    const rows = this.inView();
    const row = rows.find(({ item }) => item !== undefined && item.marker === undefined) ?? rows[0];
    this.#held =
      row === undefined
        ? null
        : { row, number: row.item?.number ?? 0, offset: this.#offsetOf(row) };
  }

  forget() {
    this.#held = null;
    this.#list.style.paddingBlockEnd = "";
  }

  // Another row stands for the place, while the reader does not move.
  restore(row) {
    this.#held = { ...(this.#held ?? { number: 0, offset: 0 }), row };
    this.settle();
  }

  // Puts the row back where it was. Makes room below if the list is too short for that.
  settle() {
    if (this.#held?.row.isConnected !== true) {
      return;
    }
    const { row, offset } = this.#held;
    const wanted = this.#scroller.scrollTop + this.#offsetOf(row) - offset;
    const most = this.#scroller.scrollHeight - this.#scroller.clientHeight;
    if (wanted > most) {
      const room = Number.parseFloat(this.#list.style.paddingBlockEnd) || 0;
      this.#list.style.paddingBlockEnd = `${room + wanted - most}px`;
    }
    this.scrollTo(wanted);
  }

  // Makes a change that moves rows: the first row in view that is still there after it stays.
  keep(change) {
    const rows = this.inView();
    const offsets = rows.map((row) => this.#offsetOf(row));
    change();
    const i = rows.findIndex((row) => row.isConnected);
    const by = i < 0 ? 0 : this.#offsetOf(rows[i]) - offsets[i];
    if (by !== 0) {
      this.scrollTo(this.#scroller.scrollTop + by);
    }
    if (this.#held?.row.isConnected !== true) {
      this.remember();
    }
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
