// The header row with the names of JSON keys that have columns.

"use strict";

import { make } from "./elements.js";

export class Columns {
  #element;
  #remove;

  // remove(key) is called by the button beside a name.
  constructor(element, remove) {
    this.#element = element;
    this.#remove = remove;
  }

  show({ columns, showsSource, showsType }) {
    this.#element.hidden = columns.length === 0;
    // The columns of time, level, source and type have no names.
    const before = 2 + Number(showsSource) + Number(showsType);
    const empty = Array.from({ length: before }, () => make("span"));
    const names = columns.map((key) => {
      const label = `Remove the column ${key}`;
      const click = () => this.#remove(key);
      const button = make("button", { type: "button", "aria-label": label, click }, "×");
      return make("span", { class: "name" }, make("bdi", {}, key), button);
    });
    this.#element.replaceChildren(...empty, ...names);
  }
}
