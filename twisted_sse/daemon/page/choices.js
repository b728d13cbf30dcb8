// The user's choices: stored in the address, and applied from there.

"use strict";

import { Address } from "./address.js";
import { SearchCount } from "./announce.js";

export class Choices {
  #page;
  #address = null; // null until the sources are known, as it names them
  #searchCount = new SearchCount(document.getElementById("announcements"));

  constructor(page) {
    this.#page = page;
  }

  // Applies the address, now and whenever the user changes it.
  readAddress() {
    this.#address = new Address((view) => this.#obey(view));
    this.#obey(this.#address.view);
  }

  // Searches for the text in the field.
  search() {
    const { field, search } = this.#page;
    if (search.set(field.text)) {
      this.#refilter();
    }
    this.#searchCount.typed(() => field.said);
  }

  clearFilter() {
    const { field, filter } = this.#page;
    field.set("");
    filter.level = "";
    filter.types.clear();
    this.search();
  }

  level(level) {
    this.#page.filter.level = level;
    this.#refilter();
  }

  type(type) {
    const { types } = this.#page.filter;
    if (!types.delete(type)) {
      types.add(type);
    }
    this.#refilter();
  }

  source(path) {
    this.#page.connections.toggle(path);
    this.#chooseSources();
    this.#refilter();
  }

  toggleWrap() {
    this.#page.view.wrap = !this.#page.view.wrap;
    this.#redraw();
  }

  toggleRaw() {
    this.#page.view.raw = !this.#page.view.raw;
    this.#redraw();
  }

  toggleUTC() {
    const { clock } = this.#page.view;
    clock.utc = !clock.utc;
    this.#redraw();
  }

  toggleOrder() {
    this.#page.list.newestFirst = !this.#page.list.newestFirst;
    this.#redraw();
  }

  toggleColumn(key) {
    const { view } = this.#page;
    const { columns } = view;
    const without = columns.filter((each) => each !== key);
    view.setColumns(without.length < columns.length ? without : [...columns, key]);
    this.#redraw();
  }

  #chooseSources() {
    const { shown } = this.#page.connections;
    this.#page.filter.sources = shown === null ? null : new Set(shown);
  }

  #refilter() {
    this.#page.refilter();
    this.#write();
  }

  #redraw() {
    this.#page.redraw();
    this.#write();
  }

  #obey(view) {
    const page = this.#page;
    page.field.set(view.search);
    page.search.set(view.search);
    page.filter.level = view.level;
    page.filter.types = new Set(view.types);
    page.view.wrap = view.wrap;
    page.view.raw = view.raw;
    page.view.clock.utc = view.utc;
    page.view.setColumns(view.columns);
    page.list.newestFirst = view.newestFirst;
    page.connections.choose(view.sources);
    this.#chooseSources();
    page.arrange();
    this.#refilter(); // also draws all rows again
  }

  #write() {
    const { menu, list, view, field, filter, connections } = this.#page;
    const boxes = {
      newest: list.newestFirst,
      wrap: view.wrap,
      raw: view.raw,
      utc: view.clock.utc,
    };
    for (const [name, isChecked] of Object.entries(boxes)) {
      menu.setChecked(name, isChecked);
    }
    this.#address?.write({
      search: field.text,
      level: filter.level,
      types: [...filter.types],
      newestFirst: list.newestFirst,
      wrap: view.wrap,
      raw: view.raw,
      utc: view.clock.utc,
      columns: view.columns,
      sources: connections.chosen,
    });
  }
}
