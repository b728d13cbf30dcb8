// Shows the events of the stream that is served at this page's own address.
//
// By fetch(), not by EventSource: that tells a page only of events whose types it has named
// beforehand, and this page is to show whatever comes. The rest is as EventSource does it (HTML
// standard, 9.2): it comes back after the reconnection time, with the last event ID, until it is
// told that there is no stream.

"use strict";

const MOST_ROWS = 400; // rows in the page
const MOST_EVENTS = 2000; // events that are kept, to be searched
const MOST_TEXT = 10000; // characters of one event that are shown
const MOST_IN_A_LINE = 300; // as long as it is folded
const MOST_NEW = 5; // rows that glow for a moment when they come
const MOST_TYPES = 100; // in the list of types
const SECONDS = 60; // in the chart
const LONGEST_WAIT = 30000; // milliseconds from one attempt to the next
const SHORTEST_WAIT = 500; // as browsers have it who have one
const SHORTEST_PAUSE = 25; // milliseconds from one drawing to the next

const byId = (id) => document.getElementById(id);
const rows = byId("events");
const template = byId("row").content.firstElementChild;

let kept = []; // events and notices, the oldest first
let fresh = []; // those of them that are not shown yet
let skipped = 0; // events that came and went without being shown
let count = 0;
let paused = false;
let waiting = 0; // events that have come since it was paused
let drawing = false;
let search = "";
let type = "";
const types = new Map(); // how many events there were of each
const speeds = new Array(SECONDS).fill(0);

let lastEventId = "";
let retry = 3000;
let connections = 0;
let failures = 0; // attempts since anything came
let attempt = null; // the AbortController of the connection; null when stopped
let timer = 0;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

function now() {
  return clock.format();
}

function setState(state, what, since) {
  byId("state").dataset.state = state;
  byId("what").textContent = what;
  byId("since").textContent = since;
}

// The parser: give it text as it comes, it calls onEvent(type, data) for each event.
function makeParser(onEvent) {
  let line = "";
  let afterCR = false;
  let type = "";
  let data = null;
  let id = lastEventId;

  function endLine() {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (line === "") {
      lastEventId = id;
      if (data !== null) {
        onEvent(type || "message", data);
      }
      type = "";
      data = null;
    } else if (name === "data") {
      data = data === null ? value : `${data}\n${value}`;
    } else if (name === "event") {
      type = value;
    } else if (name === "id" && !value.includes("\0")) {
      id = value;
    } else if (name === "retry" && /^[0-9]+$/.test(value)) {
      retry = Number(value);
    }
    line = "";
  }

  return (text) => {
    let start = 0;
    if (afterCR && text !== "") {
      start = text[0] === "\n" ? 1 : 0;
      afterCR = false;
    }
    const end = /\r\n?|\n/g;
    end.lastIndex = start;
    for (let found = end.exec(text); found !== null; found = end.exec(text)) {
      line += text.slice(start, found.index);
      endLine();
      start = end.lastIndex;
      afterCR = found[0] === "\r" && start === text.length;
    }
    line += text.slice(start);
  };
}

function shorten(text, most) {
  const rest = text.length - most;
  return rest > 0 ? `${text.slice(0, most)}… and ${rest} more characters` : text;
}

function keep(entry) {
  kept.push(entry);
  fresh.push(entry);
  if (kept.length >= 2 * MOST_EVENTS) {
    kept = kept.slice(-MOST_EVENTS);
  }
  // Nothing is drawn in a tab that nobody sees, however much comes.
  if (fresh.length >= 2 * MOST_ROWS) {
    skipped += fresh.length - MOST_ROWS;
    fresh = fresh.slice(-MOST_ROWS);
  }
  draw();
}

function onEvent(eventType, data) {
  failures = 0;
  count += 1;
  speeds[SECONDS - 1] += 1;
  waiting += paused ? 1 : 0;
  if (eventType !== "message") {
    rows.classList.remove("plain");
  }
  if (types.has(eventType) || types.size < MOST_TYPES) {
    types.set(eventType, (types.get(eventType) ?? 0) + 1);
  }
  keep({ time: new Date(), type: eventType, id: lastEventId, data });
  if (eventType === "stream-reset") {
    notice("Some events were lost for good. What follows is all that the server still has.", true);
  } else if (eventType === "stream-gap") {
    notice(`Events that were left out, since this page could not keep up: ${data}.`, true);
  }
}

function notice(text, lost = false) {
  keep({ time: new Date(), notice: text, lost });
}

// The text of an event is only ever text: textContent, never HTML.
function makeRow(entry) {
  if (entry.notice !== undefined) {
    const row = document.createElement("li");
    row.className = entry.lost ? "notice lost" : "notice";
    row.textContent = `${clock.format(entry.time)}  ${entry.notice}`;
    return row;
  }
  const row = template.cloneNode(true);
  const [time, name, data] = row.firstElementChild.firstElementChild.children;
  time.textContent = clock.format(entry.time);
  name.textContent = entry.type;
  name.classList.toggle("plain", entry.type === "message");
  data.textContent = entry.data.slice(0, MOST_IN_A_LINE).replaceAll("\n", " ↵ ");
  row.entry = entry;
  return row;
}

