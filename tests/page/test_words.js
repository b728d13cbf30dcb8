// Tests for the page's texts: states.js and markers.js.

"use strict";

import { Clock } from "../../twisted_sse/daemon/page/clock.js";
import * as markers from "../../twisted_sse/daemon/page/markers.js";
import { describe, together } from "../../twisted_sse/daemon/page/states.js";
import { equal, test } from "./testing.js";

test("each state has its word, its dot and its button, and seconds are not announced", () => {
  const clock = new Clock(true);
  const now = Date.UTC(2026, 10, 29, 1, 33, 53);
  const say = (state) => {
    const { word, more, button, spoken } = describe(state, now, clock);
    return [word, more, button, spoken === word ? "" : spoken];
  };
  equal(say({ name: "connecting" }), ["Connecting…", "", "", ""]);
  equal(say({ name: "open", since: now - 40000 }), ["Live", "Connected since 01:33:13", "", ""]);
  const waiting = ["Reconnecting in 4 s", "", "Retry now", "Reconnecting"];
  equal(say({ name: "waiting", until: now + 3001 }), waiting);
  equal(say({ name: "offline" }), ["Offline", "Reconnects when the network is back.", "", ""]);
  equal(say({ name: "silent", since: now - 40000 }), ["Silent for 40 s", "", "", "Silent"]);
  equal(say({ name: "refused", status: 204 }), ["Ended", "The stream has ended.", "", ""]);
  equal(say({ name: "refused", status: 401 }), ["Sign-in needed", "Reload the page to sign in.", "", ""]);
  equal(say({ name: "refused", status: 403 }), ["Access denied", "", "", ""]);
  equal(say({ name: "refused", status: 404 }), ["No stream here", "", "", ""]);
  equal(say({ name: "refused", status: 418 }), ["Server error 418", "", "", ""]);
  equal(say({ name: "busy", until: now + 30000 }), ["Server busy", "Retrying in 30 s.", "Retry now", ""]);
  const html = ["Not an event stream", "The server answered with text/html.", "", ""];
  equal(say({ name: "other", type: "text/html" }), html);
  equal(say({ name: "disconnected" }), ["Disconnected", "", "Connect", ""]);
});

test("with several streams, the number of live ones is shown", () => {
  const states = ["open", "open", "waiting"].map((name) => ({ name }));
  equal(together(states), "2 of 3 live");
  equal(together(states.slice(0, 2)), null);
});

test("markers have the words, the colours and the lines of the specification", () => {
  const say = ({ text, colour, line }) => [text, colour, line];
  equal(say(markers.liveFromHere("/")), ["Live from here", "ok", ""]);
  equal(say(markers.reconnected(4, "/")), ["Reconnected after 4 s. No events were lost.", "soft", ""]);
  equal(say(markers.reconnectedWithoutID(4, "/")), [
    "Reconnected after 4 s. Events from in between are missing.",
    "error",
    "dashed",
  ]);
  equal(say(markers.reset("/")), [
    "Events are missing here: the server no longer had them.",
    "error",
    "dashed",
  ]);
  equal(say(markers.gap(1204, "/")), [
    "1,204 events were skipped here: this page could not keep up.",
    "error",
    "dashed",
  ]);
  equal(say(markers.notKept()), ["Older events are no longer kept.", "soft", ""]);
  equal(say(markers.wentBy(17260)), [
    "17,260 events went by here and are no longer kept.",
    "soft",
    "dashed",
  ]);
  equal(markers.named(markers.liveFromHere("/load"), "/load").text, "/load: Live from here");
});
