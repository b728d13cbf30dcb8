// How events are displayed: the user's choices, the colours of sources and types, and the widths of
// the columns.

"use strict";

import { Clock } from "./clock.js";

const COLOURS = 6; // for sources and types
const WIDEST_SOURCE = 16; // characters
const [NARROWEST_TYPE, WIDEST_TYPE] = [6, 16];
const MOST_TYPES = 100; // types with their own chip and colour; a program may create ever more
const [NARROWEST_COLUMN, WIDEST_COLUMN] = [7, 18];

const phone = matchMedia("(width < 48rem)");

export class View {
  clock = new Clock();
  wrap = false;
  raw = false;
  columns = [];
  columnSet = new Set();
  types = new Map(); // the first types received, except "message", with their places
  sources = []; // all of them
  actions;

  // actions: the functions for the buttons of an open row, see makeOpened().
  constructor(actions) {
    this.actions = actions;
  }

  get phone() {
    return phone.matches;
  }

  // Calls back when the page changes to or from the layout for phones.
  onLayoutChange(call) {
    phone.addEventListener("change", call);
  }

  get showsSource() {
    return this.sources.length > 1;
  }

  get showsType() {
    return this.types.size > 0;
  }

  setColumns(columns) {
    this.columns = columns;
    this.columnSet = new Set(columns);
  }

  // Remembers the type of an event. Returns whether it is new.
  addType(type) {
    if (this.types.has(type) || this.types.size === MOST_TYPES) {
      return false;
    }
    this.types.set(type, this.types.size);
    return true;
  }

  nameOf(path) {
    return path.slice(1) || (this.sources.find((source) => source.path === path)?.label ?? path);
  }

  colourOf(path) {
    return Math.max(0, this.sources.findIndex((source) => source.path === path)) % COLOURS;
  }

  hueOf(type) {
    return (this.types.get(type) ?? 0) % COLOURS;
  }

  // The columns of a row, for grid-template-columns.
  get template() {
    const tracks = ["6.25rem", "2.75rem"];
    if (this.showsSource) {
      const longest = Math.max(...this.sources.map(({ path }) => this.nameOf(path).length));
      tracks.push(`${Math.min(WIDEST_SOURCE, longest + 2)}ch`);
    }
    if (this.showsType) {
      const longest = Math.max(...[...this.types.keys()].map((type) => type.length));
      const width = Math.min(WIDEST_TYPE, Math.max(NARROWEST_TYPE, longest));
      tracks.push(`calc(${width}ch + 0.8rem)`);
    }
    for (const { length } of this.columns) {
      tracks.push(`${Math.min(WIDEST_COLUMN, Math.max(NARROWEST_COLUMN, length + 3))}ch`);
    }
    return [...tracks, "minmax(0, 1fr)"].join(" ");
  }
}
