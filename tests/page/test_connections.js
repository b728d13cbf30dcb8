// Tests for connections.js.

"use strict";

import { Clock } from "../../twisted_sse/daemon/page/clock.js";
import { Connections } from "../../twisted_sse/daemon/page/connections.js";
import { Intake } from "../../twisted_sse/daemon/page/intake.js";
import { equal, test } from "./testing.js";

const clock = new Clock();

// Runs with the connections of a number of sources, and a server that never responds.
async function withSources(number, run) {
  const { fetch } = globalThis;
  const connected = [];
  globalThis.fetch = async (address, { signal } = {}) => {
    if (address.endsWith("page/sources")) {
      const sources = Array.from({ length: number }, (_, i) => ({
        path: `/${i}`,
        kind: "file",
        label: `${i}.log`,
      }));
      return new Response(JSON.stringify(sources), {
        headers: { "Content-Type": "application/json" },
      });
    }
    connected.push(address.replace(location.origin, ""));
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  };
  const told = { kind: "all", prefix: "", heartbeat: "15" };
  const page = { intake: new Intake(() => {}), onState() {}, mark() {} };
  const connections = new Connections(told, page);
  try {
    await connections.find();
    await run(connections, connected);
  } finally {
    connections.choose([]);
    globalThis.fetch = fetch;
  }
}

const paths = ({ sources }) => sources.filter(({ isOn }) => isOn).map(({ path }) => path);

test("over HTTP/1.1, four of many sources are on at first, which needs no address", () =>
  withSources(6, (connections) => {
    connections.choose(null);
    equal(paths(connections), ["/0", "/1", "/2", "/3"]);
    equal(connections.chosen, null);
    equal(connections.shown, ["/0", "/1", "/2", "/3"]);
    equal(connections.hasRoom, false);
  }));

test("a different choice of sources is in the address", () =>
  withSources(6, (connections) => {
    connections.choose(null);
    connections.toggle("/0");
    connections.toggle("/5");
    equal(connections.chosen, ["/1", "/2", "/3", "/5"]);
    connections.toggle("/0");
    equal(paths(connections), ["/1", "/2", "/3", "/5"], "a fifth source");
  }));

test("all sources are on if there are few, and none can be chosen", () =>
  withSources(3, (connections) => {
    connections.choose(null);
    equal([connections.chosen, connections.shown], [null, null]);
    connections.choose([]);
    equal([connections.chosen, paths(connections)], [[], []]);
  }));

test("an address that names none of the sources shows all", () =>
  withSources(3, (connections) => {
    connections.choose(["/gone"]);
    equal(connections.chosen, null);
    connections.choose(["/gone", "/1"]);
    equal(connections.chosen, ["/1"]);
  }));

test("retrying does not affect sources that are connecting", () =>
  withSources(2, async (connections, connected) => {
    connections.choose(null);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    connections.reconnect();
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    equal(connected, ["/0?tail=5000", "/1?tail=5000"]);
  }));

test("while no source is on there is no button to connect", () =>
  withSources(2, (connections) => {
    connections.choose(null);
    equal(connections.describe(clock).word, "0 of 2 live");
    connections.choose([]);
    const { word, button } = connections.describe(clock);
    equal([word, button], ["Disconnected", ""]);
  }));
