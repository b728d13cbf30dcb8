// The page of one or several streams: keeps, filters and shows the events.

"use strict";

import { NewEvents, StateWord } from "./announce.js";
import { Chips } from "./chips.js";
import { Choices } from "./choices.js";
import { Columns } from "./columns.js";
import { Connections } from "./connections.js";
import { control } from "./controls.js";
import { countLevels, Rates, sinceWhen } from "./counts.js";
import { Filter } from "./filter.js";
import { Footer } from "./footer.js";
import { Header } from "./header.js";
import { Intake } from "./intake.js";
import { Kept } from "./kept.js";
import { rank } from "./line/levels.js";
import { List } from "./list.js";
import { named } from "./markers.js";
import { showNumber } from "./numbers.js";
import { Search } from "./search/search.js";
import { SearchField } from "./searchfield.js";
import { View } from "./view.js";

const FLOOD = 200; // events per second, above which the page draws less
const DRAWING_IN_FLOOD = 100; // the shortest time between two drawings, in milliseconds

const byId = (id) => document.getElementById(id);
const isError = (item) => rank(item.level) >= rank("error");

class Page {
  told = document.documentElement.dataset; // the server's data attributes for the page
  intake = new Intake(() => this.#turn());
  connections = new Connections(this.told, this);
  kept = new Kept((gone) => this.#onDrop(gone));
  field = new SearchField(() => this.choices.search());
  search = new Search({ onProblem: (problem) => this.#onProblem(problem) });
  filter = new Filter(this.kept, this.search);
  view = new View({
    only: (key, value) => this.field.addTerm(key, value, false),
    hide: (key, value) => this.field.addTerm(key, value, true),
    column: (key) => this.choices.toggleColumn(key),
  });
  list = new List({
    scroller: byId("scroller"),
    list: byId("list"),
    filter: this.filter,
    search: this.search,
    view: this.view,
    kept: this.kept,
    onMode: () => this.#onMode(),
  });
  choices = new Choices(this);
  newEvents = new NewEvents(byId("announcements"));
  menu;
  #header;
  #chips = new Chips(byId("chips"), this.choices);
  #columns = new Columns(byId("columns"), (key) => this.choices.toggleColumn(key));
  #footer = new Footer({
    clear: () => this.choices.clearFilter(),
    latest: () => this.list.setMode("following"),
  });
  #stateWord = new StateWord(byId("status"));
  #rates = new Rates();
  #changed = new Set(); // groups and markers that must be filtered
  #isDrawn = true;
  #drawnAt = 0;
  #unseenHidden = 0; // live events since the page was hidden
  #hadTypes = false;

  async start() {
    const isAll = this.told.kind === "all";
    const name = isAll ? "All sources" : this.told.label;
    const detail = isAll ? `${this.told.sources} sources` : this.told.detail;
    this.#header = new Header(name, detail, () => this.connections.reconnect());
    const isEmbedded = new URLSearchParams(location.search).get("embed") === "1";
    document.documentElement.classList.toggle("embedded", isEmbedded);
    this.menu = control(this);
    setInterval(() => this.#tick(), 1000);
    this.#tick();
    await this.connections.find();
    this.view.sources = this.connections.sources;
    this.choices.readAddress();
    this.#showState();
  }

  // Called by its sources.

  add(entry) {
    const group = this.kept.add(entry);
    this.#changed.add(group);
    if (entry.type !== "message" && this.view.addType(entry.type)) {
      this.arrange();
    }
    if (!entry.replayed) {
      this.#rates.count(1);
      this.newEvents.add(1, isError(group) ? 1 : 0);
      this.#unseenHidden += document.hidden ? 1 : 0;
    }
    return group;
  }

  join(group, entry) {
    this.kept.join(group, entry);
    this.#changed.add(group);
  }

  mark(marker) {
    const { source } = marker;
    const path = source === "/" ? this.view.nameOf(source) : source;
    const name = this.view.showsSource ? path : undefined;
    const item = this.kept.mark(named(marker, name));
    if (item !== null) {
      this.#changed.add(item);
      this.intake.request();
    }
  }

  onState() {
    if (this.menu !== undefined) {
      this.#showState();
      this.#count(); // the status line also shows the state
      this.#showTitle();
    }
  }

  // The server has sent a source's earlier events.
  onReplayed() {
    this.#isDrawn = false;
    this.intake.request();
  }

  // Called by Choices and the controls.

  // The filter has changed.
  refilter() {
    this.filter.refresh(() => {
      this.list.refilter();
      this.#count();
    });
    this.#showChips();
    this.#count();
  }

  // The look of rows has changed.
  redraw() {
    this.arrange();
    this.list.redraw();
    this.#count();
  }

  clear() {
    this.kept.clear();
    this.#changed.clear();
    this.filter.drop();
    this.list.clear();
    for (const source of this.connections.sources) {
      source.forget();
    }
    this.#unseenHidden = 0;
    this.#count();
    this.#showTitle();
  }

  // The page has become visible or hidden.
  onVisibility() {
    if (!document.hidden) {
      this.#unseenHidden = 0;
      this.#showTitle();
      this.#isDrawn = false;
      this.intake.request();
    }
  }

  // After a pattern has been stopped, nothing matches, not even earlier matches.
  #onProblem(problem) {
    this.field.showProblem(problem);
    if (this.search.isStopped) {
      this.refilter();
    }
  }

  // Draws nothing while the page is hidden, and less during a flood.
  #turn() {
    if (this.#changed.size > 0) {
      const changed = [...this.#changed];
      this.#changed.clear();
      this.filter.update(changed, () => {
        this.#isDrawn = false;
        this.intake.request();
      });
    }
    const now = performance.now();
    const isFlooded = Math.max(this.#rates.last, this.#rates.now) > FLOOD;
    const pause = isFlooded ? DRAWING_IN_FLOOD : 0;
    this.list.isFlooded = isFlooded;
    if (!this.#isDrawn && !document.hidden) {
      if (now - this.#drawnAt < pause) {
        this.intake.request();
      } else {
        this.#isDrawn = true;
        this.#drawnAt = now;
        this.list.draw();
        this.#count(); // in the same frame, so that nothing contradicts the rows
      }
    }
  }

  #onDrop(gone) {
    this.list.dropped(gone);
    this.filter.drop();
  }

  #tick() {
    this.#rates.tick();
    this.connections.check();
    this.#header.showRate(this.#rates.last, this.#rates.perSecond);
    this.#showState();
    this.#count();
    this.#showTitle();
  }

  // Updates all counts together.
  #count() {
    const { dropped } = this.kept;
    const items = this.filter.ofSources(this.kept.items);
    const levels = countLevels(items);
    const events = levels[""];
    const passing = this.filter.events;
    const isFiltered = this.filter.isOn;
    const at = sinceWhen(items);
    const since = at === null ? "" : this.view.clock.time(at);
    const more = this.#more;
    this.#footer.showCounts({ kept: events, passing, dropped, isFiltered, since }, more);
    this.#chips.showLevels(this.filter.level, levels);
    this.field.showCount(isFiltered ? `${showNumber(passing)} of ${showNumber(events)}` : "");
    const { unseen, mode, newestFirst } = this.list;
    const errors = unseen.filter(isError).length;
    this.#footer.showPill(mode !== "following", unseen.length, errors, newestFirst);
    this.#showEmpty(events, passing, more);
  }

