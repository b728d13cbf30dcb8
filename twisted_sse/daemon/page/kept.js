// The events in memory: groups of entries, with markers between them, oldest first.
//
// A group is one event for the reader: a line and the lines that belong to it, such as a traceback.

"use strict";

import { rank } from "./line/levels.js";

export const MOST_EVENTS = 5000;
const MOST_SIZE = 2 ** 25; // characters
const AT_A_TIME = 500; // events dropped together
const ENOUGH = 0.9; // share of the size that is left after a drop

export class Kept {
  items = []; // groups and markers
  events = 0; // groups
  dropped = 0; // groups dropped so far
  #size = 0;
  #next = 1;
  #onDrop;

  // onDrop(items) is called with the dropped items, which have `gone` set.
  constructor(onDrop) {
    this.#onDrop = onDrop;
  }

  // Starts a group.
  add(entry) {
    const { source, type } = entry;
    const { level } = entry.line;
    const group = { number: this.#next, source, type, entries: [entry], level, version: 0 };
    this.#next += 1;
    this.items.push(group);
    this.events += 1;
    this.#grow(entry.size);
    return group;
  }

  // Adds a line to a group. If its first line has no level, the group takes its worst line's.
  join(group, entry) {
    group.entries.push(entry);
    group.version += 1;
    const { level } = entry.line;
    if (group.entries[0].line.level === "" && rank(level) > rank(group.level)) {
      group.level = level;
    }
    this.#grow(entry.size);
  }

  // Adds a marker, unless it repeats the marker before it.
  mark(marker) {
    const last = this.items.at(-1)?.marker;
    if (last !== undefined && last.text === marker.text) {
      return null;
    }
    const item = { number: this.#next, source: marker.source, marker, entries: [], version: 0 };
    this.#next += 1;
    this.items.push(item);
    this.#grow(0);
    return item;
  }

  clear() {
    for (const item of this.items) {
      item.gone = true;
    }
    this.items = [];
    this.events = 0;
    this.dropped = 0;
    this.#size = 0;
  }

  // Markers count too: a server that keeps restarting produces nothing else.
  #grow(size) {
    this.#size += size;
    while (
      this.items.length > 2 * MOST_EVENTS ||
      this.events > MOST_EVENTS + AT_A_TIME ||
      (this.#size > MOST_SIZE && this.events > 1)
    ) {
      this.#drop();
    }
  }

  // Drops many items at once, or as many as the size requires; the newest event always stays then.
  #drop() {
    const isForSize = this.#size > MOST_SIZE;
    const gone = [];
    let events = 0;
    while (gone.length < AT_A_TIME) {
      if (isForSize && (this.events - events === 1 || this.#size <= ENOUGH * MOST_SIZE)) {
        break;
      }
      const item = this.items[gone.length];
      gone.push(item);
      item.gone = true;
      events += item.marker === undefined ? 1 : 0;
      for (const entry of item.entries) {
        this.#size -= entry.size;
      }
    }
    this.items = this.items.slice(gone.length);
    this.events -= events;
    this.dropped += events;
    this.#onDrop(gone);
  }
}
