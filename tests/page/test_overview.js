// Tests for overview.js.

"use strict";

import { describe } from "../../twisted_sse/daemon/page/overview.js";
import { equal, test } from "./testing.js";

const NOW = Date.UTC(2026, 10, 29, 1, 33, 13);
const QUIET = new Array(60).fill(0);

function source(more = {}) {
  return {
    path: "/log",
    kind: "file",
    label: "app.log",
    lines: 3,
    last: "hello",
    lastAt: NOW - 12000,
    rates: QUIET,
    ...more,
  };
}

const told = (more) => describe(source(more), NOW);

test("the name of a source has its kind and its input", () => {
  equal(told().kind, "File · app.log");
  equal(told({ kind: "command", label: "ping localhost" }).kind, "Command · ping localhost");
  equal(told({ kind: "python", label: "shop.events:connected" }).kind, "Python · shop.events:connected");
  equal(told({ kind: "stdin", label: "Standard input" }).kind, "Standard input");
  equal(told({ kind: "post", label: "Posted events" }).kind, "Posted events");
});

test("the newest line is shown without its escapes, its time and its level", () => {
  const last = (text) => told({ last: text }).last;
  equal(last("\u001b[31mred\u001b[0m alert"), "red alert");
  equal(last("2026-11-29T01:33:12.500Z ERROR [shop] timeout"), "[shop] timeout");
  equal(last("  indented"), "indented");
  equal(last('{"time":"2026-11-29T01:33:12Z","level":"info","msg":"paid","order":7}'), "paid  order=7");
  equal(last('{"cut off": "by the ser'), '{"cut off": "by the ser');
  equal(last("<img src=x onerror=alert(1)>"), "<img src=x onerror=alert(1)>");
});

test("the age is that of the newest line, by the server's clock", () => {
  equal(told().age, "12 s ago");
  equal(told({ lastAt: NOW + 5000 }).age, "just now");
  equal(told({ lastAt: null }).age, "");
});

test("a source without a line shows this", () => {
  const none = told({ lines: 0, last: null, lastAt: null });
  equal([none.last, none.age, none.rate], ["", "No lines yet", "0/s"]);
  equal(told({ kind: "post", lines: 0, last: null, lastAt: null }).age, "No events yet");
});

test("an empty newest line is a line", () => {
  equal([told({ last: "" }).last, told({ last: "" }).age], ["", "12 s ago"]);
});

test("if each client gets its own events, there is neither a line nor a rate", () => {
  const own = told({ kind: "tick", label: "Ticks", lines: null, last: null, lastAt: null, rates: null });
  equal(own, {
    kind: "Ticks",
    last: "Each client gets its own events; open it to see them.",
    isLine: false,
    age: "",
    rate: "—",
    rates: null,
  });
});

test("the rate is the mean of the last five seconds, in whole numbers from ten on", () => {
  const rate = (...newest) => told({ rates: [...QUIET, ...newest].slice(-60) }).rate;
  equal(rate(100, 0, 0, 0, 0, 0), "0/s");
  equal(rate(0, 1, 0, 1, 0), "0.4/s");
  equal(rate(5, 5, 5, 5, 5), "5/s");
  equal(rate(12, 12, 12, 12, 13), "12/s");
  equal(rate(2000, 2000, 2000, 2000, 2000), "2,000/s");
});

test("a source whose lines are no longer kept still shows when the newest arrived", () => {
  const said = told({ last: null });
  equal([said.last, said.isLine, said.age], ["", false, "12 s ago"]);
});
