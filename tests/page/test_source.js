// Tests for source.js and stream.js, with a simulated page and server.

"use strict";

import { Source } from "../../twisted_sse/daemon/page/source.js";
import { equal, ok, test } from "./testing.js";

// Answers fetch() with prepared bodies, one after the other, and remembers the requests.
class Server {
  requests = [];
  #answers = [];
  #real = window.fetch;

  constructor() {
    window.fetch = async (address, { headers, signal }) => {
      const answer = this.#answers.shift();
      this.requests.push({ address, headers });
      if (answer === undefined) {
        return new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        );
      }
      return answer(signal);
    };
  }

  // A stream, whose parts are sent one by one; it ends after them unless it stays open.
  streams(parts, { staysOpen = true, type = "text/event-stream; charset=utf-8", status = 200 } = {}) {
    this.#answers.push((signal) => {
      const encoder = new TextEncoder();
      const body = new ReadableStream({
        start(controller) {
          parts.forEach((part) => controller.enqueue(encoder.encode(part)));
          if (!staysOpen) {
            controller.close();
          }
          signal.addEventListener("abort", () => {
            try {
              controller.error(signal.reason);
            } catch {
              // It has been closed.
            }
          });
        },
      });
      return new Response(status === 204 ? null : body, {
        status,
        headers: { "Content-Type": type },
      });
    });
  }

  end() {
    window.fetch = this.#real;
  }
}

// Records the actions of its sources.
class Page {
  did = [];
  replayed = 0; // times that earlier events were complete
  states = [];
  source;
  intake = {
    add: async (text, read) => read(text),
    settle: async () => {},
  };

  constructor(kind = "file") {
    const about = { path: "/log", kind, label: "app.log", address: "/log" };
    this.source = new Source(about, 0, this);
  }

  add(entry) {
    this.did.push(entry.data);
    this.last = entry;
    return { type: entry.type, entries: [entry] };
  }

  join(group, entry) {
    this.did.push(`+${entry.data}`);
  }

  mark({ text }) {
    this.did.push(`(${text.replace(/\d+ s/, "N s")})`);
  }

  onState() {
    const { name } = this.source.stream.state;
    if (this.states.at(-1) !== name) {
      this.states.push(name);
    }
  }

  onReplayed() {
    this.replayed += 1;
  }

