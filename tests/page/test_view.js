// Tests for view.js.

"use strict";

import { View } from "../../twisted_sse/daemon/page/view.js";
import { equal, ok, test } from "./testing.js";

test("the columns of a row are as wide as their content, within limits", () => {
  const view = new View({});
  equal(view.template, "6.25rem 2.75rem minmax(0, 1fr)");
  view.sources = [
    { path: "/", label: "app.log" },
    { path: "/load", label: "x" },
  ];
  view.addType("paid");
  view.setColumns(["ms", "a-key-that-is-rather-long"]);
  equal(view.template, "6.25rem 2.75rem 9ch calc(6ch + 0.8rem) 7ch 18ch minmax(0, 1fr)");
  view.addType("order.delivered");
  ok(view.template.includes(" calc(15ch + 0.8rem) "), view.template);
});

test("a type is new once", () => {
  const view = new View({});
  equal([view.addType("paid"), view.addType("paid"), view.addType("sent")], [true, false, true]);
  equal([view.hueOf("paid"), view.hueOf("sent")], [0, 1]);
});

test("of an endless number of types only some are remembered, and all have a colour", () => {
  const view = new View({});
  for (let i = 0; i < 10000; i += 1) {
    view.addType(`type-${i}`);
  }
  ok(view.types.size <= 100, `that ${view.types.size} are remembered`);
  ok(view.hueOf("type-9999") >= 0 && view.hueOf("type-9999") < 6, "the colour");
});

test("types and sources may have the names of Object's properties", () => {
  const view = new View({});
  view.addType("__proto__");
  view.addType("constructor");
  equal([view.hueOf("__proto__"), view.hueOf("constructor")], [0, 1]);
  view.sources = [{ path: "/log" }, { path: "/__proto__" }];
  equal([view.nameOf("/__proto__"), view.colourOf("/__proto__")], ["__proto__", 1]);
});

test("the source at the root is called by its label", () => {
  const view = new View({});
  view.sources = [{ path: "/", label: "app.log" }];
  equal(view.nameOf("/"), "app.log");
});
