// Tests for intake.js and view.js.

"use strict";

import { Intake } from "../../twisted_sse/daemon/page/intake.js";
import { View } from "../../twisted_sse/daemon/page/view.js";
import { equal, ok, test } from "./testing.js";

test("what is queued is read in order, to the last character, in small slices", async () => {
  let turns = 0;
  const intake = new Intake(() => (turns += 1));
  const read = [];
  const texts = ["a".repeat(5000), "", "b", "c".repeat(2048)];
  for (const text of texts) {
    intake.add(text, (part) => read.push(part));
  }
  await intake.settle();
  await new Promise((resolve) => setTimeout(resolve));
  equal(read.join(""), texts.join(""));
  ok(read.every((part) => part.length <= 2048), "slices");
  ok(turns > 0, "turns");
});

test("one that adds more than may wait has to wait until it was read", async () => {
  const intake = new Intake(() => {});
  let read = 0;
  const big = "x".repeat(5 * 2 ** 20);
  const added = intake.add(big, (part) => (read += part.length));
  let isDone = false;
  const done = added.then(() => (isDone = true));
  await Promise.resolve();
  equal(isDone, false);
  await done;
  ok(read > big.length / 2, `${read} characters were read`);
  await intake.settle();
  equal(read, big.length);
});

test("a turn that is asked for comes once, also if nothing is to be read", async () => {
  let turns = 0;
  let told;
  const turned = new Promise((resolve) => (told = resolve));
  const intake = new Intake(() => {
    turns += 1;
    told();
  });
  intake.request();
  intake.request();
  await turned;
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  equal(turns, 1);
});

test("the columns follow from the sources, the types and the keys", () => {
  const view = new View({});
  const [start, end] = ["6.25rem 2.75rem", "minmax(0, 1fr)"];
  equal(view.template, `${start} ${end}`);
  view.sources = [{ path: "/log" }, { path: "/a-very-long-name-of-a-source" }];
  equal(view.template, `${start} 16ch ${end}`);
  view.sources = [{ path: "/log" }, { path: "/load" }];
  equal([view.showsSource, view.template], [true, `${start} 6ch ${end}`]);
  equal([view.showsType, view.addType("tick"), view.addType("tick"), view.showsType], [
    false,
    true,
    false,
    true,
  ]);
  equal(view.template, `${start} 6ch calc(6ch + 0.8rem) ${end}`);
  view.addType("order.payment.refused");
  view.setColumns(["ms", "a.key.of.that.length"]);
  equal(view.template, `${start} 6ch calc(16ch + 0.8rem) 7ch 18ch ${end}`);
});

test("sources and types have colours by their position, and names without the slash", () => {
  const view = new View({});
  view.sources = Array.from({ length: 8 }, (_, i) => ({ path: `/${i}`, label: `label ${i}` }));
  equal([view.colourOf("/0"), view.colourOf("/5"), view.colourOf("/6")], [0, 5, 0]);
  equal([view.nameOf("/3"), view.nameOf("/log")], ["3", "log"]);
  view.sources = [{ path: "/", label: "app.log" }];
  equal(view.nameOf("/"), "app.log");
});
