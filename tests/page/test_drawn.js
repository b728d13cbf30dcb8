// Tests for drawn.js.

"use strict";

import { Drawn } from "../../twisted_sse/daemon/page/drawn.js";
import { View } from "../../twisted_sse/daemon/page/view.js";
import { entryOf, groupOf } from "./entries.js";
import { equal, test } from "./testing.js";

const SEARCH = { isEmpty: true, marksCell: () => false };

// A group, drawn into the page while a test runs.
function withDrawn(group, run) {
  const list = document.createElement("ol");
  const drawn = new Drawn(group, new View({}), SEARCH);
  document.body.append(list);
  try {
    drawn.update();
    list.append(...drawn.rows);
    run(drawn, list);
  } finally {
    list.remove();
  }
}

const make = (...lines) => ({ version: 0, ...groupOf(...lines) });

test("a group has a row for each line, and the first row opens it", () => {
  withDrawn(make("ERROR: one", "  two"), (drawn, list) => {
    equal([list.children.length, drawn.button.getAttribute("aria-expanded")], [2, "false"]);
    equal([...list.children].map(({ dataset }) => dataset.level), ["error", "error"]);
    drawn.toggle();
    equal(drawn.button.getAttribute("aria-expanded"), "true");
    equal([...list.children].map(({ hidden }) => hidden), [false, true]);
  });
});

test("an open group keeps the focus when another line arrives", () => {
  const group = make("one");
  withDrawn(group, (drawn, list) => {
    drawn.toggle();
    list.querySelector(".tools button").focus();
    group.entries.push(entryOf("  two"));
    group.version += 1;
    drawn.update();
    equal(document.activeElement.textContent, "Copy all 2 lines");
    equal(list.querySelectorAll(".opened").length, 1);
  });
});
