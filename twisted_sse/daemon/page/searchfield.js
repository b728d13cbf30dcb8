// The search field, with the texts and buttons in it.

"use strict";

import { setText } from "./elements.js";
import { writeTerm } from "./search/term.js";

const WAIT = 80; // milliseconds after the last key

export class SearchField {
  #input = document.getElementById("search");
  #found = document.getElementById("found");
  #form = document.getElementById("find");
  #button = document.getElementById("find-button");
  #onChange;
  #timer = 0;
  #count = "";
  #problem = "";

  // onChange() is called when the text has changed, a moment after the last key.
  constructor(onChange) {
    this.#onChange = onChange;
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(onChange, WAIT);
      this.#showOpen(true);
    });
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#button.addEventListener("click", () => {
      const isOpen = this.#form.classList.contains("open");
      this.#showOpen(!isOpen);
      if (!isOpen) {
        this.#input.focus();
      }
    });
  }

  get text() {
    return this.#input.value;
  }

  // Shows a text about the search in the field.
  get said() {
    return this.#problem === "" ? this.#count : this.#problem;
  }

  set(text) {
    clearTimeout(this.#timer);
    if (text !== this.#input.value) {
      this.#input.value = text;
    }
    this.#showOpen(document.activeElement === this.#input);
  }

  // Adds a term for a key and its value, or a negated one.
  addTerm(key, value, isNegated) {
    const term = `${isNegated ? "-" : ""}${writeTerm(key, value)}`;
    this.set(`${this.text.trimEnd()} ${term}`.trimStart());
    this.#onChange();
  }

  focus() {
    this.#showOpen(true);
    this.#input.focus();
    this.#input.select();
  }

  close() {
    this.#showOpen(false);
  }

  showCount(text) {
    this.#count = text;
    this.#show();
  }

  showProblem(problem) {
    this.#problem = problem;
    this.#show();
  }

  #show() {
    setText(this.#found, this.said);
    this.#input.setAttribute("aria-invalid", this.#problem !== "");
  }

  // On phones it has its own row while it is open or not empty.
  #showOpen(isOpen) {
    const shown = isOpen || this.#input.value !== "";
    this.#form.classList.toggle("open", shown);
    this.#button.setAttribute("aria-expanded", shown);
  }
}
