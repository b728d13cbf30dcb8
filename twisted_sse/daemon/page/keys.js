// The page's single-key shortcuts.

"use strict";

const SOON = 1000; // milliseconds between the two presses of g g

// The name of an action by the key's text (UI Events, 6.3), which works with keyboards of all
// countries.
const KEYS = new Map([
  ["/", "search"],
  ["Escape", "escape"],
  [" ", "pause"],
  ["G", "latest"],
  ["End", "latest"],
  ["Home", "oldest"],
  ["j", "next"],
  ["ArrowDown", "next"],
  ["k", "previous"],
  ["ArrowUp", "previous"],
  ["o", "open"],
  ["Enter", "open"],
  ["c", "copy"],
  ["w", "wrap"],
  ["r", "raw"],
  ["t", "utc"],
  ["n", "order"],
  ["1", "all"],
  ["2", "errors"],
  ["3", "warnings"],
  ["4", "info"],
  ["?", "shortcuts"],
]);

// Actions that repeat while the key is held down; the others run once.
const REPEATED = new Set(["next", "previous"]);

const FIELDS = "input, textarea, select, [contenteditable]:not([contenteditable='false'])";
const CONTROLS = "button, a[href], summary, [role='button']";

// The action for a key, "" for none: "g" is the first half of "g g". A place is where it was
// pressed:
//
// - field: in a field, or a control that uses keys itself; search: in the search field
// - control: on a button or link; rowControl: on a row's own button
// - overlay: while a dialog or menu is open
// - single: whether keys for characters (letters, digits, signs, the space) are enabled
// - afterG: whether g was pressed a moment ago
export function decide(event, place) {
  const { key } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || place.overlay) {
    return "";
  }
  if (event.isComposing || event.keyCode === 229) {
    return ""; // 229: Safari ends a composition before it reports the key that ended it
  }
  if (place.search && (key === "Escape" || key === "Enter") && !event.shiftKey) {
    return key === "Escape" ? "escape" : "list";
  }
  if (place.field) {
    return "";
  }
  const isWriting = [...key].length === 1;
  if (isWriting && !place.single) {
    return "";
  }
  if (event.shiftKey && (!isWriting || key === " ")) {
    return ""; // they select and scroll
  }
  if (place.control && key === "Enter") {
    return ""; // the control is clicked
  }
  if (place.control && !place.rowControl && key === " ") {
    return ""; // so is a row's button, but Enter opens a row
  }
  // For letters, only Shift decides, not Caps Lock.
  const letter = /^[a-z]$/i.test(key)
    ? event.shiftKey
      ? key.toUpperCase()
      : key.toLowerCase()
    : key;
  if (letter === "g") {
    return place.afterG ? "oldest" : "g";
  }
  return KEYS.get(letter) ?? "";
}

// Listens to the keys of a document.
export class Keys {
  enabled; // whether keys for characters are enabled

  #actions;
  #document;
  #rowControl;
  #search;
  #lastG = -Infinity;
  #swallowed = ""; // the key whose release must not click

  // actions: functions by name ("search", "escape", "list", "pause", "latest", "oldest", "next",
  // "previous", "open", "copy", "wrap", "raw", "utc", "order", "all", "errors", "warnings", "info",
  // "shortcuts"); a key without an action is left to the browser. search, rowControl: selectors.
  constructor(
    actions,
    { enabled = true, search = "#search", rowControl = "li > [aria-expanded]", page = document } = {},
  ) {
    this.#actions = new Map(Object.entries(actions));
    this.enabled = enabled;
    this.#search = search;
    this.#rowControl = rowControl;
    this.#document = page;
    page.addEventListener("keydown", (event) => this.#press(event));
    page.addEventListener("keyup", (event) => this.#release(event));
  }

  #place(event) {
    const { target } = event;
    const isIn = (selector) => target.closest?.(selector) != null;
    return {
      field: isIn(FIELDS),
      search: isIn(this.#search),
      control: isIn(CONTROLS),
      rowControl: isIn(this.#rowControl),
      overlay: this.#document.querySelector("dialog[open], .menu[data-open]") !== null,
      single: this.enabled,
      afterG: event.timeStamp - this.#lastG <= SOON,
    };
  }

  #press(event) {
    this.#swallowed = "";
    if (event.defaultPrevented || event.key === "Shift" || event.key === undefined) {
      return; // undefined: autofill sends key events without a key
    }
    const name = decide(event, this.#place(event));
    if (name === "g") {
      this.#lastG = event.repeat ? this.#lastG : event.timeStamp;
      return;
    }
    if (name === "oldest" && event.repeat) {
      return; // g is held down
    }
    this.#lastG = -Infinity;
    const action = this.#actions.get(name);
    if (action === undefined) {
      return;
    }
    event.preventDefault();
    // Firefox clicks a button when the space bar is released, even after preventDefault() on the
    // press.
    this.#swallowed = event.key === " " ? " " : "";
    if (!event.repeat || REPEATED.has(name)) {
      action();
    }
  }

  #release(event) {
    if (this.#swallowed !== "" && event.key === this.#swallowed) {
      this.#swallowed = "";
      event.preventDefault();
    }
  }
}
