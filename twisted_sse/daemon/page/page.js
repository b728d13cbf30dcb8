// Shows the events of the stream that is served at this page's own address.
//
// By fetch(), not by EventSource: that tells a page only of events whose types it has named
// beforehand, and this page is to show whatever comes. The rest is as EventSource does it (HTML
// standard, 9.2): it comes back after the reconnection time, with the last event ID, until it is
// told that there is no stream.

"use strict";

import { showJSON } from "./json.js";
import { EventStreamParser } from "./parser.js";

const MOST_ROWS = 400; // rows in the page
const FLOOD = 1000; // events in a second or two, from which on there are fewer rows
const ROWS_IN_FLOOD = 100;
const MOST_EVENTS = 2000; // events that are kept, to be searched
const MOST_KEPT = 2 ** 25; // characters of all of them
const MOST_TEXT = 10000; // characters of one event that are shown
const MOST_IN_A_LINE = 300; // as long as it is folded
const MOST_NEW = 5; // rows that glow for a moment when they come
const MOST_TYPES = 100; // in the list of types
const COLOURS = 6; // that types have
const SECONDS = 60; // in the chart
const LONGEST_WAIT = 30000; // milliseconds from one attempt to the next
const SHORTEST_WAIT = 500; // as browsers have it who have one
const LONGEST_RETRY = 2 ** 31 - 1; // a timer that is longer fires at once
const SHORTEST_PAUSE = 25; // milliseconds from one drawing to the next

const byId = (id) => document.getElementById(id);
const rows = byId("events");
const template = byId("row").content.firstElementChild;
const here = location.origin + location.pathname;

let kept = []; // events and notices, the oldest first
let keptSize = 0; // their characters
let drawn = 0; // how many of them have been drawn, or left out
let count = 0;
let paused = false;
let waiting = 0; // events that have come since it was paused
let drawing = false;
let most = MOST_ROWS; // rows in the page at present
let search = "";
let type = "";
const types = new Map(); // how many events there were of each, and its colour
const speeds = new Array(SECONDS).fill(0);

let lastEventId = "";
let retry = 3000;
let connections = 0;
let failures = 0; // attempts since anything came
let attempt = null; // the AbortController of the connection; null when stopped
let timer = 0;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const many = new Intl.NumberFormat();

// What is said if there is nothing to show, by the state of the connection.
const EMPTY = {
  connecting: "Connecting to the server.",
  open: "Connected. Nothing has come yet.",
  waiting: "Nothing has come yet, and nobody answers.",
  closed: "Nothing has come.",
};

// By the status of the response.
const STOPPED = {
  204: "ended by the server",
  401: "a password is needed",
  403: "not allowed",
};

function setState(state, what, since) {
  byId("state").dataset.state = state;
  byId("what").textContent = what;
  byId("since").textContent = since;
  draw();
}

function shorten(text, most) {
  const rest = text.length - most;
  return rest > 0 ? `${text.slice(0, most)}\n… and ${rest} more characters` : text;
}

function keep(entry) {
  kept.push(entry);
  keptSize += entry.data.length;
  if (kept.length > 2 * MOST_EVENTS || keptSize > 2 * MOST_KEPT) {
    let gone = 0;
    while (kept.length - gone > MOST_EVENTS || keptSize > MOST_KEPT) {
      keptSize -= kept[gone].data.length;
      gone += 1;
    }
    kept = kept.slice(gone);
    drawn = Math.max(0, drawn - gone);
  }
  draw();
}

function onEvent(eventType, data, id) {
  failures = 0;
  if (eventType === "stream-position") {
    // Only its ID matters, and the browser has it.
    return;
  }
  count += 1;
  speeds[SECONDS - 1] += 1;
  waiting += paused ? 1 : 0;
  if (eventType === "stream-reset") {
    notice("Some events were lost for good. What follows is all that the server still has.", true);
    return;
  }
  if (eventType === "stream-gap") {
    notice(`Events that were left out, since this page could not keep up: ${JSON.parse(data).dropped}.`, true);
    return;
  }
  if (eventType !== "message") {
    rows.classList.remove("plain");
  }
  if (!types.has(eventType) && types.size < MOST_TYPES) {
    const colour = eventType === "message" ? "faint" : `colour${types.size % COLOURS}`;
    types.set(eventType, { number: 0, colour });
  }
  if (types.has(eventType)) {
    types.get(eventType).number += 1;
  }
  keep({ time: new Date(), type: eventType, id, data });
}

function notice(text, lost = false) {
  keep({ time: new Date(), notice: true, lost, data: text });
}

