// Tests for address.js.

"use strict";

import { Address, readAddress, writeAddress } from "../../twisted_sse/daemon/page/address.js";
import { equal, ok, test } from "./testing.js";

const DEFAULT = readAddress("");

const EXAMPLE =
  "#q=timeout&level=warn&type=order.paid&order=newest&wrap=1&raw=1&time=utc&cols=status,ms&src=/log,/load";

test("the default view has no fragment, and no fragment is the default view", () => {
  equal(writeAddress(DEFAULT), "");
  for (const hash of ["", "#", "#&", "#=", "#q=&level=&type=&cols="]) {
    equal(writeAddress(readAddress(hash)), "", hash);
  }
});

test("every name is read, and written in the same order", () => {
  equal(readAddress(EXAMPLE), {
    search: "timeout",
    level: "warn",
    types: ["order.paid"],
    newestFirst: true,
    wrap: true,
    raw: true,
    utc: true,
    columns: ["status", "ms"],
    sources: ["/log", "/load"],
  });
  equal(writeAddress(readAddress(EXAMPLE)), EXAMPLE);
  const backwards = `#${EXAMPLE.slice(1).split("&").reverse().join("&")}`;
  equal(writeAddress(readAddress(backwards)), EXAMPLE);
});

test("a search stays readable, as far as a fragment may contain its characters", () => {
  const write = (search) => writeAddress({ ...DEFAULT, search });
  equal(write("status:500,503"), "#q=status:500,503");
  equal(write("status:>=500"), "#q=status:%3E=500");
  equal(write("level:error -health"), "#q=level:error%20-health");
  equal(write("/time.ut$/"), "#q=/time.ut$/");
  equal(write('"a phrase"'), "#q=%22a%20phrase%22");
  equal(write("a&b#c%20+d"), "#q=a%26b%23c%2520%2Bd");
  equal(write("(it's)"), "#q=%28it%27s%29");
  equal(write("é😀"), "#q=%C3%A9%F0%9F%98%80");
});

test("characters that a browser would change are encoded already", () => {
  let all = "";
  for (let code = 0; code < 0x180; code += 1) {
    all += String.fromCharCode(code);
  }
  const hash = writeAddress({ ...DEFAULT, search: all, columns: [all], sources: [all] });
  equal(new URL(hash, "http://localhost/").hash, hash);
});

test("items of a list may contain commas", () => {
  const view = { ...DEFAULT, types: ["a,b", "c"], columns: ["x,y=&z"], sources: ["/a,b"] };
  equal(readAddress(writeAddress(view)), view);
});

test("no source at all is a different view from all sources", () => {
  equal(readAddress("#src=").sources, []);
  equal(writeAddress({ ...DEFAULT, sources: [] }), "#src=");
});

test("meaningless values and names are ignored, including those of Object", () => {
  for (const hash of [
    "#level=fatal",
    "#level=__proto__",
    "#order=oldest",
    "#wrap=yes",
    "#raw=0",
    "#time=local",
    "#__proto__=1&constructor=2&toString=3",
    "#nonsense",
    "#Q=upper",
    "#cols=,,",
  ]) {
    equal(readAddress(hash), DEFAULT, hash);
  }
});

test("a percent sign that encodes nothing, and bytes that are not UTF-8, stay unchanged", () => {
  equal(readAddress("#q=100%").search, "100%");
  equal(readAddress("#q=%zz%2").search, "%zz%2");
  equal(readAddress("#q=%ff%41").search, "%ff%41");
  equal(readAddress("#q=%C3%A9%").search, "é%");
});

test("the first value of a name is used, and a value may contain equals signs", () => {
  equal(readAddress("#q=a=b&q=c").search, "a=b");
  equal(readAddress("#level=warn&level=error").level, "warn");
});

test("a duplicate item of a list counts once", () => {
  equal(readAddress("#cols=a,b,a").columns, ["a", "b"]);
});

test("half a surrogate pair does not stop the page", () => {
  equal(readAddress(writeAddress({ ...DEFAULT, search: "a\ud800b" })).search, "a\ufffdb");
});

