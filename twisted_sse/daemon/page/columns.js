// The line of names above the list, if keys of JSON have columns.

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
    // The cells of the time, the level, the source and the type have no names.
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
