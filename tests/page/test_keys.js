// Tests for keys.js and settings.js.

"use strict";

import { Keys, decide } from "../../twisted_sse/daemon/page/keys.js";
import { Settings } from "../../twisted_sse/daemon/page/settings.js";
import { equal, ok, test } from "./testing.js";

const PLACE = {
  field: false,
  search: false,
  control: false,
  rowControl: false,
  overlay: false,
  single: true,
  afterG: false,
};

function press(key, modifiers = {}, place = {}) {
  return decide({ key, ...modifiers }, { ...PLACE, ...place });
}

const ACTIONS = [
  ["/", "search"],
  ["Escape", "escape"],
  [" ", "pause"],
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
];

test("each key has the effect in the list of shortcuts", () => {
  for (const [key, action] of ACTIONS) {
    equal(press(key), action, key);
  }
  equal(press("G", { shiftKey: true }), "latest");
  equal(press("?", { shiftKey: true }), "shortcuts");
});

test("other keys do nothing, including names of Object's properties", () => {
  for (const key of ["x", "5", "Tab", "F5", "PageDown", "constructor", "Dead", "Process"]) {
    equal(press(key), "", key);
  }
});

test("nothing is done with Ctrl, Alt or Meta", () => {
  for (const modifier of ["ctrlKey", "altKey", "metaKey"]) {
    for (const [key] of [...ACTIONS, ["G"], ["g"], ["?"]]) {
      equal(press(key, { [modifier]: true }), "", `${modifier} ${key}`);
    }
  }
});

test("nothing is done in a field, during a composition, or while a dialog or menu is open", () => {
  for (const [key] of [...ACTIONS, ["G"], ["g"], ["?"]]) {
    equal(press(key, {}, { field: true }), "", key);
    equal(press(key, { isComposing: true }), "", key);
    equal(press(key, { keyCode: 229 }), "", key);
    equal(press(key, {}, { overlay: true }), "", key);
  }
});

test("in the search, Esc and Enter are the only keys of the page", () => {
  const search = { field: true, search: true };
  equal(press("Escape", {}, search), "escape");
  equal(press("Enter", {}, search), "list");
  equal(press("Enter", { isComposing: true }, search), "");
  for (const key of ["/", "j", " ", "ArrowDown", "Home", "End", "?"]) {
    equal(press(key, {}, search), "", key);
  }
});

test("G is Shift and g, with and without Caps Lock", () => {
  equal(press("G", { shiftKey: true }), "latest");
  equal(press("g", { shiftKey: true }), "latest", "Caps Lock");
  equal(press("G"), "g", "Caps Lock");
  equal(press("J"), "next", "Caps Lock");
  equal(press("J", { shiftKey: true }), "");
});

test("symbols and digits count as the character they produce, with or without Shift", () => {
  equal(press("?"), "shortcuts");
  equal(press("/", { shiftKey: true }), "search", "German");
  equal(press("1", { shiftKey: true }), "all", "French");
});

test("Shift with a key without a character, or with the space bar, belongs to the browser", () => {
  for (const key of ["Home", "End", "ArrowDown", "ArrowUp", "Enter", "Escape", " "]) {
    equal(press(key, { shiftKey: true }), "", key);
  }
});

test("Enter clicks buttons and links, and the space bar clicks buttons, except those of rows", () => {
  equal(press("Enter", {}, { control: true }), "");
  equal(press(" ", {}, { control: true }), "");
  equal(press("Enter", {}, { control: true, rowControl: true }), "");
  equal(press(" ", {}, { control: true, rowControl: true }), "pause");
  equal(press("j", {}, { control: true }), "next");
});

test("without single-key shortcuts, only keys that produce no character have an effect", () => {
  for (const [key, action] of ACTIONS) {
    equal(press(key, {}, { single: false }), key.length === 1 ? "" : action, key);
  }
  equal(press("g", {}, { single: false, afterG: true }), "");
});

test("the second g goes to the oldest", () => {
  equal(press("g"), "g");
  equal(press("g", {}, { afterG: true }), "oldest");
});

// A document that passes events on, and may have a dialog.
class Page {
  overlay = null;
  #listeners = new Map();

