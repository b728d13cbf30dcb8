// The markers between events.

"use strict";

import { showCount } from "./numbers.js";

const PLAIN = ["soft", ""];
const LOST = ["error", "dashed"];

function make(text, [colour, line], source) {
  return { text, colour, line, source };
}

export function liveFromHere(source) {
  return make("Live from here", ["ok", ""], source);
}

export function reconnected(seconds, source) {
  return make(`Reconnected after ${seconds} s. No events were lost.`, PLAIN, source);
}

export function reconnectedWithoutID(seconds, source) {
  const text = `Reconnected after ${seconds} s. Events from in between are missing.`;
  return make(text, LOST, source);
}

export function reset(source) {
  return make("Events are missing here: the server no longer had them.", LOST, source);
}

// number: of events, 0 if unknown.
export function gap(number, source) {
  const what = number > 0 ? showCount(number, "event") : "Events";
  const text = `${what} ${number === 1 ? "was" : "were"} skipped here: this page could not keep up.`;
  return make(text, LOST, source);
}

export function notKept() {
  return make("Older events are no longer kept.", PLAIN);
}

export function wentBy(number) {
  const verb = number === 1 ? "is" : "are";
  const text = `${showCount(number, "event")} went by here and ${verb} no longer kept.`;
  return make(text, ["soft", "dashed"]);
}

// Names the source in a marker, if several sources are shown.
export function named(marker, name) {
  return name === undefined ? marker : { ...marker, text: `${name}: ${marker.text}` };
}
