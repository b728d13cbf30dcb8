// The elements of a group or marker: its rows, and the details below the first one.

"use strict";

import { makeOpened } from "./opened.js";
import * as rows from "./row.js";

export class Drawn {
  rows = [];
  head; // the first row of a group; undefined for a marker
  #item;
  #view;
  #search;
  #version = -1;
  #day = "";
  #lines = []; // the rows of the group
  #opened = null;

  constructor(item, view, search) {
    this.#item = item;
    this.#view = view;
    this.#search = search;
    if (item.marker !== undefined) {
      this.#add(rows.makeMarkerRow(item.marker));
    }
  }

  // The text of the marker above the first row, or "".
  set day(text) {
    if (text === this.#day) {
      return;
    }
    if (this.#day !== "") {
      this.rows.shift().remove();
    }
    this.#day = text;
    if (text !== "") {
      const row = rows.makeMarkerRow({ text, colour: "soft", line: "" });
      row.item = this.#item;
      this.rows[0]?.before(row);
      this.rows.unshift(row);
    }
  }

  // Hides a marker equal to the one before it: the events between them are filtered out.
  set isRepeated(isRepeated) {
    this.rows.at(-1).hidden = isRepeated;
  }

  // The button that opens the group.
  get button() {
    return this.head?.firstElementChild;
  }

  get isOpen() {
    return this.#opened !== null;
  }

  // Draws new lines. Returns the rows whose messages must be filled, with their entries.
  update() {
    const { entries, version } = this.#item;
    if (version === this.#version) {
      return [];
    }
    this.#version = version;
    const fresh = entries.slice(this.#lines.length).map((entry) => this.#addLine(entry));
    for (const row of this.#lines) {
      row.dataset.level = this.#item.level;
      row.classList.toggle("last", row !== this.head && row === this.#lines.at(-1));
    }
    if (this.head !== undefined) {
      rows.setLevel(this.head, this.#item, this.#view, this.#search);
      this.head.classList.toggle("tinted", rows.isTinted(this.#item));
    }
    if (this.isOpen) {
      this.#openAnew();
    }
    return fresh;
  }

  // Opens the details below the first row, or closes them.
  toggle() {
    if (this.isOpen) {
      this.#opened.remove();
      this.#opened = null;
    } else {
      this.#opened = makeOpened(this.#item, this.#view);
      this.head.append(this.#opened);
    }
    this.button.setAttribute("aria-expanded", this.isOpen);
    for (const row of this.#lines) {
      row.hidden = this.isOpen && row !== this.head;
    }
  }

  // Draws the details again, keeping the focus.
  #openAnew() {
    const places = () => [...this.#opened.querySelectorAll("button, [tabindex]")];
    const focused = places().indexOf(document.activeElement);
    this.toggle();
    this.toggle();
    places()[focused]?.focus({ preventScroll: true });
  }

  remove() {
    for (const row of this.rows) {
      row.remove();
    }
  }

  #addLine(entry) {
    const isHead = this.#lines.length === 0;
    const row = isHead
      ? rows.makeHeadRow(this.#item, this.#view, this.#search)
      : rows.makeLineRow(entry);
    this.#add(row);
    this.#lines.push(row);
    this.head ??= row;
    return { row, entry };
  }

  #add(row) {
    row.item = this.#item;
    const last = this.rows.at(-1);
    this.rows.push(row);
    if (last?.isConnected) {
      last.after(row);
    }
  }
}
