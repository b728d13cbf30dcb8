// The chips below the header: levels, sources and types, with the number of events of each level.

"use strict";

import { make, setText } from "./elements.js";
import { showNumber } from "./numbers.js";
import { describe } from "./states.js";

export const LEVELS = [
  { level: "", label: "All", title: "Everything" },
  { level: "error", label: "Error", title: "Only errors" },
  { level: "warn", label: "Warn+", title: "Warnings and errors" },
  { level: "info", label: "Info+", title: "Everything but debug and trace" },
];

const FOUR = "Four sources at a time; turn one off first.";

export class Chips {
  #element;
  #levels;
  #sources;
  #types;
  #choose;
  #chips = new Map(); // by group, then by value

  // choose: functions level(level), source(path) and type(type), called with the pressed value.
  constructor(element, choose) {
    this.#element = element;
    this.#choose = choose;
    this.#levels = this.#addGroup("Levels");
    this.#sources = this.#addGroup("Sources");
    this.#types = this.#addGroup("Types");
    for (const { level, label, title } of LEVELS) {
      const chip = this.#addChip(this.#levels, level, label, () => choose.level(level));
      chip.classList.add(`level-${level || "all"}`);
      chip.title = title;
      chip.append(" ", make("span", { class: "count" }));
    }
  }

  // counts: the number of events for each level's chip.
  showLevels(chosen, counts) {
    for (const chip of this.#levels.children) {
      press(chip, chip.value === chosen);
      setText(chip.lastElementChild, showNumber(counts[chip.value]));
    }
  }

  showSources(connections, view) {
    const { sources, hasRoom } = connections;
    this.#sources.hidden = sources.length < 2;
    if (sources.length < 2) {
      return;
    }
    for (const { path, isOn, stream } of sources) {
      const chip = this.#find(this.#sources, path, () => {
        const name = view.nameOf(path);
        const made = this.#addChip(this.#sources, path, name, () => this.#choose.source(path));
        made.classList.add(`source${view.colourOf(path)}`);
        return made;
      });
      const { word, more, dot } = describe(stream.state, Date.now(), view.clock);
      const isAllowed = isOn || hasRoom;
      press(chip, isOn);
      chip.setAttribute("aria-disabled", !isAllowed);
      chip.dataset.state = isOn ? dot : "off";
      chip.title = isAllowed ? [word, more].filter((each) => each !== "").join(": ") : FOUR;
    }
  }

  // chosen: a set of types. They have chips even before an event of theirs arrives, as they may be
  // why no event is shown.
  showTypes(view, chosen) {
    const types = new Set([...view.types.keys(), ...chosen]);
    this.#types.hidden = types.size === 0;
    for (const type of types) {
      const chip = this.#find(this.#types, type, () =>
        this.#addChip(this.#types, type, type, () => this.#choose.type(type)),
      );
      // With several sources, colours stand for sources.
      chip.className = view.showsSource ? "chip" : `chip source${view.hueOf(type)}`;
      press(chip, chosen.has(type));
    }
  }

  #find(group, value, add) {
    return this.#chips.get(group).get(value) ?? add();
  }

  #addGroup(name) {
    const group = make("div", { role: "group", "aria-label": name });
    this.#element.append(group);
    this.#chips.set(group, new Map());
    return group;
  }

  #addChip(group, value, label, choose) {
    const chip = make("button", { type: "button", class: "chip", "aria-pressed": "false" });
    chip.value = value;
    chip.append(make("span", { class: "square", "aria-hidden": "true" }), make("bdi", {}, label));
    chip.addEventListener("click", () => {
      if (chip.getAttribute("aria-disabled") !== "true") {
        choose();
      }
    });
    group.append(chip);
    this.#chips.get(group).set(value, chip);
    return chip;
  }
}

function press(chip, isPressed) {
  const value = String(isPressed);
  if (chip.getAttribute("aria-pressed") !== value) {
    chip.setAttribute("aria-pressed", value);
  }
}