// The text of an event is only ever text: textContent, never HTML.
function makeRow(entry) {
  const row = template.cloneNode(true);
  const [time, name, data] = row.children;
  time.textContent = clock.format(entry.time);
  name.textContent = entry.type;
  name.classList.add(types.get(entry.type)?.colour ?? "faint");
  data.textContent = entry.data.slice(0, MOST_IN_A_LINE).replaceAll("\n", " ↵ ");
  row.entry = entry;
  return row;
}

function makeNotice(entry) {
  const row = document.createElement("li");
  row.className = entry.lost ? "notice lost" : "notice";
  const time = document.createElement("span");
  time.className = "time";
  time.textContent = clock.format(entry.time);
  row.append(time, entry.data);
  return row;
}

// All of an event is put into the page when somebody wants to see it.
function unfold(row) {
  const { data, id } = row.entry;
  const text = document.createElement("pre");
  text.append(showJSON(data, MOST_TEXT) ?? shorten(data, MOST_TEXT));
  const name = document.createElement("p");
  name.textContent = id === "" ? "no ID" : `ID ${id}`;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", () => copy(data, button));
  const whole = document.createElement("div");
  whole.className = "whole";
  whole.append(name, button, text);
  row.append(whole);
}

rows.addEventListener("click", (event) => {
  const row = event.target.closest("li");
  // Not when somebody marks a piece of it, to copy that.
  if (row?.entry === undefined || event.target.closest(".whole") || !getSelection().isCollapsed) {
    return;
  }
  const open = row.classList.toggle("open");
  row.firstElementChild.setAttribute("aria-expanded", open);
  if (open) {
    unfold(row);
  } else {
    row.lastElementChild.remove();
  }
});

function matches(entry) {
  return (
    entry.notice ||
    ((type === "" || entry.type === type) &&
      (search === "" ||
        `${entry.type}\n${entry.id}\n${entry.data}`.toLowerCase().includes(search)))
  );
}

// The newest is on top: there it is seen without scrolling, and whoever reads further down is left
// alone by the browser. All that has come meanwhile is drawn at once: it is the number of times
// that the browser has to arrange the page anew that is dear, not the number of rows. In a tab that
// nobody sees nothing is drawn, however much comes.
function draw() {
  if (!drawing) {
    drawing = true;
    setTimeout(() => requestAnimationFrame(drawNow), SHORTEST_PAUSE);
  }
}

function drawNow() {
  drawing = false;
  if (!paused) {
    most = isFlood() ? ROWS_IN_FLOOD : most;
    const fresh = kept.slice(drawn).filter(matches);
    prepend(fresh, fresh.length <= MOST_NEW);
    drawn = kept.length;
  }
  byId("count").textContent = many.format(count);
  byId("note").hidden = !paused;
  byId("note").textContent = `Paused. New events: ${many.format(waiting)}.`;
  byId("nothing").hidden = rows.childElementCount > 0;
  byId("nothing").textContent =
    kept.length > 0 ? "None of the events is like that." : EMPTY[byId("state").dataset.state];
  byId("more").hidden = rows.childElementCount < most;
  byId("more").textContent =
    `These are the newest ${most}. Search looks at the newest ${many.format(MOST_EVENTS)}.`;
}

// Then nobody reads, and a row costs too much for what it is there.
function isFlood() {
  return speeds[SECONDS - 2] + speeds[SECONDS - 1] > FLOOD;
}

function prepend(entries, glow) {
  const newest = entries.slice(-most).reverse();
  const made = newest.map((entry) => (entry.notice ? makeNotice(entry) : makeRow(entry)));
  made.forEach((row) => row.classList.toggle("new", glow));
  while (rows.childElementCount > most - made.length) {
    rows.lastElementChild.remove();
  }
  rows.prepend(...made);
}

// When something else is to be shown of what is kept; no more of it if it is paused.
function drawAll() {
  drawn = paused ? drawn : kept.length;
  rows.replaceChildren();
  prepend(kept.slice(0, drawn).filter(matches), false);
  draw();
}

// Once a second: the chart, and what else need not be newer.
function tick() {
  const speed = many.format(speeds[SECONDS - 1]);
  byId("speed").textContent = speed;
  document.title = `${speed}/s ${location.host}${location.pathname}`;
  drawChart();
  speeds.shift();
  speeds.push(0);
  listTypes();
  if (most < MOST_ROWS && !isFlood()) {
    most = MOST_ROWS;
    drawAll();
  }
}

function drawChart() {
  const chart = byId("chart");
  chart.width = chart.clientWidth * devicePixelRatio;
  chart.height = chart.clientHeight * devicePixelRatio;
  const context = chart.getContext("2d");
  const width = chart.width / SECONDS;
  const line = devicePixelRatio;
  const highest = Math.max(1, ...speeds);
  context.fillStyle = getComputedStyle(chart).color;
  speeds.forEach((speed, i) => {
    const height = Math.max(speed && line, ((chart.height - line) * speed) / highest);
    const gap = width > 2 * line ? line : 0;
    context.fillRect(i * width, chart.height - line - height, width - gap, height);
  });
  context.globalAlpha = 0.4;
  context.fillRect(0, chart.height - line, chart.width, line);
}

