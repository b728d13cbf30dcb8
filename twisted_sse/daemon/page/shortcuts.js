// The list of shortcuts, with the settings for keyboards and screen readers.

"use strict";

import { makeDialog } from "./dialog.js";
import { make, makeKeys } from "./elements.js";

const SINGLE_KEYS = "Single-key shortcuts";
const ANNOUNCE = "Announce new events";

const SHORTCUTS = [
  [["/"], "Search"],
  [["Esc"], "Clear the search, then go to the list"],
  [["Enter"], "In the search: go to the list"],
  [["Space"], "Pause or resume"],
  [["G", "End"], "Latest event"],
  [["g g", "Home"], "Oldest event"],
  [["j", "↓"], "Next event"],
  [["k", "↑"], "Previous event"],
  [["Enter", "o"], "Open or close an event"],
  [["c"], "Copy an event"],
  [["w"], "Wrap lines"],
  [["r"], "Raw lines"],
  [["t"], "Local time or UTC"],
  [["n"], "Newest or oldest first"],
  [["1", "2", "3", "4"], "All, errors, warnings+, info+"],
  [["?"], "This list"],
];

// Makes the dialog. settings is a Settings; onSingleKeys(isOn) and onAnnounce(isOn) are called at
// once and after each change.
export function makeShortcuts(settings, { onSingleKeys, onAnnounce }) {
  const makeSetting = (name, otherwise, onChange) => {
    const box = make("input", { type: "checkbox" });
    box.checked = settings.get(name, otherwise);
    onChange(box.checked);
    box.addEventListener("change", () => {
      settings.set(name, box.checked);
      onChange(box.checked);
    });
    return make("label", { class: "choice" }, box, make("span", {}, name));
  };
  const list = make("dl", { class: "shortcuts" });
  for (const [keys, what] of SHORTCUTS) {
    list.append(make("dt", {}, ...makeKeys(...keys)), make("dd", {}, what));
  }
  return makeDialog(
    "Keyboard shortcuts",
    list,
    makeSetting(SINGLE_KEYS, true, onSingleKeys),
    makeSetting(ANNOUNCE, false, onAnnounce),
  );
}
