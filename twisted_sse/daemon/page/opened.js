// The details below an open row: the whole event, to read, copy and search for.

"use strict";

import { copyFrom } from "./clipboard.js";
import { make } from "./elements.js";
import { indent, pairsOf } from "./json.js";
import { cut } from "./line/cut.js";
import { toJSON } from "./line/record.js";
import { showNumber } from "./numbers.js";
import { mergeRuns } from "./search/runs.js";
import { styleRun } from "./styles.js";

const MOST_TEXT = 10000; // characters shown at first

// Makes the details of a group. The buttons of a key call view.actions: only(key, value),
// hide(key, value) and column(key).
export function makeOpened(group, view) {
  const { entries } = group;
  const [entry] = entries;
  const label = entries.length === 1 ? "Copy line" : `Copy all ${showNumber(entries.length)} lines`;
  const button = make("button", { type: "button" }, label);
  button.addEventListener("click", () => copyFrom(button, textOf(group)));
  const arrived = `arrived ${view.clock.exactTime(entry.arrived)}`;
  const id = make("bdi", {}, entry.id);
  const facts = make("p", { class: "facts" });
  facts.append(...(entry.id === "" ? [arrived] : ["ID ", id, ` · ${arrived}`]));
  const isJSON = entry.line.record !== null && entries.length === 1 && !view.raw;
  return make(
    "div",
    { class: "opened" },
    make("div", { class: "tools" }, button, facts),
    isJSON ? makePairs(entry, view) : makeText(entries, view),
  );
}

// The exact data of the event.
export function textOf(group) {
  return group.entries.map(({ data }) => data).join("\n");
}

function makePairs({ text, line: { record } }, view) {
  const list = make("dl", { class: "pairs" });
  for (const pair of valuesOf(text, record)) {
    const isString = pair.text.startsWith('"');
    const isNested = /^[[{]/.test(pair.text);
    const value = isString ? JSON.parse(pair.text) : isNested ? indent(pair.text) : pair.text;
    const shown = make("dd", { class: isString || isNested ? "" : "number" });
    shown.append(limited(value, (part) => document.createTextNode(part)));
    list.append(make("dt", {}, pair.key), shown, makeTools(pair.key, value, isNested, view));
  }
  return list;
}

// The original text of each value if the line is nothing but the object, else the value written
// again as JSON.
function valuesOf(text, record) {
  const start = text.indexOf("{");
  const pairs = start < 0 || text.slice(0, start).trim() !== "" ? [] : pairsOf(text.slice(start));
  const keys = Object.keys(record);
  return pairs.length >= keys.length && pairs.every(({ key }) => Object.hasOwn(record, key))
    ? pairs
    : keys.map((key) => ({ key, text: toJSON(record[key]) }));
}

function makeTools(key, value, isNested, view) {
  const tools = make("dd", { class: "pair-tools" });
  const add = (label, pressed, choose) => {
    const what = `${label}: ${key}`;
    const attributes = { type: "button", "aria-label": what, "aria-pressed": pressed };
    tools.append(make("button", { ...attributes, click: choose }, label));
  };
  if (!isNested) {
    add("Only", undefined, () => view.actions.only(key, value));
    add("Hide", undefined, () => view.actions.hide(key, value));
  }
  const isColumn = view.columns.includes(key);
  add("Column", isColumn ? "true" : "false", () => view.actions.column(key));
  return tools;
}

function makeText(entries, view) {
  const text = make("pre", { class: "text", tabindex: "-1" });
  if (view.raw) {
    const all = entries.map(({ data }) => data).join("\n");
    text.append(limited(all, (part) => document.createTextNode(part)));
    return text;
  }
  const all = entries.map((entry) => entry.text).join("\n");
  const styles = [];
  let start = 0;
  for (const entry of entries) {
    for (const run of entry.styles ?? []) {
      styles.push({ ...run, start: run.start + start, end: run.end + start });
    }
    start += entry.text.length + 1;
  }
  text.append(limited(all, (part, from) => makeRuns(part, from, styles)));
  return text;
}

function makeRuns(part, from, styles) {
  const fragment = document.createDocumentFragment();
  const within = styles
    .map((run) => ({ ...run, start: Math.max(0, run.start - from), end: run.end - from }))
    .filter((run) => run.end > run.start && run.start < part.length)
    .map((run) => ({ ...run, end: Math.min(run.end, part.length) }));
  for (const { start, end, style } of mergeRuns(part.length, within, [])) {
    const piece = part.slice(start, end);
    if (style === null) {
      fragment.append(piece);
    } else {
      const span = make("span", {}, piece);
      styleRun(span, style);
      fragment.append(span);
    }
  }
  return fragment;
}

// Shows the beginning of a text, and a button for the rest. show(part, from) makes the content.
function limited(text, show) {
  const fragment = document.createDocumentFragment();
  const start = cut(text, MOST_TEXT);
  fragment.append(show(start, 0));
  if (start !== text) {
    const rest = text.slice(start.length);
    const more = make("p", { class: "more" }, `… and ${showNumber(rest.length)} more characters `);
    const click = () => more.replaceWith(show(rest, start.length));
    more.append(make("button", { type: "button", click }, "Show all"));
    fragment.append(more);
  }
  return fragment;
}