  // Explains why there are no rows, as soon as that is known.
  #showEmpty(kept, passing, more) {
    const { isConnected, isConnecting, isReplaying, isStopped } = this.connections;
    const isSearching = this.#changed.size > 0 || this.filter.isDeciding;
    if (passing > 0 || (kept > 0 ? isSearching : isReplaying)) {
      this.#footer.hideEmpty();
    } else if (kept > 0 || !isConnecting) {
      this.#footer.showEmpty({ kept, isConnected, isStopped, more, ...this.told });
    }
  }

  // Updates the title once a second, or when its kind changes: browsers redraw the tab each time.
  #showTitle() {
    const hidden = document.hidden ? this.#unseenHidden : 0;
    const fresh = this.list.mode === "held" ? this.list.unseen.length : hidden;
    if (this.connections.isStopped) {
      this.#header.showTitle("disconnected");
    } else if (this.list.mode === "paused") {
      this.#header.showTitle("paused");
    } else {
      this.#header.showTitle(fresh === 0 ? "" : `${showNumber(fresh)} new`);
    }
  }

  // Replaces the counts in the status line.
  get #more() {
    const { more, dot } = this.connections.describe(this.view.clock);
    return dot === "ok" ? "" : more;
  }

  #showState() {
    const state = this.connections.describe(this.view.clock);
    const isPaused = this.list.mode === "paused" && state.dot === "ok";
    this.#header.showState(state, isPaused ? this.list.unseen.length : null);
    this.#stateWord.set(isPaused ? "Paused" : state.spoken);
    this.menu.setEnabled("program", this.connections.sources.length > 0);
    this.menu.setLabel("connection", this.connections.isStopped ? "Connect" : "Disconnect");
    this.#chips.showSources(this.connections, this.view);
  }

  #showChips() {
    this.#chips.showTypes(this.view, this.filter.types);
    this.#chips.showSources(this.connections, this.view);
  }

  #onMode() {
    const isFollowing = this.list.mode === "following";
    const pause = byId("pause");
    pause.textContent = isFollowing ? "Pause" : "Resume";
    pause.classList.toggle("primary", !isFollowing);
    this.newEvents.following = isFollowing;
    this.#showState();
    this.#count();
    this.#showTitle();
  }

  // The columns or their widths have changed.
  arrange() {
    const { template, showsType, wrap, clock } = this.view;
    const list = byId("list");
    list.style.setProperty("--template", template);
    byId("columns").style.setProperty("--template", template);
    this.#columns.show(this.view);
    list.classList.toggle("wrap", wrap);
    document.documentElement.classList.toggle("newest", this.list.newestFirst);
    this.#footer.showZone(clock.zone());
    this.#showChips();
    if (showsType !== this.#hadTypes) {
      this.#hadTypes = showsType;
      this.list.redraw();
    }
  }
}

new Page().start();