function listTypes() {
  const list = byId("types");
  // Not while it is open.
  if (document.activeElement === list) {
    return;
  }
  for (const [name, { number }] of types) {
    let option = [...list.options].find((each) => each.value === name);
    if (option === undefined) {
      option = new Option("", name);
      list.append(option);
    }
    option.textContent = `${name} (${many.format(number)})`;
  }
}

async function copy(text, button) {
  const before = button.dataset.text ?? button.textContent;
  button.dataset.text = before;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Only for pages by HTTPS, or of this machine.
    button.textContent = "Not allowed";
  }
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

// Returns when the stream has ended.
async function read(signal) {
  const headers = { Accept: "text/event-stream" };
  if (lastEventId !== "") {
    // As UTF-8: fetch() takes a string of bytes.
    headers["Last-Event-ID"] = String.fromCharCode(...new TextEncoder().encode(lastEventId));
  }
  const response = await fetch(location.href, { headers, signal, cache: "no-store" });
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status >= 500) {
    // EventSource would give up; but it is what a proxy says while the server restarts.
    await response.body?.cancel();
    return;
  }
  if (response.status !== 200 || !/^text\/event-stream\s*(;|$)/i.test(type)) {
    await response.body?.cancel();
    stop(STOPPED[response.status] ?? `the server answered ${response.status}`);
    return;
  }
  setState("open", "connected", `since ${clock.format()}`);
  connections += 1;
  if (connections > 1) {
    notice(
      lastEventId === ""
        ? "Connected again, without a last event ID."
        : `Connected again, with the last event ID ${lastEventId}.`,
    );
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventStreamParser(lastEventId, (eventType, data) =>
    onEvent(eventType, data, parser.lastEventId),
  );
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    parser.feed(value);
    lastEventId = parser.lastEventId;
    retry = Math.min(parser.retry ?? retry, LONGEST_RETRY);
  }
}

async function connect() {
  const mine = new AbortController();
  attempt = mine;
  setState("connecting", "connecting", "");
  try {
    await read(mine.signal);
  } catch {
    // Refused or cut off; what the reason is, browsers do not tell.
  }
  if (attempt === mine) {
    const wait = Math.max(retry, Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** failures));
    failures += 1;
    const then = clock.format(Date.now() + wait);
    setState("waiting", "disconnected", `since ${clock.format()}, again at ${then}`);
    timer = setTimeout(connect, wait);
  }
}

function stop(why) {
  clearTimeout(timer);
  attempt?.abort();
  attempt = null;
  setState("closed", why, `since ${clock.format()}`);
  byId("stop").textContent = "Connect";
}

byId("stop").addEventListener("click", () => {
  if (attempt === null) {
    failures = 0;
    byId("stop").textContent = "Disconnect";
    connect();
  } else {
    stop("disconnected");
  }
});

byId("pause").addEventListener("click", (event) => {
  paused = !paused;
  waiting = 0;
  event.target.setAttribute("aria-pressed", paused);
  draw();
});

byId("clear").addEventListener("click", () => {
  kept = [];
  keptSize = 0;
  drawn = 0;
  waiting = 0;
  count = 0;
  drawAll();
});

byId("copy").addEventListener("click", (event) => {
  const shown = [...rows.children].map((row) => row.entry).filter((entry) => entry !== undefined);
  copy(shown.map((entry) => JSON.stringify(entry)).join("\n"), event.target);
});

byId("search").addEventListener("input", (event) => {
  search = event.target.value.toLowerCase();
  drawAll();
});

byId("types").addEventListener("change", (event) => {
  type = event.target.value;
  drawAll();
});

byId("tools").addEventListener("submit", (event) => event.preventDefault());

for (const button of document.querySelectorAll(".code button")) {
  button.addEventListener("click", () => copy(button.previousElementSibling.textContent, button));
}

const host = byId("host");
if (host !== null) {
  host.textContent = location.host;
}
byId("curl").textContent = `curl -N -H 'Accept: text/event-stream' '${here}'`;
byId("javascript").textContent =
  `const source = new EventSource("${here}");\n` +
  `source.onmessage = (event) => console.log(event.data);`;
byId("python").textContent =
  "import httpx, httpx_sse\n\n" +
  "with httpx.Client(timeout=None) as client:\n" +
  `    with httpx_sse.connect_sse(client, "GET", "${here}") as source:\n` +
  "        for event in source.iter_sse():\n" +
  "            print(event.data)";

setInterval(tick, 1000);
tick();
connect();
