// The groups and markers in the page: adds and removes their rows with as few changes as possible.

"use strict";

import { Drawn } from "./drawn.js";
import { timeOf } from "./entry.js";
import * as markers from "./markers.js";
import { fillMessage, messageOf } from "./row.js";
import { indexOf } from "./sorted.js";

export class Shown {
  items = []; // oldest first
  newestFirst = false;
  #list;
  #filter;
  #search;
  #view;
  #drawn = new Map(); // their Drawn, by item
  #current = null; // the item with the Tab stop
  #lost = null; // the item that had the focus when its row was removed
  #open = new WeakSet(); // open items, including those not in the page

  constructor({ list, filter, search, view }) {
    this.#list = list;
    this.#filter = filter;
    this.#search = search;
    this.#view = view;
  }

  // The Drawn of an item; undefined if it is not in the page.
  of(item) {
    return this.#drawn.get(item);
  }

  // Removes all rows. An item that returns is open again, and has the focus again, if it had it.
  clear() {
    this.#empty();
    this.items = [];
  }

  // Draws everything again.
  redraw() {
    const { items } = this;
    this.clear();
    this.show(items, false);
  }

  // Opens or closes a group. It stays open while it is not in the page.
  toggle(item) {
    const drawn = this.#drawn.get(item);
    drawn.toggle();
    this.#open[drawn.isOpen ? "add" : "delete"](item);
  }

  // Shows these items. isOldest: whether the list begins where older events were dropped.
  show(items, isOldest) {
    const wanted = new Set(items);
    if (this.items.some((item) => wanted.has(item))) {
      for (const item of this.items) {
        if (!wanted.has(item)) {
          this.#remove(item);
        }
      }
    } else {
      this.#empty();
    }
    const days = this.#days(items);
    const toFill = [];
    let before = null;
    items.forEach((item, i) => {
      const drawn = this.#draw(item);
      drawn.day = days[i];
      if (item.marker !== undefined) {
        drawn.isRepeated = items[i - 1]?.marker?.text === item.marker.text;
      }
      for (const { row, entry } of drawn.update()) {
        toFill.push({ row, entry });
      }
      if (this.#open.has(item) && !drawn.isOpen) {
        drawn.toggle();
      }
      if (!drawn.rows[0].isConnected) {
        this.#insert(drawn, before);
      }
      before = drawn;
    });
    this.items = items;
    this.#fill(toFill);
    this.#showEdge(isOldest);
    this.#handOn();
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

  // If the row with the Tab stop was removed, the newest row gets the Tab stop. If that row had the
  // focus, the list has it until the row returns or the user moves.
  #handOn() {
    const newest = () => this.items.findLast((item) => item.marker === undefined) ?? null;
    this.setCurrent(this.#drawn.has(this.#current) ? this.#current : newest());
    if (this.#drawn.has(this.#lost)) {
      if (document.activeElement === this.#list) {
        this.#drawn.get(this.#lost).button.focus({ preventScroll: true });
        this.setCurrent(this.#lost);
      }
      this.#lost = null;
    }
  }

  #draw(item) {
    if (!this.#drawn.has(item)) {
      this.#drawn.set(item, new Drawn(item, this.#view, this.#search));
    }
    return this.#drawn.get(item);
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
    if (drawn.rows.some((row) => row.contains(document.activeElement))) {
      this.#takeFocus();
    }
    drawn.remove();
    this.#drawn.delete(item);
  }

  #empty() {
    if (this.#list !== document.activeElement && this.#list.contains(document.activeElement)) {
      this.#takeFocus();
    }
    this.#list.replaceChildren();
    this.#drawn.clear();
  }

  // The focus moves by itself only when its row is removed: the list gets it.
  #takeFocus() {
    this.#lost = document.activeElement.closest("li").item;
    this.#list.focus({ preventScroll: true });
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
      const { rows } = new Drawn({ marker: markers.notKept(), entries: [] });
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

  // For each item, the text of the marker above it, "" for none: the day, if it differs from the
  // day of the previous passing event in reading order.
  #days(items) {
    const { passing } = this.#filter;
    const step = this.newestFirst ? -1 : 1;
    const read = this.newestFirst ? items.toReversed() : items;
    let day = "";
    const number = read[0]?.number ?? 0;
    const start = this.newestFirst ? indexOf(passing, number + 0.1) : indexOf(passing, number) - 1;
    for (let i = start; day === "" && i >= 0 && i < passing.length; i -= step) {
      day = this.#dayOf(passing[i]);
    }
    const days = read.map((item) => {
      const its = this.#dayOf(item);
      const isOther = its !== "" && day !== "" && its !== day;
      day = its === "" ? day : its;
      return isOther ? its : "";
    });
    return this.newestFirst ? days.toReversed() : days;
  }
}
