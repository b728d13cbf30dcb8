// Shows the events of the stream that is served at this page's own address.
//
// By fetch(), not by EventSource: that tells a page only of events whose types it has named
// beforehand, and this page is to show whatever comes. The rest is as EventSource does it (HTML
// standard, 9.2): it comes back after the reconnection time, with the last event ID, until it is
// told that there is no stream.

"use strict";

const MOST_ROWS = 500;
const MOST_TEXT = 10000; // characters of one event that are shown
const LONGEST_WAIT = 30000; // milliseconds from one attempt to the next

const byId = (id) => document.getElementById(id);
const rows = byId("events");

let pending = []; // events that are not shown yet
let count = 0;
let drawing = false;
let lastEventId = "";
let retry = 3000;
let failures = 0; // attempts since anything came
let attempt = null; // the AbortController of the connection; null when stopped
let timer = 0;

function setState(state, text) {
  byId("state").dataset.state = state;
  byId("state").textContent = text;
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

function shorten(text) {
  const rest = text.length - MOST_TEXT;
  return rest > 0 ? `${text.slice(0, MOST_TEXT)}… and ${rest} more characters` : text;
}

function onEvent(type, data) {
  failures = 0;
  count += 1;
  pending.push([new Date().toLocaleTimeString(), type, lastEventId, data].map(shorten));
  // Nothing is drawn in a tab that nobody sees, however much comes.
  if (pending.length > MOST_ROWS) {
    pending.shift();
  }
  draw();
}

// The text of an event is only ever text: textContent, never HTML.
function makeRow(texts) {
  const row = document.createElement("tr");
  for (const text of texts) {
    row.insertCell().textContent = text;
  }
  return row;
}

// At most once for each picture that the browser makes.
function draw() {
  if (drawing) {
    return;
  }
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const page = document.documentElement;
    const atEnd = page.scrollHeight - page.clientHeight - page.scrollTop < 40;
    rows.append(...pending.map(makeRow));
    pending = [];
    while (rows.rows.length > MOST_ROWS) {
      rows.deleteRow(0);
    }
    byId("count").textContent = `${count} ${count === 1 ? "event" : "events"}`;
    byId("nothing").hidden = count > 0;
    if (atEnd) {
      page.scrollTop = page.scrollHeight;
    }
  });
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
    stop(response.status === 204 ? "ended by the server" : `answered ${response.status}`);
    return;
  }
  setState("open", "connected");
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
  setState("connecting", "connecting");
  try {
    await read(mine.signal);
  } catch {
    // Refused or cut off; what the reason is, browsers do not tell.
  }
  if (attempt === mine) {
    const wait = Math.max(retry, Math.min(LONGEST_WAIT, 500 * 2 ** failures));
    failures += 1;
    setState("waiting", `disconnected, again in ${Math.ceil(wait / 1000)} s`);
    timer = setTimeout(connect, wait);
  }
}

function stop(why) {
  clearTimeout(timer);
  attempt?.abort();
  attempt = null;
  setState("closed", why);
  byId("stop").textContent = "Start";
}

byId("stop").addEventListener("click", () => {
  if (attempt === null) {
    failures = 0;
    byId("stop").textContent = "Stop";
    connect();
  } else {
    stop("stopped");
  }
});

byId("clear").addEventListener("click", () => {
  rows.replaceChildren();
  pending = [];
  count = 0;
  draw();
});

connect();
