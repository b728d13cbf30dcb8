// The groups and markers that are in the page: their rows, put in and taken out with as few changes
// as possible.

"use strict";

import { Drawn } from "./drawn.js";
import { timeOf } from "./entry.js";
import * as markers from "./markers.js";
import { fillMessage, messageOf } from "./row.js";
import { indexOf } from "./sorted.js";

export class Shown {
  items = []; // the oldest first
  newestFirst = false;
  #list;
  #filter;
  #search;
  #view;
  #drawn = new Map(); // what they look like
  #current = null; // the item with the Tab stop

  constructor({ list, filter, search, view }) {
    this.#list = list;
    this.#filter = filter;
    this.#search = search;
    this.#view = view;
  }

  get first() {
    return this.items[0]?.number ?? 0;
  }

  get last() {
    return this.items.at(-1)?.number ?? 0;
  }

  // What an item looks like; undefined if it is not in the page.
  of(item) {
    return this.#drawn.get(item);
  }

  clear() {
    this.#letGo([this.#list]);
    this.items = [];
    this.#drawn.clear();
    this.#list.replaceChildren();
    this.#current = null;
  }

  // Draws everything anew.
  redraw() {
    const { items } = this;
    const open = items.filter((item) => this.#drawn.get(item).isOpen);
    const hadFocus = this.#list.contains(document.activeElement);
    const current = this.#current;
    this.clear();
    this.show(items, false);
    for (const item of open) {
      this.#drawn.get(item).toggle();
    }
    if (current !== null) {
      this.setCurrent(current);
    }
    if (hadFocus) {
      this.#drawn.get(current)?.button.focus({ preventScroll: true });
    }
  }

  // Makes the page show these items. isOldest: whether older events there were are not kept.
  show(items, isOldest) {
    const wanted = new Set(items);
    if (this.items.some((item) => wanted.has(item))) {
      for (const item of this.items) {
        if (!wanted.has(item)) {
          this.#remove(item);
        }
      }
    } else {
      this.#letGo([this.#list]);
      this.#list.replaceChildren();
      this.#drawn.clear();
    }
    const toFill = [];
    let before = null;
    let day = this.#dayBefore(items[0]);
    for (const item of items) {
      const its = this.#dayOf(item);
      const marker = its !== "" && day !== "" && its !== day ? its : "";
      day = its === "" ? day : its;
      const drawn = this.#draw(item, marker);
      for (const { row, entry } of drawn.update()) {
        toFill.push({ row, entry });
      }
      if (!drawn.rows[0].isConnected) {
        this.#insert(drawn, before);
      }
      before = drawn;
    }
    this.items = items;
    this.#fill(toFill);
    this.#showEdge(isOldest);
    if (!this.#drawn.has(this.#current)) {
      this.#handOn();
    }
  }

  // One row of the list has the Tab stop.
  setCurrent(item) {
    this.#setTabIndex(-1);
    this.#current = item;
    this.#setTabIndex(0);
  }

  get current() {
    return this.#drawn.has(this.#current) ? this.#current : null;
  }

  #setTabIndex(index) {
    const button = this.#drawn.get(this.#current)?.button;
    if (button !== undefined) {
      button.tabIndex = index;
    }
  }

  // The row with the Tab stop has gone; the list keeps the focus, if it had that.
  #handOn() {
    this.setCurrent(this.items.findLast((item) => item.marker === undefined) ?? null);
  }

  #draw(item, day) {
    const drawn = this.#drawn.get(item);
    if (drawn?.day === day) {
      return drawn;
    }
    if (drawn !== undefined) {
      this.#remove(item);
    }
    const fresh = new Drawn(item, day, this.#view, this.#search);
    this.#drawn.set(item, fresh);
    return fresh;
  }

  #insert(drawn, before) {
    if (this.newestFirst) {
      if (before === null) {
        this.#list.append(...drawn.rows);
      } else {
        before.rows[0].before(...drawn.rows);
      }
    } else if (before === null) {
      this.#list.prepend(...drawn.rows);
    } else {
      before.rows.at(-1).after(...drawn.rows);
    }
  }

  #remove(item) {
    const drawn = this.#drawn.get(item);
    this.#letGo(drawn.rows);
    drawn.remove();
    this.#drawn.delete(item);
  }

  // Focus never moves by itself, except where its row goes: then the list has it.
  #letGo(elements) {
    if (elements.some((element) => element.contains(document.activeElement))) {
      this.#list.focus({ preventScroll: true });
    }
  }

  // Fills messages; if the search has to wait for its worker, first without marks, then with them.
  #fill(toFill) {
    if (toFill.length === 0) {
      return;
    }
    const cells = toFill.map(({ row, entry }) => ({
      cell: row.querySelector(".message"),
      entry,
      tinted: row.classList.contains("tinted"),
      message: messageOf(entry, this.#view),
    }));
    const fill = (marks) =>
      cells.forEach(({ cell, message, tinted }, i) =>
        fillMessage(cell, message, marks[i] ?? [], this.#view, tinted),
      );
    let isFilled = false;
    if (!this.#search.isEmpty) {
      const asked = cells.map(({ entry, message: { text, parts } }) => ({ text, parts, entry }));
      this.#search.find(asked, (marks) => {
        isFilled = true;
        fill(marks);
      });
    }
    if (!isFilled) {
      fill([]);
    }
  }

  #showEdge(isOldest) {
    const there = this.#list.querySelector(".older");
    if (isOldest && there === null) {
      const { rows } = new Drawn({ marker: markers.notKept(), entries: [] }, "");
      rows[0].classList.add("older");
      this.#list[this.newestFirst ? "append" : "prepend"](rows[0]);
    } else if (!isOldest) {
      there?.remove();
    }
  }

  // The day of an item; "" if it has no time.
  #dayOf(item) {
    const at = item.marker === undefined ? timeOf(item.entries[0]) : null;
    return at === null ? "" : this.#view.clock.day(at);
  }

  // The day of what passes the filter before an item.
  #dayBefore(item) {
    const { passing } = this.#filter;
    for (let i = indexOf(passing, item?.number ?? 0) - 1; i >= 0; i -= 1) {
      const day = this.#dayOf(passing[i]);
      if (day !== "") {
        return day;
      }
    }
    return "";
  }
}
