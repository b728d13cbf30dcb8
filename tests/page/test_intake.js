// Tests for intake.js.

"use strict";

import { Intake } from "../../twisted_sse/daemon/page/intake.js";
import { equal, ok, test } from "./testing.js";

const FULL = 4 * 2 ** 20;

test("a text is read in slices, in order, and whole", async () => {
  const intake = new Intake(() => {});
  const [text, read] = ["abc".repeat(3000), []];
  await intake.add(text, (slice) => read.push(slice));
  await intake.settle();
  equal(read.join(""), text);
  ok(read.length > 1, "the number of slices");
});

test("every stream that waited for room goes on when there is some", async () => {
  const intake = new Intake(() => {});
  const skip = () => {};
  const text = "x".repeat(FULL + 1);
  await Promise.all([intake.add(text, skip), intake.add(text, skip), intake.add(text, skip)]);
});

test("all that was queued before has been read once it has settled", async () => {
  const intake = new Intake(() => {});
  let read = 0;
  intake.add("x".repeat(10000), (slice) => {
    read += slice.length;
  });
  await intake.settle();
  equal(read, 10000);
});

test("a text that cannot be read holds up none of the others", async () => {
  const problems = [];
  const note = (event) => {
    event.preventDefault(); // it is expected
    problems.push(event.error.message);
  };
  addEventListener("error", note);
  let turns = 0;
  const intake = new Intake(() => {
    turns += 1;
  });
  intake.add("one", () => {
    throw new Error("unreadable");
  });
  const read = [];
  intake.add("two", (slice) => read.push(slice));
  await intake.settle();
  removeEventListener("error", note);
  equal(read, ["two"]);
  equal(problems, ["unreadable"]);
  ok(turns > 1, "that there was another turn");
});
