// Tests for chips.js.

"use strict";

import { Chips } from "../../twisted_sse/daemon/page/chips.js";
import { equal, test } from "./testing.js";

function makeChips() {
  const element = document.createElement("div");
  const chosen = [];
  const chips = new Chips(element, {
    level: (level) => chosen.push(["level", level]),
    source: (path) => chosen.push(["source", path]),
    type: (type) => chosen.push(["type", type]),
  });
  const types = () => [...element.querySelectorAll("[aria-label='Types'] button")];
  return { chips, chosen, types };
}

const view = (...types) => ({
  types: new Map(types.map((type, i) => [type, i])),
  hueOf: (type) => Math.max(0, types.indexOf(type)),
});

test("each type has a chip that chooses it", () => {
  const { chips, chosen, types } = makeChips();
  chips.showTypes(view("paid", "__proto__", "<b>"), new Set(["paid"]));
  equal(types().map(({ textContent }) => textContent), ["paid", "__proto__", "<b>"]);
  equal(types().map((chip) => chip.getAttribute("aria-pressed")), ["true", "false", "false"]);
  types()[1].click();
  equal(chosen, [["type", "__proto__"]]);
});

test("a chosen type has a chip before its first event arrives, and keeps it", () => {
  const { chips, types } = makeChips();
  chips.showTypes(view(), new Set(["paid"]));
  equal(types().map((chip) => [chip.value, chip.getAttribute("aria-pressed")]), [["paid", "true"]]);
  chips.showTypes(view("sent", "paid"), new Set(["paid"]));
  equal(types().map(({ value }) => value), ["paid", "sent"]);
  equal(types().map(({ className }) => className), ["chip source1", "chip source0"]);
  chips.showTypes({ ...view("sent", "paid"), showsSource: true }, new Set());
  equal(types().map(({ className }) => className), ["chip", "chip"]);
});

test("exactly one level is pressed, and each shows its number of events", () => {
  const element = document.createElement("div");
  const chips = new Chips(element, {});
  chips.showLevels("warn", { "": 5000, error: 12, warn: 46, info: 351 });
  equal(
    [...element.querySelectorAll("button")].map((chip) => chip.textContent),
    ["All 5,000", "Error 12", "Warn+ 46", "Info+ 351"],
  );
  equal(element.querySelectorAll("[aria-pressed='true']").length, 1);
});