// All of an event is put into the page when somebody wants to see it.
function unfold(details) {
  const entry = details.parentElement.entry;
  if (!details.open || details.childElementCount > 1) {
    return;
  }
  let text = entry.data;
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // It is no JSON.
  }
  const shown = document.createElement("pre");
  const id = document.createElement("span");
  id.className = "id";
  id.textContent = entry.id === "" ? "no ID" : `ID ${entry.id}`;
  shown.append(id, shorten(text, MOST_TEXT));
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", () => copy(entry.data, button));
  const whole = document.createElement("div");
  whole.className = "whole";
  whole.append(shown, button);
  details.append(whole);
}

function matches(entry) {
  if (entry.notice !== undefined) {
    return true;
  }
  return (
    (type === "" || entry.type === type) &&
    (search === "" || `${entry.type}\n${entry.id}\n${entry.data}`.toLowerCase().includes(search))
  );
}

// The newest is on top: there it is seen without scrolling, and whoever reads further down is left
// alone by the browser. All that has come meanwhile is drawn at once: it is the number of times
// that the browser has to arrange the page anew that is dear, not the number of rows.
function draw() {
  if (drawing) {
    return;
  }
  drawing = true;
  setTimeout(() => requestAnimationFrame(drawNow), SHORTEST_PAUSE);
}

function drawNow() {
  drawing = false;
  byId("count").textContent = count;
  byId("nothing").hidden = kept.length > 0;
  byId("note").hidden = !paused && skipped === 0;
  byId("note").textContent = paused
    ? `Paused. New events: ${waiting}.`
    : `Events that came faster than they could be shown: ${skipped}.`;
  if (paused) {
    return;
  }
  const shown = fresh.filter(matches);
  fresh = [];
  prepend(shown);
}

function prepend(entries) {
  const newest = entries.slice(-MOST_ROWS);
  const part = document.createDocumentFragment();
  for (let i = newest.length - 1; i >= 0; i -= 1) {
    const row = makeRow(newest[i]);
    row.classList.toggle("new", newest.length <= MOST_NEW);
    part.append(row);
  }
  rows.prepend(part);
  while (rows.children.length > MOST_ROWS) {
    rows.lastElementChild.remove();
  }
}

function drawAll() {
  fresh = [];
  rows.replaceChildren();
  prepend(kept.filter(matches));
  draw();
}

// Once a second: the chart, and what else need not be newer.
function tick() {
  const speed = speeds[SECONDS - 1];
  byId("speed").textContent = speed;
  document.title = `${speed}/s ${byId("tools").dataset.name}`;
  const chart = byId("chart");
  chart.width = chart.clientWidth * devicePixelRatio;
  chart.height = chart.clientHeight * devicePixelRatio;
  const context = chart.getContext("2d");
  const width = chart.width / SECONDS;
  const most = Math.max(1, ...speeds);
  context.fillStyle = getComputedStyle(chart).color;
  speeds.forEach((each, i) => {
    const height = Math.max(each === 0 ? 1 : 2, (chart.height * each) / most);
    context.fillRect(i * width, chart.height - height, Math.max(1, width - 1), height);
  });
  speeds.shift();
  speeds.push(0);
  const list = byId("types");
  if (document.activeElement !== list) {
    for (const [name, number] of types) {
      let option = [...list.options].find((each) => each.value === name);
      if (option === undefined) {
        option = new Option("", name);
        list.append(option);
      }
      option.textContent = `${name} (${number})`;
    }
  }
}

async function copy(text, button) {
  const before = button.textContent;
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
  setState("open", "connected", `since ${now()}`);
  connections += 1;
  if (connections > 1) {
    notice(
      lastEventId === ""
        ? "Connected again, without a last event ID."
        : `Connected again, with the last event ID ${lastEventId}.`,
    );
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = makeParser(onEvent);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    parse(value);
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
    setState("waiting", "disconnected", `since ${now()}, again in ${Math.ceil(wait / 1000)} s`);
    timer = setTimeout(connect, wait);
  }
}

const STOPPED = {
  204: "ended by the server",
  401: "a password is needed",
  403: "not allowed",
};

function stop(why) {
  clearTimeout(timer);
  attempt?.abort();
  attempt = null;
  setState("closed", why, `since ${now()}`);
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
  skipped = 0;
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
rows.addEventListener("toggle", (event) => unfold(event.target), true);

const here = location.origin + location.pathname;
const host = byId("host");
if (host !== null) {
  host.textContent = location.host;
}
byId("tools").dataset.name = location.host + location.pathname;
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