  addEventListener(name, listener) {
    this.#listeners.set(name, listener);
  }

  querySelector() {
    return this.overlay;
  }

  // Returns whether the browser's default action is prevented.
  send(name, key, timeStamp = 0, more = {}) {
    const event = {
      key,
      timeStamp,
      target: { closest: () => null },
      defaultPrevented: false,
      preventDefault() {
        this.defaultPrevented = true;
      },
      ...more,
    };
    this.#listeners.get(name)(event);
    return event.defaultPrevented;
  }

  press(key, timeStamp, more) {
    return this.send("keydown", key, timeStamp, more);
  }
}

function listen(...names) {
  const done = [];
  const page = new Page();
  const actions = Object.fromEntries(names.map((name) => [name, () => done.push(name)]));
  const keys = new Keys(actions, { page });
  return { done, page, keys };
}

test("g twice within a second is one shortcut, without other keys between", () => {
  const { done, page } = listen("oldest", "wrap", "latest");
  page.press("g", 0);
  page.press("g", 1000);
  equal(done, ["oldest"]);
  page.press("g", 1500);
  equal(done, ["oldest"], "three are not two");
  page.press("g", 2501);
  equal(done, ["oldest"], "too late");
  page.press("w", 2600);
  page.press("g", 2700);
  equal(done, ["oldest", "wrap"], "w came between");
  page.press("Shift", 2800);
  page.press("G", 2801, { shiftKey: true });
  equal(done, ["oldest", "wrap", "latest"]);
});

test("g that is held down is one g", () => {
  const { done, page } = listen("oldest");
  page.press("g", 0);
  page.press("g", 500, { repeat: true });
  page.press("g", 530, { repeat: true });
  equal(done, []);
});

test("a key that is held down moves repeatedly, and toggles once", () => {
  const { done, page } = listen("next", "pause");
  page.press("j");
  page.press("j", 30, { repeat: true });
  equal(done, ["next", "next"]);
  page.press(" ");
  ok(page.press(" ", 30, { repeat: true }), "the page does not scroll");
  equal(done, ["next", "next", "pause"]);
});

test("the browser's default action for a used key is prevented, on its release, too", () => {
  const { page } = listen("pause", "search");
  ok(page.press("/"), "no quick find");
  ok(!page.send("keyup", "/"));
  ok(page.press(" "));
  ok(page.send("keyup", " "), "no click");
  ok(!page.send("keyup", " "), "once");
});

test("a key without an action, or whose event was handled before, is ignored", () => {
  const { done, page } = listen("wrap");
  ok(!page.press("r"));
  page.press("w", 0, { defaultPrevented: true });
  page.press(undefined);
  equal(done, []);
});

test("a target without closest(), such as a document, is not a field", () => {
  const { done, page } = listen("wrap");
  page.press("w", 0, { target: {} });
  equal(done, ["wrap"]);
});

test("shortcuts are switched off and on, and wait while a dialog is open", () => {
  const { done, page, keys } = listen("wrap", "next");
  keys.enabled = false;
  page.press("w");
  page.press("ArrowDown");
  equal(done, ["next"]);
  keys.enabled = true;
  page.overlay = {};
  page.press("w");
  page.overlay = null;
  page.press("w");
  equal(done, ["next", "wrap"]);
});

class Storage {
  kept = new Map();

  getItem(name) {
    return this.kept.get(name) ?? null;
  }

  setItem(name, value) {
    this.kept.set(name, value);
  }
}

test("a setting is kept for the next page", () => {
  const storage = new Storage();
  new Settings(() => storage).set("Single-key shortcuts", false);
  equal(new Settings(() => storage).get("Single-key shortcuts", true), false);
  equal(new Settings(() => storage).get("Announce new events", false), false);
  storage.kept.set("twisted-sse Announce new events", "constructor");
  equal(new Settings(() => storage).get("Announce new events", true), true, "nonsense");
});

test("in a browser without storage the setting lasts until the page is left", () => {
  const settings = new Settings(() => {
    throw new Error("SecurityError");
  });
  equal(settings.get("Single-key shortcuts", true), true);
  settings.set("Single-key shortcuts", false);
  equal(settings.get("Single-key shortcuts", true), false);
});
