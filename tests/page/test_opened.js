// Tests for opened.js.

"use strict";

import { makeOpened, textOf } from "../../twisted_sse/daemon/page/opened.js";
import { View } from "../../twisted_sse/daemon/page/view.js";
import { entryOf, groupOf } from "./entries.js";
import { equal, ok, test } from "./testing.js";

function open(group) {
  const pressed = [];
  const note = (name) => (...given) => pressed.push([name, ...given]);
  const view = new View({ only: note("only"), hide: note("hide"), column: note("column") });
  return { box: makeOpened(group, view), pressed };
}

const texts = (box, selector) => [...box.querySelectorAll(selector)].map((each) => each.textContent);

test("an object is a list of its keys and values, as received", () => {
  const { box, pressed } = open(groupOf('{"id": 12345678901234567890, "__proto__": "x", "l": [1, 2]}'));
  equal(texts(box, "dt"), ["id", "__proto__", "l"]);
  equal(texts(box, "dd:not(.pair-tools)"), ["12345678901234567890", "x", "[\n  1,\n  2\n]"]);
  equal(texts(box, ".pair-tools").length, 3);
  for (const button of box.querySelectorAll(".pair-tools:nth-of-type(4n) button")) {
    button.click();
  }
  equal(pressed, [
    ["only", "__proto__", "x"],
    ["hide", "__proto__", "x"],
    ["column", "__proto__"],
  ]);
});

test("an open row has no elements from the text", () => {
  const { box } = open(groupOf('{"<img src=x>": "<b onclick=alert(1)>"}'));
  equal(box.querySelectorAll("img, b").length, 0);
  equal(texts(box, "dt"), ["<img src=x>"]);
});

test("an object that is wrapped and nested deeper than the stack is shown", () => {
  const inner = `{"a":${"[".repeat(40000)}${"]".repeat(40000)}}`;
  const time = "2026-11-29T01:33:13Z";
  const { box } = open(groupOf(JSON.stringify({ log: inner, stream: "stdout", time })));
  equal(texts(box, "dt"), ["a"]);
});

test("the beginning of a long text is shown, and the rest on demand", () => {
  const data = `${"x".repeat(9999)}\u{1f600}${"y".repeat(2000)}`;
  const { box } = open(groupOf(data));
  const text = box.querySelector(".text");
  equal(text.firstChild.data, "x".repeat(9999));
  equal(texts(box, ".more"), ["… and 2,002 more characters Show all"]);
  box.querySelector(".more button").click();
  equal(text.textContent, data);
});

test("the text is copied exactly as received", () => {
  const group = groupOf(entryOf("\u001b[31mred\u001b[0m"), entryOf("  two\r"));
  equal(textOf(group), "\u001b[31mred\u001b[0m\n  two\r");
  ok(open(group).box.textContent.startsWith("Copy all 2 lines"), "the button");
});
