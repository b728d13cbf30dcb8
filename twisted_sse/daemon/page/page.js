// The page of a stream, or of several: puts its parts together.

"use strict";

import { Address } from "./address.js";
import { NewEvents, SearchCount, StateWord } from "./announce.js";
import { Chips } from "./chips.js";
import { copyFrom } from "./clipboard.js";
import { Columns } from "./columns.js";
import { countLevels, Rates, sinceWhen } from "./counts.js";
import { asJSONLines, asText, fileName, save } from "./download.js";
import { Filter } from "./filter.js";
import { Footer } from "./footer.js";
import { Header } from "./header.js";
import { Intake } from "./intake.js";
import { Kept } from "./kept.js";
import { Keys } from "./keys.js";
import { rank } from "./line/levels.js";
import { List } from "./list.js";
import { named } from "./markers.js";
import { makeMenu } from "./menu.js";
import { showNumber } from "./numbers.js";
import { textOf } from "./opened.js";
import { makeProgram } from "./program.js";
import { Search } from "./search/search.js";
import { SearchField } from "./searchfield.js";
import { Settings } from "./settings.js";
import { makeShortcuts } from "./shortcuts.js";
import { Source } from "./source.js";
import { describe, together } from "./states.js";
import { onThemeChange } from "./styles.js";
import { View } from "./view.js";

const COUNTING = 250; // milliseconds from one look at the counts to the next, at least
const FLOOD = 200; // events in a second, from which on less is drawn
const DRAWING_IN_FLOOD = 100; // milliseconds from one drawing to the next
const MOST_SOURCES = 4; // at once: browsers have six connections to a server by HTTP/1.1
const LIVE_STATES = ["open", "silent", "connecting"];

const byId = (id) => document.getElementById(id);
const isEvent = (item) => item.marker === undefined;

