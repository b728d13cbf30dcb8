// The texts below and inside the list: the status line, the pill above it, and the empty list.

"use strict";

import { setText } from "./elements.js";
import { showCount, showNumber } from "./numbers.js";

const byId = (id) => document.getElementById(id);

// counts: kept, passing, dropped, isFiltered, since (as text, or "").
export function statusLine({ kept, passing, dropped, isFiltered, since }) {
  const what = isFiltered
    ? `${showNumber(passing)} of ${showCount(kept, "event")} match`
    : `${showCount(kept, "event")} kept`;
  const parts = [since === "" ? what : `${what}, since ${since}`];
  if (dropped > 0) {
    parts.push(`${showNumber(dropped)} older ${dropped === 1 ? "one" : "ones"} dropped`);
  }
  return parts.join(" · ");
}

export function pillText(events, errors, newestFirst) {
  const arrow = newestFirst ? "↑" : "↓";
  if (events === 0) {
    return `${arrow} Latest`;
  }
  const bad = errors > 0 ? ` · ${showCount(errors, "error")}` : "";
  return `${arrow} ${showNumber(events)} new${bad}`;
}

// The text of an empty list: a title, a sentence, and whether a filter can be cleared.
//
// kept: the number of events; kind, label and detail: of the source; more: about a connection that
// has ended.
export function emptyText({ kept, isConnected, isStopped, more, kind, label, detail }) {
  if (kept > 0) {
    const searched = `${showCount(kept, "event")} searched.`;
    const text = `${searched} New ones appear here when they match.`;
    return { title: "No events match", text, clears: true };
  }
  if (!isConnected) {
    const text = isStopped ? more : "Reconnects automatically.";
    return { title: "Not connected", text, clears: false };
  }
  const lines = {
    file: `Lines appear here as they are written to ${label}.`,
    command: `Lines appear here as ${detail.split(" ")[0]} writes them.`,
    stdin: "Lines appear here as they are written to standard input.",
  };
  if (kind in lines) {
    return { title: "Waiting for the first line", text: lines[kind], clears: false };
  }
  const text = kind === "post" ? "Events appear here as they are published." : "";
  return { title: "Waiting for the first event", text, clears: false };
}

export class Footer {
  // clear() and latest() are called by the buttons.
  constructor({ clear, latest }) {
    byId("empty").lastElementChild.addEventListener("click", clear);
    byId("pill").addEventListener("click", latest);
  }

  showCounts(counts, more) {
    setText(byId("shown"), more === "" ? statusLine(counts) : more);
  }

  showZone(text) {
    setText(byId("zone"), text);
  }

  showPill(isShown, events, errors, newestFirst) {
    const pill = byId("pill");
    pill.hidden = !isShown;
    if (isShown) {
      setText(pill, pillText(events, errors, newestFirst));
    }
  }

  hideEmpty() {
    byId("empty").hidden = true;
  }

  // state: see emptyText().
  showEmpty(state) {
    const empty = byId("empty");
    const { title, text, clears } = emptyText(state);
    const [heading, sentence, button] = empty.children;
    setText(heading, title);
    setText(sentence, text);
    button.hidden = !clears;
    empty.hidden = false;
  }
}
