// Tests for footer.js.

"use strict";

import { emptyText, pillText, statusLine } from "../../twisted_sse/daemon/page/footer.js";
import { equal, test } from "./testing.js";

const COUNTS = { kept: 143, passing: 143, dropped: 0, isFiltered: false, since: "02:28:32" };
const status = (more) => statusLine({ ...COUNTS, ...more });

test("the status line shows how many events are kept, and since when", () => {
  equal(status({}), "143 events kept, since 02:28:32");
  equal(status({ kept: 1, since: "" }), "1 event kept");
  equal(status({ kept: 0, since: "" }), "0 events kept");
});

test("the status line shows how many match, and how many were dropped", () => {
  const filtered = { kept: 185, passing: 24, isFiltered: true, since: "02:19:20" };
  equal(status(filtered), "24 of 185 events match, since 02:19:20");
  equal(status({ ...filtered, dropped: 63 }).split(" · ").at(-1), "63 older ones dropped");
  equal(status({ dropped: 1 }), "143 events kept, since 02:28:32 · 1 older one dropped");
});

test("the pill shows the number of new events, their direction, and the number of errors", () => {
  equal(pillText(128, 0, false), "↓ 128 new");
  equal(pillText(128, 3, false), "↓ 128 new · 3 errors");
  equal(pillText(1, 1, true), "↑ 1 new · 1 error");
  equal(pillText(0, 0, false), "↓ Latest");
});

const STATE = {
  kept: 0,
  isConnected: true,
  isStopped: false,
  more: "",
  kind: "file",
  label: "app.log",
  detail: "/srv/shop/app.log",
};
const empty = (more) => emptyText({ ...STATE, ...more });

test("an empty page shows what it waits for", () => {
  equal(empty({}), {
    title: "Waiting for the first line",
    text: "Lines appear here as they are written to app.log.",
    clears: false,
  });
  const command = { kind: "command", label: "ping localhost", detail: "ping localhost" };
  equal(empty(command).text, "Lines appear here as ping writes them.");
  for (const kind of ["python", "tick", "post", "all"]) {
    equal(empty({ kind }).title, "Waiting for the first event", kind);
  }
  equal(empty({ kind: "post" }).text, "Events appear here as they are published.");
});

test("an empty page shows that nothing matches, or that it is not connected", () => {
  equal(empty({ kept: 5000 }), {
    title: "No events match",
    text: "5,000 events searched. New ones appear here when they match.",
    clears: true,
  });
  equal(empty({ isConnected: false }), {
    title: "Not connected",
    text: "Reconnects automatically.",
    clears: false,
  });
  const ended = { isConnected: false, isStopped: true, more: "The stream has ended." };
  equal(empty(ended).text, "The stream has ended.");
});
