// The controls of the page: buttons, menu, keys and dialogs.

"use strict";

import { copyFrom } from "./clipboard.js";
import { asJSONLines, asText, fileName, save } from "./download.js";
import { Keys } from "./keys.js";
import { makeMenu } from "./menu.js";
import { textOf } from "./opened.js";
import { makeProgram } from "./program.js";
import { Settings } from "./settings.js";
import { makeShortcuts } from "./shortcuts.js";
import { onThemeChange } from "./styles.js";

const byId = (id) => document.getElementById(id);

// Connects the controls to a page. Returns its menu.
export function control(page) {
  const { list, choices, view, connections } = page;
  const shortcuts = listenForKeys(page);
  byId("help").addEventListener("click", () => shortcuts.showModal());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    list.focus();
  });
  byId("pause").addEventListener("click", () => togglePause(page));
  byId("list").addEventListener("click", (event) => toggleRow(page, event.target));
  byId("list").addEventListener("pointerover", ({ target }) => showTooltip(view, target));
  document.addEventListener("visibilitychange", () => page.onVisibility());
  window.addEventListener("online", () => connections.online());
  window.addEventListener("pagehide", () => connections.leave());
  window.addEventListener("pageshow", () => connections.comeBack());
  onThemeChange(() => page.redraw());
  view.onLayoutChange(() => page.redraw());
  const program = makeProgram();
  const toggles = [
    { name: "newest", label: "Newest first", key: "n", onChange: () => choices.toggleOrder() },
    { name: "wrap", label: "Wrap lines", key: "w", onChange: () => choices.toggleWrap() },
    { name: "raw", label: "Raw lines", key: "r", onChange: () => choices.toggleRaw() },
    { name: "utc", label: "Times in UTC", key: "t", onChange: () => choices.toggleUTC() },
  ];
  const events = [
    { name: "text", label: "Download as text", onChoose: () => download(page, asText, "log") },
    {
      name: "lines",
      label: "Download as JSON Lines",
      onChoose: () => download(page, asJSONLines, "jsonl"),
    },
    { name: "copy", label: "Copy", onChoose: () => copyFrom(byId("view"), asText(shown(page))) },
    { name: "clear", label: "Clear the list", onChoose: () => page.clear() },
  ];
  const connection = [
    { name: "connection", label: "Disconnect", onChoose: () => connections.switch() },
    {
      name: "program",
      label: "Read this stream from a program…",
      onChoose: () => program.open(connections.sources[0].address),
    },
  ];
  return makeMenu(byId("view"), [
    { title: "View", items: toggles },
    { title: "Events shown", items: events },
    { title: "Connection", items: connection },
  ]);
}

// Makes the dialog that lists the keys.
function listenForKeys(page) {
  const { list, choices, field, newEvents } = page;
  const keys = new Keys({
    search: () => field.focus(),
    escape: () => escape(page),
    list: () => list.focus(),
    pause: () => togglePause(page),
    latest: () => list.setMode("following"),
    oldest: () => list.goToOldest(),
    next: () => list.move(1),
    previous: () => list.move(-1),
    open: () => list.toggle(list.current),
    copy: () => copyCurrent(page),
    wrap: () => choices.toggleWrap(),
    raw: () => choices.toggleRaw(),
    utc: () => choices.toggleUTC(),
    order: () => choices.toggleOrder(),
    all: () => choices.level(""),
    errors: () => choices.level("error"),
    warnings: () => choices.level("warn"),
    info: () => choices.level("info"),
    shortcuts: () => shortcuts.showModal(),
  });
  const shortcuts = makeShortcuts(new Settings(), {
    onSingleKeys: (isOn) => {
      keys.enabled = isOn;
    },
    onAnnounce: (isOn) => {
      newEvents.enabled = isOn;
    },
  });
  return shortcuts;
}

function togglePause({ list }) {
  list.setMode(list.mode === "following" ? "paused" : "following");
}

// Does nothing when text is selected, for copying.
function toggleRow({ list }, target) {
  const row = target.closest("li");
  const isInside = target.closest(".opened") !== null;
  if (row?.item !== undefined && !isInside && getSelection().isCollapsed) {
    list.toggle(row.item);
  }
}

// Adds the tooltip of a time when the pointer is over it, as there are many.
function showTooltip({ clock }, target) {
  const button = target.closest?.("button.time") ?? null;
  if (button !== null && button.title === "") {
    button.title = clock.tooltip(button.closest("li").item.entries[0]);
  }
}

function escape({ field, choices, list }) {
  if (field.text === "") {
    field.close();
    list.focus();
  } else {
    field.set("");
    choices.search();
  }
}

function copyCurrent({ list }) {
  const { current } = list;
  if (current !== null) {
    copyFrom(byId("view"), textOf(current));
  }
}

// The entries of all events that pass the filter.
function shown({ filter }) {
  return filter.passing.flatMap(({ entries }) => entries);
}

function download(page, format, extension) {
  const { kind, label } = page.told;
  const stamp = page.view.clock.stamp(Date.now());
  save(format(shown(page)), fileName(kind === "all" ? "all" : label, stamp, extension));
}