test("every view is read exactly as written", () => {
  let seed = 17;
  const random = (most) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % most;
  };
  const alphabet = [..."ab/:,;=&%#?+@$!'()*<>\"\\^`{|} \t\n.-_~", "é", "😀", "\u202e", "%41"];
  const text = () => Array.from({ length: random(8) }, () => alphabet[random(alphabet.length)]).join("");
  const list = () => [...new Set(Array.from({ length: random(4) }, () => text()))].filter(Boolean);
  for (let count = 0; count < 3000; count += 1) {
    const view = {
      search: text(),
      level: ["", "error", "warn", "info"][random(4)],
      types: list(),
      newestFirst: random(2) === 1,
      wrap: random(2) === 1,
      raw: random(2) === 1,
      utc: random(2) === 1,
      columns: list(),
      sources: random(2) === 1 ? list() : null,
    };
    const hash = writeAddress(view);
    equal(readAddress(hash), view, hash);
    equal(new URL(hash, "http://localhost/").hash, hash);
  }
});

// A window with an address, a clock, and nothing else.
class Page {
  location = { pathname: "/app", search: "?x=1", hash: "" };
  now = 0;
  replaced = [];
  #listeners = new Map();
  #timers = new Map();
  #number = 0;

  history = {
    state: null,
    replaceState: (state, title, url) => {
      this.replaced.push(url);
      this.location.hash = new URL(url, "http://localhost").hash;
    },
  };

  addEventListener(name, listener) {
    this.#listeners.set(name, listener);
  }

  tell(name) {
    this.#listeners.get(name)();
  }

  setTimeout(run, wait) {
    this.#number += 1;
    this.#timers.set(this.#number, { run, at: this.now + wait });
    return this.#number;
  }

  clearTimeout(number) {
    this.#timers.delete(number);
  }

  advance(milliseconds) {
    this.now += milliseconds;
    for (const [number, { run, at }] of [...this.#timers]) {
      if (at <= this.now) {
        this.#timers.delete(number);
        run();
      }
    }
  }
}

test("the address is written once, 300 ms after the last change", () => {
  const page = new Page();
  const address = new Address(() => {}, page);
  for (const search of ["t", "ti", "time"]) {
    address.write({ ...DEFAULT, search });
    page.advance(299);
  }
  equal(page.replaced, []);
  page.advance(1);
  equal(page.replaced, ["/app?x=1#q=time"]);
  page.advance(10000);
  equal(page.replaced.length, 1);
});

test("the default view removes the fragment from the address", () => {
  const page = new Page();
  page.location.hash = "#wrap=1";
  const address = new Address(() => {}, page);
  equal(address.view.wrap, true);
  address.write(DEFAULT);
  page.advance(300);
  equal(page.replaced, ["/app?x=1"]);
});

test("a view that the address has already is not written again", () => {
  const page = new Page();
  page.location.hash = "#wrap=1";
  const address = new Address(() => {}, page);
  address.write({ ...DEFAULT, wrap: true });
  page.advance(300);
  equal(page.replaced, []);
});

test("a pending change is written when the page is left", () => {
  const page = new Page();
  const address = new Address(() => {}, page);
  address.write({ ...DEFAULT, raw: true });
  page.tell("pagehide");
  equal(page.replaced, ["/app?x=1#raw=1"]);
  page.advance(1000);
  page.tell("pagehide");
  equal(page.replaced.length, 1);
});

test("a change by the user takes effect once, and replaces a pending change", () => {
  const page = new Page();
  const seen = [];
  const address = new Address((view) => seen.push(view.search), page);
  address.write({ ...DEFAULT, search: "mine" });
  page.location.hash = "#q=theirs";
  page.tell("hashchange");
  equal(seen, ["theirs"]);
  page.advance(1000);
  equal(page.replaced, []);
  page.tell("hashchange");
  equal(seen, ["theirs"]);
});

test("a page that writes the view it has just read causes no loop", () => {
  const page = new Page();
  let told = 0;
  const address = new Address((view) => {
    told += 1;
    address.write(view);
  }, page);
  page.location.hash = "#time=utc&nonsense=1";
  page.tell("hashchange");
  page.advance(300);
  equal(page.location.hash, "#time=utc");
  page.tell("hashchange");
  page.advance(300);
  equal(told, 1);
  equal(page.replaced.length, 1);
  ok(address.view.utc);
});

test("of very many types and columns in an address only the first are read", () => {
  const many = Array.from({ length: 1000 }, (_, i) => `k${i}`);
  const view = readAddress(`#type=${many.join(",")}&cols=${many.join(",")}`);
  equal([view.types.length, view.columns.length, view.columns.at(-1)], [50, 50, "k49"]);
});
