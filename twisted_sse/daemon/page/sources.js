// The list of sources: the name, the newest line and the rate of each.

"use strict";

import { absolute } from "./absolute.js";
import { draw } from "./chart.js";
import { Clock } from "./clock.js";
import { make, setText } from "./elements.js";
import { showCount } from "./numbers.js";
import { describe } from "./overview.js";

const PERIOD = 2000; // milliseconds between two requests
const PATIENCE = 10000; // milliseconds to wait for a response
const COLOURS = 6;

const { prefix, sources: howMany } = document.documentElement.dataset;
const list = document.getElementById("sources");
const status = document.getElementById("updated");
const clock = new Clock();

const rows = new Map(); // by path
let shown = null; // the latest response
let skew = 0; // milliseconds that the server's clock is ahead
let updated = Date.now();
let question = null; // the AbortController of the open request
let timer = 0;

function makeRow(path, index) {
  const kind = make("span", { class: "kind" });
  const last = make("span", { class: "last" });
  const age = make("span", { class: "age" });
  const rate = make("span", { class: "rate" });
  const chart = make("canvas", { class: "chart", "aria-hidden": "true" });
  const link = make(
    "a",
    { href: prefix + (path.slice(1) || "./"), class: `source source${index % COLOURS}` },
    make("span", { class: "square", "aria-hidden": "true" }),
    make("span", { class: "what" }, make("span", { class: "path" }, path), kind),
    make("span", { class: "newest" }, last, age),
    rate,
    chart,
  );
  return { item: make("li", {}, link), kind, last, age, rate, chart };
}

function showRow(row, source) {
  const said = describe(source, Date.now() + skew);
  for (const name of ["kind", "last", "age", "rate"]) {
    setText(row[name], said[name]);
  }
  row.last.classList.toggle("line", said.isLine);
  row.chart.classList.toggle("none", said.rates === null);
  if (said.rates !== null) {
    draw(row.chart, said.rates, getComputedStyle(row.chart).color);
  }
}

function showAll() {
  if (shown === null) {
    return; // the list that the server rendered is still there
  }
  const paths = shown.map(({ path }) => path);
  if (paths.join("\n") !== [...rows.keys()].join("\n")) {
    rows.clear(); // the server was restarted with other sources
    paths.forEach((path, index) => rows.set(path, makeRow(path, index)));
    list.replaceChildren(...[...rows.values()].map(({ item }) => item));
  }
  for (const source of shown) {
    showRow(rows.get(source.path), source);
  }
}

async function ask(signal) {
  const answer = await fetch(absolute(`${prefix}page/sources`), {
    headers: { Accept: "application/json" },
    cache: "no-store",
    signal,
  });
  if (!answer.ok) {
    throw new Error(`status ${answer.status}`);
  }
  const sources = await answer.json();
  const date = Date.parse(answer.headers.get("date"));
  // The Date header has whole seconds, so ignore small differences.
  const ahead = date - Date.now();
  return { sources, skew: Math.abs(ahead) > 2000 ? ahead : 0 };
}

async function update() {
  clearTimeout(timer);
  question?.abort();
  const own = new AbortController();
  question = own;
  const patience = setTimeout(() => own.abort(), PATIENCE);
  const answer = await ask(own.signal).catch(() => null);
  clearTimeout(patience);
  if (question !== own) {
    return; // superseded by another request, or the page is hidden
  }
  question = null;
  if (answer !== null) {
    ({ sources: shown, skew } = answer);
    updated = Date.now();
  }
  status.classList.toggle("failing", answer === null);
  setText(
    status,
    answer === null
      ? `Not updated since ${clock.time(updated)}.`
      : `${showCount(shown.length, "source")}, updated every 2 s`,
  );
  showAll();
  timer = setTimeout(update, PERIOD);
}

function stop() {
  clearTimeout(timer);
  question?.abort();
  question = null;
}

if (howMany !== "0") {
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : update()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
  window.addEventListener("resize", showAll);
  if (!document.hidden) {
    update();
  }
}
