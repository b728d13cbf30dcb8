// The view in the address: search, filters and options, so that a link shows the same.
//
//     #q=timeout&level=warn&type=order.paid&order=newest&wrap=1&raw=1&time=utc&cols=status,ms&src=/log
//
// Only values other than the defaults are written, in this order.

"use strict";

const LEVELS = ["error", "warn", "info"];
const WAIT = 300; // milliseconds after the last change
const MOST = 50; // types or columns; each adds elements to the page, a column one in every row

// The default view.
function defaultView() {
  return {
    search: "",
    level: "", // "error", "warn" (and worse), "info" (and worse); "" shows all
    types: [], // of events; all if empty
    newestFirst: false,
    wrap: false,
    raw: false,
    utc: false,
    columns: [], // keys of JSON
    sources: null, // paths; null for all
  };
}

// Characters that a fragment may contain (RFC 3986, 3.5) and that read back correctly are not
// encoded, except brackets and apostrophes: links in chats or in Markdown end there.
function encode(text) {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"))
    .replace(/%(?:2F|3A|3B|3D|40|24|3F)/g, decodeURIComponent)
    .replace(/['()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

// A comma separates items, so a comma in an item is encoded.
const encodeList = (items) => items.map(encode).join(",");

// Keeps commas too, outside of lists.
const encodeText = (text) => encode(text).replaceAll("%2C", ",");

// A percent sign that encodes nothing is literal: people also type addresses.
function decode(text) {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded; // not UTF-8
    }
  });
}

function decodeList(text) {
  const items = text.split(",").map(decode);
  return [...new Set(items)].filter((item) => item !== "");
}

// How to read each parameter, in the order in which they are written. Invalid values leave the
// default.
const READERS = new Map([
  ["q", (view, value) => (view.search = decode(value))],
  ["level", (view, value) => (view.level = LEVELS.includes(value) ? value : "")],
  ["type", (view, value) => (view.types = decodeList(value).slice(0, MOST))],
  ["order", (view, value) => (view.newestFirst = value === "newest")],
  ["wrap", (view, value) => (view.wrap = value === "1")],
  ["raw", (view, value) => (view.raw = value === "1")],
  ["time", (view, value) => (view.utc = value === "utc")],
  ["cols", (view, value) => (view.columns = decodeList(value).slice(0, MOST))],
  ["src", (view, value) => (view.sources = decodeList(value))],
]);

// "#q=timeout&level=warn" -> a view. The first of several equal names counts.
export function readAddress(hash) {
  const view = defaultView();
  const seen = new Set();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(0, equals));
    if (READERS.has(name) && !seen.has(name)) {
      seen.add(name);
      READERS.get(name)(view, part.slice(equals + 1));
    }
  }
  return view;
}

// A view -> "#q=timeout&level=warn", "" for the default view.
export function writeAddress(view) {
  const parts = [];
  const add = (name, value) => parts.push(`${name}=${value}`);
  if (view.search !== "") {
    add("q", encodeText(view.search));
  }
  if (view.level !== "") {
    add("level", view.level);
  }
  if (view.types.length > 0) {
    add("type", encodeList(view.types));
  }
  if (view.newestFirst) {
    add("order", "newest");
  }
  if (view.wrap) {
    add("wrap", "1");
  }
  if (view.raw) {
    add("raw", "1");
  }
  if (view.utc) {
    add("time", "utc");
  }
  if (view.columns.length > 0) {
    add("cols", encodeList(view.columns));
  }
  if (view.sources !== null) {
    add("src", encodeList(view.sources));
  }
  return parts.length > 0 ? `#${parts.join("&")}` : "";
}

// Keeps the address up to date with the view, and follows changes by the user.
export class Address {
  #page;
  #onChange;
  #written; // the address as last read or about to be written
  #timer = null;

  // onChange(view) is called when the user has changed the address. page is a window.
  constructor(onChange, page = window) {
    this.#onChange = onChange;
    this.#page = page;
    this.#written = writeAddress(this.view);
    page.addEventListener("hashchange", () => this.#read());
    // A reload shows the latest view, even right after a change.
    page.addEventListener("pagehide", () => this.#flush());
  }

  // The view in the address.
  get view() {
    return readAddress(this.#page.location.hash);
  }

  // Writes a view to the address after a short delay, to wait until the user stops typing.
  write(view) {
    this.#written = writeAddress(view);
    this.#page.clearTimeout(this.#timer);
    this.#timer = this.#page.setTimeout(() => this.#flush(), WAIT);
  }

  #flush() {
    if (this.#timer === null) {
      return;
    }
    this.#page.clearTimeout(this.#timer);
    this.#timer = null;
    const { location, history } = this.#page;
    if (location.hash !== this.#written) {
      // This fires no hashchange event, so it is not read again (HTML standard, 7.2.5).
      history.replaceState(history.state, "", location.pathname + location.search + this.#written);
    }
  }

  #read() {
    const view = this.view;
    const hash = writeAddress(view);
    // The user's latest change replaces a pending write.
    this.#page.clearTimeout(this.#timer);
    this.#timer = null;
    if (hash !== this.#written) {
      this.#written = hash;
      this.#onChange(view);
    }
  }
}
