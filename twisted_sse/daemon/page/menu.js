// A button's menu of options and actions. It is a popover if the browser supports them, so that
// nothing covers it; else a panel that is shown and hidden.

"use strict";

import { make, makeKeys } from "./elements.js";

const GAP = 4; // pixels from the button to the menu

let count = 0;

export class Menu {
  panel;

  #button;
  #items = new Map(); // by name: the control, its label, and its function
  #listening = null;

  // groups: [{ title, items: [item, ..] }, ..]. An item has a name, a label and maybe a key. With
  // onChange(isOn) it is a checkbox, which may be checked; with onChoose(), a button.
  constructor(button, groups) {
    this.#button = button;
    count += 1;
    const id = `menu-${count}`;
    this.panel = make("div", { class: "menu", id, role: "group" });
    this.panel.setAttribute("aria-label", button.textContent.trim() || "Menu");
    for (const [index, { title, items }] of groups.entries()) {
      const titleId = `${id}-${index}`;
      this.panel.append(
        make(
          "section",
          { role: "group", "aria-labelledby": titleId },
          make("h2", { id: titleId }, title),
          ...items.map((item) => this.#makeItem(item)),
        ),
      );
    }
    if ("popover" in HTMLElement.prototype) {
      // Not "auto": pressing the button would close the menu, and the click would open it again.
      this.panel.popover = "manual";
    }
    button.setAttribute("aria-controls", id);
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    button.after(this.panel);
    this.panel.addEventListener("keydown", (event) => this.#move(event));
    this.panel.addEventListener("focusout", (event) => this.#leave(event));
  }

  get isOpen() {
    return "open" in this.panel.dataset;
  }

  open() {
    if (this.isOpen) {
      return;
    }
    this.panel.dataset.open = "";
    this.panel.showPopover?.();
    this.#button.setAttribute("aria-expanded", "true");
    this.#place();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    document.addEventListener("pointerdown", (event) => this.#pointAway(event), {
      capture: true,
      signal,
    });
    document.addEventListener("keydown", (event) => this.#escape(event), { capture: true, signal });
    window.addEventListener("resize", () => this.#place(), { signal });
    this.#controls()[0]?.focus();
  }

  // The button gets the focus, unless the user has moved it elsewhere.
  close(returnFocus = true) {
    if (!this.isOpen) {
      return;
    }
    this.#listening.abort();
    delete this.panel.dataset.open;
    this.#button.setAttribute("aria-expanded", "false");
    if (returnFocus) {
      this.#button.focus();
    }
    this.panel.hidePopover?.();
  }

  // Updates a checkbox after a change from elsewhere.
  setChecked(name, isChecked) {
    this.#items.get(name).control.checked = isChecked;
  }

  setLabel(name, label) {
    this.#items.get(name).label.textContent = label;
  }

  setEnabled(name, isEnabled) {
    this.#items.get(name).control.disabled = !isEnabled;
  }

  #makeItem({ name, label, key, checked = false, onChange, onChoose }) {
    const words = make("span", { class: "label" }, label);
    const keys = key === undefined ? [] : makeKeys(key);
    if (onChange !== undefined) {
      const box = make("input", { type: "checkbox", change: () => onChange(box.checked) });
      box.checked = checked;
      this.#items.set(name, { control: box, label: words });
      return make("label", { class: "item" }, box, words, ...keys);
    }
    const button = make("button", { type: "button", class: "item" }, words, ...keys);
    button.addEventListener("click", () => {
      this.close();
      onChoose();
    });
    this.#items.set(name, { control: button, label: words });
    return button;
  }

  #controls() {
    return [...this.#items.values()].map(({ control }) => control).filter((each) => !each.disabled);
  }

  // Places the menu below the button. On phones, the style sheet places it at the bottom.
  #place() {
    const { bottom, right } = this.#button.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    this.panel.style.setProperty("--top", `${bottom + GAP}px`);
    this.panel.style.setProperty("--right", `${Math.max(GAP, clientWidth - right)}px`);
  }

  #pointAway({ target }) {
    if (!this.panel.contains(target) && !this.#button.contains(target)) {
      this.close(false);
    }
  }

  #escape(event) {
    if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      const controls = this.#controls();
      const at = controls.indexOf(document.activeElement);
      event.preventDefault();
      controls[(at + step + controls.length) % controls.length].focus();
    }
  }

  // Closes when Tab leaves the menu. A click on no control has no relatedTarget.
  #leave({ relatedTarget }) {
    if (relatedTarget !== null && !this.panel.contains(relatedTarget)) {
      this.close(relatedTarget === this.#button);
    }
  }
}

// Makes the menu of a button; see Menu.
export function makeMenu(button, groups) {
  return new Menu(button, groups);
}
