// Describes the state of a connection.

"use strict";

const FINAL = {
  204: { word: "Ended", more: "The stream has ended." },
  401: { word: "Sign-in needed", more: "Reload the page to sign in." },
  403: { word: "Access denied", more: "" },
  404: { word: "No stream here", more: "" },
};

const inSeconds = (milliseconds) => Math.max(0, Math.ceil(milliseconds / 1000));

// The texts of a state: a word, more details, a button, the kind of dot; and the text for screen
// readers, which does not change with each second of a countdown.
//
// A state is { name, since, until, status, type }: since and until in milliseconds, the status and
// the type of a response.
export function describe(state, now, clock) {
  const { name, since, until, status } = state;
  const wait = inSeconds(until - now);
  switch (name) {
    case "open":
      return say("Live", `Connected since ${clock.time(since)}`, "ok");
    case "silent":
      return say(`Silent for ${inSeconds(now - since)} s`, "", "warn", "", "Silent");
    case "waiting":
      return say(`Reconnecting in ${wait} s`, "", "ring", "Retry now", "Reconnecting");
    case "offline":
      return say("Offline", "Reconnects when the network is back.", "ring");
    case "busy":
      return say("Server busy", `Retrying in ${wait} s.`, "ring", "Retry now");
    case "failing":
      return say(`Server error ${status}`, `Retrying in ${wait} s.`, "ring", "Retry now");
    case "refused": {
      const { word, more } = FINAL[status] ?? { word: `Server error ${status}`, more: "" };
      return say(word, more, status === 204 ? "soft" : "error");
    }
    case "other":
      return say("Not an event stream", `The server answered with ${state.type}.`, "error");
    case "disconnected":
      return say("Disconnected", "", "soft", "Connect");
    default:
      return say("Connecting…", "", "connecting");
  }
}

function say(word, more, dot, button = "", spoken = word) {
  return { word, more, dot, button, spoken };
}

// Combines the states of several streams: the state of the only one, else how many are live.
export function together(states) {
  const live = states.filter(({ name }) => name === "open");
  return live.length === states.length ? null : `${live.length} of ${states.length} live`;
}