class Page {
  intake = new Intake(() => this.#turn());
  #told = document.documentElement.dataset;
  #sources = [];
  #kept = new Kept((gone) => this.#onDrop(gone));
  #search = new Search({ onProblem: (problem) => this.#field.showProblem(problem) });
  #filter = new Filter(this.#kept, this.#search);
  #rates = new Rates();
  #view = new View({
    only: (key, value) => this.#field.addTerm(key, value, false),
    hide: (key, value) => this.#field.addTerm(key, value, true),
    column: (key) => this.#toggleColumn(key),
  });
  #list = new List({
    scroller: byId("scroller"),
    list: byId("list"),
    filter: this.#filter,
    search: this.#search,
    view: this.#view,
    kept: this.#kept,
    onMode: () => this.#onMode(),
  });
  #columns = new Columns(byId("columns"), (key) => this.#toggleColumn(key));
  #field = new SearchField(() => this.#onSearch());
  #chips = new Chips(byId("chips"), {
    level: (level) => this.#setLevel(level),
    source: (path) => this.#toggleSource(path),
    type: (type) => this.#toggleType(type),
  });
  #footer = new Footer({
    clearSearch: () => this.#clearFilter(),
    latest: () => this.#list.setMode("following"),
  });
  #header;
  #menu;
  #program = makeProgram();
  #address;
  #stateWord = new StateWord(byId("status"));
  #newEvents = new NewEvents(byId("announcements"));
  #searchCount = new SearchCount(byId("announcements"));
  #changed = new Set(); // groups and markers that have to be looked at
  #isDrawn = true;
  #drawnAt = 0;
  #countedAt = 0;
  #hiddenWith = 0; // live events since the page was hidden

  async start() {
    const { kind, label, detail } = this.#told;
    this.#sources = kind === "all" ? await this.#findSources() : [this.#makeSource(this.#told)];
    this.#view.sources = this.#sources;
    const isAll = kind === "all";
    this.#header = new Header(
      isAll ? "All sources" : label,
      isAll ? `${this.#sources.length} sources` : detail,
      () => this.#reconnect(),
    );
    document.documentElement.classList.toggle("embedded", this.#isEmbedded);
    this.#makeMenu();
    this.#listenForKeys();
    this.#listen();
    this.#address = new Address((view) => this.#obey(view));
    this.#obey(this.#address.view);
    setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  // What its sources call.

  add(entry) {
    const group = this.#kept.add(entry);
    this.#changed.add(group);
    if (entry.type !== "message" && this.#view.count(entry.type)) {
      this.#restyle();
    }
    if (!entry.replayed) {
      const isError = rank(group.level) >= rank("error");
      this.#rates.count(1);
      this.#newEvents.add(1, isError ? 1 : 0);
      this.#hiddenWith += document.hidden ? 1 : 0;
    }
    return group;
  }

  join(group, entry) {
    this.#kept.join(group, entry);
    this.#changed.add(group);
  }

  mark(marker) {
    const name = this.#view.showsSource ? `/${this.#view.nameOf(marker.source)}` : undefined;
    const item = this.#kept.mark(named(marker, name));
    if (item !== null) {
      this.#changed.add(item);
      this.intake.request();
    }
  }

  onState() {
    if (this.#header !== undefined) {
      this.#showState();
    }
  }

  // Its parts.

  #makeSource({ path, kind, label, detail }) {
    const isHere = this.#told.kind !== "all";
    const reference = `${this.#told.prefix}${path.slice(1)}` || "./";
    const address = isHere ? location.pathname : new URL(reference, location.href).pathname;
    const heartbeat = Number(this.#told.heartbeat) * 1000;
    return new Source({ path, kind, label, detail }, address, heartbeat, this);
  }

  async #findSources() {
    const answer = await fetch(`${this.#told.prefix}page/sources`, { cache: "no-store" });
    const found = await answer.json();
    return found.map((source) => this.#makeSource(source));
  }

  get #isEmbedded() {
    return new URLSearchParams(location.search).get("embed") === "1";
  }

  #makeMenu() {
    const box = (name, label, key, onChange) => ({ name, label, key, onChange });
    const button = (name, label, onChoose) => ({ name, label, onChoose });
    this.#menu = makeMenu(byId("view"), [
      {
        title: "View",
        items: [
          box("newest", "Newest first", "n", () => this.#toggleOrder()),
          box("wrap", "Wrap lines", "w", () => this.#toggle("wrap")),
          box("raw", "Raw lines", "r", () => this.#toggle("raw")),
          box("utc", "Times in UTC", "t", () => this.#toggleUTC()),
        ],
      },
      {
        title: "Events shown",
        items: [
          button("text", "Download as text", () => this.#download(asText, "log")),
          button("lines", "Download as JSON Lines", () => this.#download(asJSONLines, "jsonl")),
          button("copy", "Copy", () => copyFrom(byId("view"), asText(this.#shownEntries()))),
          button("clear", "Clear the list", () => this.#clear()),
        ],
      },
      {
        title: "Connection",
        items: [
          button("connection", "Disconnect", () => this.#toggleConnection()),
          button("program", "Read this stream from a program…", () =>
            this.#program.open(new URL(this.#here, location.href).href),
          ),
        ],
      },
    ]);
  }

  // The address of the stream, of the first of several.
  get #here() {
    const [first] = this.#sources;
    return this.#told.kind === "all" ? `${this.#told.prefix}${first.path.slice(1)}` : location.pathname;
  }

  #listenForKeys() {
    const keys = new Keys({
      search: () => this.#field.focus(),
      escape: () => this.#escape(),
      list: () => this.#list.focus(),
      pause: () => this.#togglePause(),
      latest: () => this.#list.setMode("following"),
      oldest: () => this.#list.goToOldest(),
      next: () => this.#list.move(1),
      previous: () => this.#list.move(-1),
      open: () => this.#list.current !== null && this.#list.toggle(this.#list.current),
      copy: () => this.#copyCurrent(),
      wrap: () => this.#toggle("wrap"),
      raw: () => this.#toggle("raw"),
      utc: () => this.#toggleUTC(),
      order: () => this.#toggleOrder(),
      all: () => this.#setLevel(""),
      errors: () => this.#setLevel("error"),
      warnings: () => this.#setLevel("warn"),
      info: () => this.#setLevel("info"),
      shortcuts: () => dialog.showModal(),
    });
    const dialog = makeShortcuts(new Settings(), {
      onSingleKeys: (isOn) => {
        keys.enabled = isOn;
      },
      onAnnounce: (isOn) => {
        this.#newEvents.enabled = isOn;
      },
    });
    byId("help").addEventListener("click", () => dialog.showModal());
  }

  #listen() {
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault();
      this.#list.focus();
    });
    byId("pause").addEventListener("click", () => this.#togglePause());
    byId("list").addEventListener("click", (event) => this.#onClick(event));
    byId("list").addEventListener("pointerover", ({ target }) => this.#showTooltip(target));
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    window.addEventListener("online", () => this.#sources.forEach(({ stream }) => stream.online()));
    onThemeChange(() => this.#redraw());
    this.#view.onLayoutChange(() => this.#redraw());
  }

  // What comes.

  #turn() {
    const now = performance.now();
    if (this.#changed.size > 0) {
      const changed = [...this.#changed];
      this.#changed.clear();
      this.#filter.update(changed, () => {
        this.#isDrawn = false;
        this.intake.request();
      });
    }
    this.#list.isFlooded = Math.max(this.#rates.last, this.#rates.now) > FLOOD;
    const pause = this.#list.isFlooded ? DRAWING_IN_FLOOD : 0;
    if (!this.#isDrawn && !document.hidden && now - this.#drawnAt >= pause) {
      this.#isDrawn = true;
      this.#drawnAt = now;
      this.#list.draw();
    }
    if (now - this.#countedAt >= COUNTING) {
      this.#count();
    } else if (!this.#isDrawn && !document.hidden) {
      this.intake.request();
    }
  }

  #onDrop(gone) {
    this.#list.dropped(gone);
    this.#filter.drop();
  }

  // Once a second.
  #tick() {
    this.#rates.tick();
    const now = Date.now();
    for (const source of this.#sources) {
      source.stream.check(now);
    }
    this.#header.showRate(this.#rates.last, this.#rates.perSecond);
    this.#showState();
    this.#count();
  }

  // All counts change together.
  #count() {
    this.#countedAt = performance.now();
    const { items, events, dropped } = this.#kept;
    const passing = this.#filter.events;
    const isFiltered = this.#filter.isOn;
    const at = sinceWhen(items);
    const since = at === null ? "" : this.#view.clock.time(at);
    this.#footer.showCounts({ kept: events, passing, dropped, isFiltered, since }, this.#more);
    this.#chips.showLevels(this.#filter.level, countLevels(items));
    this.#field.showCount(isFiltered ? `${showNumber(passing)} of ${showNumber(events)}` : "");
    const { unseen, mode } = this.#list;
    const errors = unseen.filter(({ level }) => rank(level) >= rank("error")).length;
    this.#footer.showPill(mode !== "following", unseen.length, errors, this.#list.newestFirst);
    const states = this.#states;
    this.#footer.showEmpty(passing === 0, {
      kept: events,
      isConnected: states.every(({ name }) => LIVE_STATES.includes(name)),
      ...this.#emptyWords,
    });
    this.#showTitle(unseen.length);
  }

  get #emptyWords() {
    const { kind, label, detail } = this.#told;
    return { kind, label, command: detail?.split(" ")[0] ?? "", more: this.#more };
  }

  // The state of the connections.

  get #states() {
    return this.#sources.filter(({ isOn }) => isOn).map(({ stream }) => stream.state);
  }

  get #described() {
    const now = Date.now();
    const states = this.#states;
    const worst = states.find(({ name }) => name !== "open") ?? states[0];
    const state = describe(worst ?? { name: "disconnected" }, now, this.#view.clock);
    const summary = states.length > 1 ? together(states) : null;
    return summary === null ? state : { ...state, word: summary, spoken: summary };
  }

  get #more() {
    const { more, dot } = this.#described;
    return dot === "ok" ? "" : more;
  }

  #showState() {
    const state = this.#described;
    const isPaused = this.#list.mode === "paused";
    this.#header.showState(state, isPaused ? this.#list.unseen.length : null);
    this.#stateWord.set(isPaused && state.dot === "ok" ? "Paused" : state.spoken);
    this.#menu.setLabel("connection", this.#isStopped ? "Connect" : "Disconnect");
    const now = Date.now();
    const on = this.#sources.filter(({ isOn }) => isOn).length;
    this.#chips.showSources(
      this.#sources.map(({ path, isOn, stream }) => ({
        path,
        name: this.#view.nameOf(path),
        colour: this.#view.colourOf(path),
        isOn,
        isAllowed: on < this.#mostSources,
        state: describe(stream.state, now, this.#view.clock),
      })),
    );
  }

  #showTitle(unseen) {
    const fresh = this.#list.mode === "held" ? unseen : document.hidden ? this.#hiddenWith : 0;
    if (this.#isStopped) {
      this.#header.showTitle("disconnected");
    } else if (this.#list.mode === "paused") {
      this.#header.showTitle("paused");
    } else {
      this.#header.showTitle(fresh === 0 ? "" : `${showNumber(fresh)} new`);
    }
  }

  get #isStopped() {
    return this.#sources.every(({ isOn, stream }) => !isOn || stream.isStopped);
  }

  get #mostSources() {
    const [navigation] = performance.getEntriesByType("navigation");
    return /^http\/1|^$/.test(navigation?.nextHopProtocol ?? "") ? MOST_SOURCES : Infinity;
  }

  #reconnect() {
    for (const { isOn, stream } of this.#sources) {
      if (isOn && stream.state.name !== "open") {
        stream.connect();
      }
    }
  }

  #toggleConnection() {
    const isStopped = this.#isStopped;
    for (const { isOn, stream } of this.#sources) {
      if (isOn && isStopped) {
        stream.connect();
      } else if (isOn) {
        stream.stop();
      }
    }
  }

  // What the user does.

  #onMode() {
    const isFollowing = this.#list.mode === "following";
    const pause = byId("pause");
    pause.textContent = isFollowing ? "Pause" : "Resume";
    pause.classList.toggle("primary", !isFollowing);
    this.#newEvents.following = isFollowing;
    this.#showState();
    this.#count();
  }

  #togglePause() {
    this.#list.setMode(this.#list.mode === "following" ? "paused" : "following");
  }

  #onClick(event) {
    const row = event.target.closest("li");
    const isInside = event.target.closest(".opened") !== null;
    // Not when text is selected, to be copied.
    if (row?.item !== undefined && !isInside && getSelection().isCollapsed) {
      this.#list.toggle(row.item);
    }
  }

  #showTooltip(target) {
    const button = target.closest?.("button.time");
    if (button != null && button.title === "") {
      button.title = this.#view.clock.tooltip(button.closest("li").item.entries[0]);
    }
  }

  #escape() {
    if (this.#field.text !== "") {
      this.#field.set("");
      this.#onSearch();
    } else {
      this.#field.close();
      this.#list.focus();
    }
  }

  #copyCurrent() {
    const { current } = this.#list;
    if (current !== null) {
      copyFrom(byId("view"), textOf(current));
    }
  }

  #onVisibility() {
    if (!document.hidden) {
      this.#hiddenWith = 0;
      this.#isDrawn = false;
      this.intake.request();
    }
  }

  #onSearch() {
    if (this.#search.set(this.#field.text)) {
      this.#refilter();
    }
    this.#searchCount.typed(() => this.#field.said);
  }

  #clearFilter() {
    this.#field.set("");
    this.#filter.level = "";
    this.#filter.types.clear();
    this.#onSearch();
  }

  #setLevel(level) {
    this.#filter.level = level;
    this.#refilter();
  }

  #toggleType(type) {
    toggle(this.#filter.types, type);
    this.#refilter();
  }

  #toggleSource(path) {
    const source = this.#sources.find((each) => each.path === path);
    if (source.isOn) {
      source.turnOff();
    } else {
      source.turnOn();
    }
    this.#chooseSources();
    this.#refilter();
  }

  #chooseSources() {
    const on = this.#sources.filter(({ isOn }) => isOn).map(({ path }) => path);
    this.#filter.sources = on.length === this.#sources.length ? null : new Set(on);
    this.#showState();
  }

  #refilter() {
    this.#filter.refresh(() => {
      this.#list.refilter();
      this.#count();
    });
    this.#showTypes();
    this.#count();
    this.#write();
  }

  #toggle(name) {
    this.#view[name] = !this.#view[name];
    this.#redraw();
    this.#write();
  }

  #toggleUTC() {
    this.#view.clock.utc = !this.#view.clock.utc;
    this.#redraw();
    this.#write();
  }

  #toggleOrder() {
    this.#list.newestFirst = !this.#list.newestFirst;
    this.#redraw();
    this.#write();
  }

  #toggleColumn(key) {
    const { columns } = this.#view;
    this.#view.setColumns(
      columns.includes(key) ? columns.filter((each) => each !== key) : [...columns, key],
    );
    this.#redraw();
    this.#write();
  }

  // Rows look different now.
  #redraw() {
    this.#restyle();
    this.#list.redraw();
    this.#count();
  }

  // Another column, or another width of one.
  #restyle() {
    const { showsType } = this.#view;
    const list = byId("list");
    const { template } = this.#view;
    byId("list").style.setProperty("--template", template);
    byId("columns").style.setProperty("--template", template);
    this.#columns.show(this.#view);
    list.classList.toggle("wrap", this.#view.wrap);
    this.#showTypes();
    this.#footer.showZone(this.#view.clock.zone());
    if (list.classList.toggle("typed", showsType) !== this.#hadTypes) {
      this.#hadTypes = showsType;
      this.#list.redraw();
    }
  }

  #hadTypes = false;

  #showTypes() {
    this.#chips.showTypes(
      [...this.#view.types.keys()].map((type) => ({
        type,
        colour: this.#view.hueOf(type),
        isOn: this.#filter.types.has(type),
      })),
    );
  }

  #shownEntries() {
    return this.#filter.passing.flatMap(({ entries }) => entries);
  }

  #download(format, extension) {
    const stamp = this.#view.clock.stamp(Date.now());
    const label = this.#told.kind === "all" ? "all" : this.#told.label;
    save(format(this.#shownEntries()), fileName(label, stamp, extension));
  }

  #clear() {
    this.#kept.clear();
    this.#changed.clear();
    this.#filter.drop();
    this.#list.clear();
    this.#sources.forEach((source) => source.forget());
    this.#count();
  }

  // The view in the address.

  #obey(view) {
    this.#field.set(view.search);
    this.#search.set(view.search);
    this.#filter.level = view.level;
    this.#filter.types = new Set(view.types);
    this.#view.wrap = view.wrap;
    this.#view.raw = view.raw;
    this.#view.clock.utc = view.utc;
    this.#view.setColumns(view.columns);
    this.#list.newestFirst = view.newestFirst;
    this.#turnSourcesOn(view.sources);
    this.#redraw();
    this.#refilter();
  }

  #turnSourcesOn(paths) {
    const wanted = this.#sources.filter(({ path }) => paths === null || paths.includes(path));
    const on = new Set(wanted.slice(0, this.#mostSources));
    for (const source of this.#sources) {
      if (on.has(source) && !source.isOn) {
        source.turnOn();
      } else if (!on.has(source) && source.isOn) {
        source.turnOff();
      }
    }
    this.#chooseSources();
  }

  #write() {
    this.#menu.setChecked("newest", this.#list.newestFirst);
    this.#menu.setChecked("wrap", this.#view.wrap);
    this.#menu.setChecked("raw", this.#view.raw);
    this.#menu.setChecked("utc", this.#view.clock.utc);
    const { sources } = this.#filter;
    this.#address.write({
      search: this.#field.text,
      level: this.#filter.level,
      types: [...this.#filter.types],
      newestFirst: this.#list.newestFirst,
      wrap: this.#view.wrap,
      raw: this.#view.raw,
      utc: this.#view.clock.utc,
      columns: this.#view.columns,
      sources: sources === null ? null : [...sources],
    });
  }
}

function toggle(set, value) {
  if (!set.delete(value)) {
    set.add(value);
  }
}

new Page().start();
