// Tests for intake.js.

"use strict";

import { Intake } from "../../twisted_sse/daemon/page/intake.js";
import { equal, ok, test } from "./testing.js";

test("queued data is read in order, to the last character, in small slices", async () => {
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

test("a source that adds more than the limit has to wait until its data has been read", async () => {
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

test("a requested turn occurs once, even if there is nothing to read", async () => {
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