  async until(condition) {
    for (let i = 0; !condition(); i += 1) {
      ok(i < 1000, `did ${JSON.stringify(this.did)}, states ${this.states}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

// Runs a test with a server and a page.
async function withPage(kind, run) {
  const server = new Server();
  const page = new Page(kind);
  try {
    await run(page, server);
  } finally {
    page.source.stream.stop();
    server.end();
  }
}

test("a marker separates earlier events from new ones, and they have no time of arrival", () =>
  withPage("file", async (page, server) => {
    server.streams(["id: 1\ndata: old\n\n: live\n\n", "data: new\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 3);
    equal(page.did, ["old", "(Live from here)", "new"]);
    equal(page.last.replayed, false);
    equal(server.requests[0].address, "/log?tail=5000");
  }));

test("without earlier events, there is no marker", () =>
  withPage("file", async (page, server) => {
    server.streams([": live\n\ndata: new\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 1);
    equal(page.did, ["new"]);
  }));

test("earlier events may arrive until the first comment of each connection", () =>
  withPage("file", async (page, server) => {
    server.streams(["retry: 1\n\n", "id: 1\ndata: old\n\n", ": live\n\n: later\n\n"], {
      staysOpen: false,
    });
    server.streams(["data: two\n\n"]);
    const seen = [];
    const { add } = page;
    page.add = (entry) => {
      seen.push(page.source.isReplaying);
      return add.call(page, entry);
    };
    page.source.toggle();
    await page.until(() => page.did.length === 4);
    equal([seen, page.replayed], [[true, true], 1]);
    page.source.toggle();
    equal(page.source.isReplaying, false, "while it is off");
  }));

test("a source that keeps no events has no earlier ones", () =>
  withPage("tick", async (page, server) => {
    server.streams(["data: 1\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 1);
    equal([page.source.isReplaying, page.replayed], [false, 0]);
  }));

test("a source whose clients get their own events is not asked for a tail", () =>
  withPage("tick", async (page, server) => {
    server.streams(["data: 1\n\n: live\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 1);
    equal([server.requests[0].address, page.last.replayed], ["/log", false]);
  }));

test("a line that belongs to the one before joins it, but never across a marker", () =>
  withPage("file", async (page, server) => {
    server.streams([
      "data: Traceback (most recent call last):\n\ndata:   File\n\n",
      'event: stream-gap\ndata: {"dropped": 1204}\n\n',
      "data:   line 7\n\n",
      "data: \n\n",
    ]);
    page.source.toggle();
    await page.until(() => page.did.length === 5);
    equal(page.did, [
      "Traceback (most recent call last):",
      "+  File",
      "(1,204 events were skipped here: this page could not keep up.)",
      "  line 7",
      "+",
    ]);
  }));

test("the position of the stream is neither shown nor counted, but used for resuming", () =>
  withPage("file", async (page, server) => {
    server.streams(["retry: 1\n\nid: 7\ndata: one\n\nid: 9\nevent: stream-position\ndata: \n\n"], {
      staysOpen: false,
    });
    server.streams(["id: 10\ndata: two\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 3);
    equal(page.did, ["one", "(Reconnected after N s. No events were lost.)", "two"]);
    equal(server.requests[1].headers["Last-Event-ID"], "9");
  }));

test("after a reconnection with a reset, only the reset is reported", () =>
  withPage("file", async (page, server) => {
    server.streams(["retry: 1\n\nid: 1\ndata: one\n\n"], { staysOpen: false });
    server.streams(["event: stream-reset\ndata: {}\n\nid: 9\ndata: nine\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 3);
    equal(page.did, ["one", "(Events are missing here: the server no longer had them.)", "nine"]);
  }));

test("without an ID events in between are missing, which is reported even if none arrives", () =>
  withPage("tick", async (page, server) => {
    server.streams(["retry: 1\n\ndata: one\n\n"], { staysOpen: false });
    server.streams([":\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 2);
    equal(page.did[1], "(Reconnected after N s. Events from in between are missing.)");
  }));

test("an ID beyond ASCII is sent as UTF-8", () =>
  withPage("file", async (page, server) => {
    server.streams(["retry: 1\n\nid: é😀\ndata: one\n\n"], { staysOpen: false });
    page.source.toggle();
    await page.until(() => server.requests.length === 2);
    const sent = server.requests[1].headers["Last-Event-ID"];
    const bytes = Uint8Array.from(sent, (each) => each.charCodeAt(0));
    equal(new TextDecoder().decode(bytes), "é😀");
  }));

test("a response that is not a stream ends the connection, unless the server is busy", async () => {
  for (const [status, type, state] of [
    [204, "text/event-stream", "refused"],
    [401, "text/plain", "refused"],
    [403, "text/plain", "refused"],
    [404, "text/plain", "refused"],
    [200, "text/html", "other"],
    [429, "text/plain", "busy"],
    [503, "text/plain", "busy"],
    [500, "text/plain", "failing"],
  ]) {
    await withPage("file", async (page, server) => {
      server.streams(["data: not this\n\n"], { status, type, staysOpen: false });
      page.source.toggle();
      await page.until(() => page.states.at(-1) === state);
      equal([page.did, page.source.stream.isStopped], [[], state === "refused" || state === "other"]);
    });
  }
});

test("a source that is turned off keeps its position, and resumes from there", () =>
  withPage("file", async (page, server) => {
    server.streams(["id: 5\ndata: five\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 1);
    page.source.toggle();
    equal([page.states.at(-1), page.source.isOn], ["disconnected", false]);
    server.streams(["id: 6\ndata: six\n\n"]);
    page.source.toggle();
    await page.until(() => page.did.length === 3);
    equal(server.requests[1].headers["Last-Event-ID"], "5");
  }));
