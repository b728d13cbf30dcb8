// Tests for stream.js.

"use strict";

import { Intake } from "../../twisted_sse/daemon/page/intake.js";
import { Stream } from "../../twisted_sse/daemon/page/stream.js";
import { equal, ok, test } from "./testing.js";

// A server behind fetch(): records the requests, and answers each with a body that the test writes.
class Server {
  requests = [];
  #fetch = globalThis.fetch;

  constructor() {
    globalThis.fetch = (address, { headers, signal }) => {
      const request = { address, headers, signal, isCancelled: false };
      const body = new ReadableStream({
        start: (controller) => {
          request.controller = controller;
          signal.addEventListener("abort", () => controller.error(signal.reason));
        },
        cancel: () => {
          request.isCancelled = true;
        },
      });
      const response = new Response(body, { headers: { "Content-Type": "text/event-stream" } });
      request.response = new Promise((resolve, reject) => {
        request.answer = () => resolve(response);
        request.fail = () => reject(new TypeError("refused"));
        signal.addEventListener("abort", () => reject(signal.reason));
      });
      this.requests.push(request);
      return request.response;
    };
  }

  stop() {
    globalThis.fetch = this.#fetch;
  }

  async request(number) {
    await until(() => this.requests.length >= number);
    return this.requests[number - 1];
  }
}

function turn() {
  return new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
}

const encoder = new TextEncoder();

function write(request, text) {
  request.controller.enqueue(encoder.encode(text));
}

async function follow(run) {
  const server = new Server();
  const events = [];
  const opened = [];
  const intake = new Intake(() => {});
  const stream = new Stream("/log", 15000, intake, {
    onState: () => {},
    onOpen: (how) => opened.push(how),
    onEvent: ({ data }) => events.push(data),
    onComment: () => {},
  });
  try {
    await run({ server, stream, events, opened, intake });
  } finally {
    stream.stop();
    server.stop();
  }
}

async function until(isSo) {
  for (let turns = 0; !isSo(); turns += 1) {
    ok(turns < 500, `that it is so in time: ${isSo}`);
    await turn();
  }
}

test("a reconnected stream has one connection, and each event once", () =>
  follow(async ({ server, stream, events, opened }) => {
    stream.connect();
    const first = await server.request(1);
    first.answer();
    await until(() => stream.state.name === "open");
    write(first, "id: 1\ndata: one\n\n");
    await until(() => events.length === 1);
    stream.connect();
    const second = await server.request(2);
    ok(first.signal.aborted, "whether the first was ended");
    second.answer();
    await until(() => stream.state.name === "open");
    write(second, "id: 2\ndata: two\n\n");
    await until(() => events.length > 1);
    equal(events, ["one", "two"]);
    equal(opened, [
      { seconds: null, hasID: false },
      { seconds: 1, hasID: true },
    ]);
  }));

test("a stream resumes after the last event that arrived, even if that waits to be read", () =>
  follow(async ({ server, stream, events, intake }) => {
    stream.connect();
    const first = await server.request(1);
    first.answer();
    await until(() => stream.state.name === "open");
    let isQueued = false;
    const { add } = intake;
    intake.add = (...given) => {
      isQueued = true;
      return add.apply(intake, given);
    };
    write(first, "id: 7\ndata: seven\n\n");
    while (!isQueued) {
      await new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel(); // sooner than a frame
        port1.onmessage = () => resolve(port1.close());
        port2.postMessage(null);
      });
    }
    stream.stop();
    stream.connect();
    const second = await server.request(2);
    equal(second.headers["Last-Event-ID"], "7");
    equal(events, ["seven"]);
  }));

test("an ID of any length is sent", () =>
  follow(async ({ server, stream }) => {
    stream.lastEventId = "\u00e9".repeat(500000);
    stream.connect();
    const request = await server.request(1);
    equal(request.headers["Last-Event-ID"].length, 1000000);
  }));

test("a connection that is silent for long is given up, even if the clock was set back meanwhile", () =>
  follow(async ({ server, stream }) => {
    stream.connect();
    (await server.request(1)).answer();
    await until(() => stream.state.name === "open");
    const now = Date.now();
    const earlier = now - 3600000;
    stream.check(earlier);
    stream.check(earlier + 40000);
    equal(stream.state.name, "silent");
    stream.check(earlier + 61000);
    await server.request(2);
    ok(server.requests[0].signal.aborted, "whether the first was ended");
  }));

test("connections that end repeatedly without events do not count as failures", () =>
  follow(async ({ server, stream }) => {
    for (let i = 1; i <= 8; i += 1) {
      stream.connect();
      const request = await server.request(i);
      request.answer();
      write(request, ": live\n\n");
      await until(() => stream.state.name === "open");
      request.controller.close();
      await until(() => stream.state.name === "waiting");
    }
    ok(stream.state.until - Date.now() <= 3000, "the wait");
  }));

test("a connection that was never made does not count as lost", () =>
  follow(async ({ server, stream, opened }) => {
    stream.connect();
    (await server.request(1)).fail();
    await until(() => stream.state.name === "waiting");
    stream.connect();
    await server.request(2);
    stream.stop();
    stream.connect();
    (await server.request(3)).answer();
    await until(() => opened.length === 1);
    equal(opened, [{ seconds: null, hasID: false }]);
  }));
