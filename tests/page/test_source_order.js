// Tests for source.js.

"use strict";

import { Intake } from "../../twisted_sse/daemon/page/intake.js";
import { Source } from "../../twisted_sse/daemon/page/source.js";
import { equal, ok, test } from "./testing.js";

// A page that records the calls of its sources.
class Page {
  intake = new Intake(() => {});
  groups = [];
  markers = [];

  add(entry) {
    const group = { entries: [entry], type: entry.type };
    this.groups.push(group);
    return group;
  }

  join(group, entry) {
    group.entries.push(entry);
  }

  mark({ text }) {
    this.markers.push(text);
  }

  onState() {}

  onReplayed() {}

  get lines() {
    return this.groups.map(({ entries }) => entries.map(({ data }) => data));
  }
}

const encoder = new TextEncoder();

function wait(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

async function until(isSo) {
  for (let turns = 0; !isSo(); turns += 1) {
    ok(turns < 500, `that it is so in time: ${isSo}`);
    await wait(5);
  }
}

// Runs with a source, and a server behind fetch() that answers each request with an open body.
async function withSource(run, kind = "file") {
  const { fetch } = globalThis;
  const bodies = [];
  const addresses = [];
  globalThis.fetch = async (address, { signal }) => {
    addresses.push(address);
    const start = (controller) => {
      bodies.push(controller);
      signal.addEventListener("abort", () => controller.error(signal.reason));
    };
    const headers = { "Content-Type": "text/event-stream" };
    return new Response(new ReadableStream({ start }), { headers });
  };
  const page = new Page();
  const source = new Source({ path: "/log", kind, label: "app.log", address: "/log" }, 0, page);
  const write = (text) => bodies.at(-1).enqueue(encoder.encode(text));
  const connect = async () => {
    const { length } = bodies;
    source.stream.connect();
    await until(() => bodies.length > length && source.stream.state.name === "open");
  };
  try {
    await run({ page, source, addresses, write, connect });
  } finally {
    source.stream.stop();
    globalThis.fetch = fetch;
  }
}

test("earlier lines are replayed, and the boundary is marked", () =>
  withSource(async ({ page, addresses, write, connect }) => {
    await connect();
    write("id: 1\ndata: one\n\n: live\n\nid: 2\ndata: two\n\n");
    await until(() => page.groups.length === 2);
    equal(addresses, ["/log?tail=5000"]);
    equal(page.groups.map(({ entries: [{ replayed }] }) => replayed), [true, false]);
    equal(page.markers, ["Live from here"]);
  }));

test("without earlier lines, no boundary is marked", () =>
  withSource(async ({ page, write, connect }) => {
    await connect();
    write(": live\n\nid: 2\ndata: two\n\n");
    await until(() => page.groups.length === 1);
    equal(page.markers, []);
  }));

test("a reconnection without a loss is reported once", () =>
  withSource(async ({ page, write, connect }) => {
    await connect();
    write("id: 1\ndata: one\n\n");
    await until(() => page.groups.length === 1);
    await connect();
    await until(() => page.markers.length > 0);
    await wait(400);
    equal(page.markers, ["Reconnected after 1 s. No events were lost."]);
  }));

test("the page does not report that nothing was lost while a reset waits to be read", () =>
  withSource(async ({ page, write, connect }) => {
    await connect();
    write("id: 1\ndata: one\n\n");
    await until(() => page.groups.length === 1);
    await connect();
    // Another source's data is read first, which takes longer than the wait for a reset.
    const busy = () => {
      const end = performance.now() + 8;
      while (performance.now() < end);
    };
    page.intake.add("x".repeat(2048 * 40), busy);
    write('event: stream-reset\nid: 9\ndata: {}\n\n');
    await until(() => page.markers.length > 0);
    await page.intake.settle();
    await wait(400);
    equal(page.markers, ["Events are missing here: the server no longer had them."]);
  }));

test("a gap is reported with its number, and a missing number is not an error", () =>
  withSource(async ({ page, write, connect }) => {
    await connect();
    write('event: stream-gap\ndata: {"dropped": 1204}\n\n');
    write('event: stream-gap\ndata: {"dropped": 1}\n\n');
    write("event: stream-gap\ndata: null\n\n");
    await until(() => page.markers.length > 2);
    equal(page.markers, [
      "1,204 events were skipped here: this page could not keep up.",
      "1 event was skipped here: this page could not keep up.",
      "Events were skipped here: this page could not keep up.",
    ]);
  }));

test("a marker separates groups, and so does a list that was cleared", () =>
  withSource(async ({ page, source, write, connect }) => {
    await connect();
    write("data: Traceback (most recent call last):\n\ndata:   File x\n\n");
    await until(() => page.lines.at(-1)?.length === 2);
    write("event: stream-reset\ndata: {}\n\ndata:   File y\n\n");
    await until(() => page.groups.length === 2);
    source.forget();
    write("data:     z\n\n");
    await until(() => page.groups.length === 3);
    equal(page.lines.map(({ length }) => length), [2, 1, 1]);
  }));

test("types of events are requested without a number if each client has its own events", () =>
  withSource(async ({ addresses, connect }) => {
    await connect();
    equal(addresses, ["/log"]);
  }, "python"));

test("events of a type do not join an earlier event of another type or none", () =>
  withSource(async ({ page, write, connect }) => {
    await connect();
    write("data: one\n\ndata:     two\n\nevent: paid\ndata:     three\n\n");
    write("event: refresh\ndata:\n\nevent: refresh\ndata:\n\ndata: last\n\n");
    await until(() => page.lines.at(-1)?.[0] === "last");
    equal(page.lines, [["one", "    two"], ["    three"], [""], [""], ["last"]]);
  }));

test("empty lines are not events, but belong to a group", () =>
  withSource(async ({ page, write, connect }) => {
    await connect();
    write("data:\n\ndata: one\n\ndata:\n\ndata: two\n\n");
    await until(() => page.groups.length === 2);
    equal(page.lines, [["one", ""], ["two"]]);
  }));
