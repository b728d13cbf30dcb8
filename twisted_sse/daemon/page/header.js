// The header and the title of the page: the source, the state of the connection, the rate.

"use strict";

import { draw } from "./chart.js";
import { setText } from "./elements.js";
import { showNumber } from "./numbers.js";

const byId = (id) => document.getElementById(id);

export class Header {
  #again;
  #name;

  // again() is called by the button beside the state.
  constructor(name, detail, again) {
    this.#name = name;
    this.#again = byId("again");
    setText(byId("name"), name);
    setText(byId("detail"), detail);
    byId("detail").title = detail;
    this.#again.addEventListener("click", again);
  }

  // state: from describe(). pausedWith: the number of events since the pause; null if not paused.
  showState({ word, more, dot, button }, pausedWith) {
    const isPaused = pausedWith !== null && dot === "ok";
    const state = byId("state");
    state.dataset.state = isPaused ? "paused" : dot;
    state.title = isPaused ? `Still receiving: ${showNumber(pausedWith)} new` : more;
    setText(byId("word"), isPaused ? "Paused" : word);
    this.#again.hidden = button === "";
    setText(this.#again, button);
  }

  showRate(rate, perSecond) {
    setText(byId("rate").firstElementChild, showNumber(rate));
    const chart = byId("chart");
    draw(chart, perSecond, getComputedStyle(chart).color);
  }

  // Shows the title of the page: the name, and a suffix in brackets.
  showTitle(suffix) {
    const title = suffix === "" ? this.#name : `${this.#name} (${suffix})`;
    if (document.title !== title) {
      document.title = title;
    }
  }
}
