// The rows of a group. Text from outside is always inserted as text.

"use strict";

import { cut } from "./line/cut.js";
import { rank } from "./line/levels.js";
import { showColumn, showRecord } from "./line/record.js";
import { mapRuns, mergeRuns } from "./search/runs.js";
import { styleRun } from "./styles.js";
import { timeOf } from "./entry.js";

const MOST_FOLDED = 1000; // characters of a row on one line
const MOST_TEXT = 10000; // of a wrapped row
const CLAMPED = 240; // longer messages are cut to four lines on phones

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// The message of an entry: its text, and the styled parts of it.
export function messageOf(entry, view) {
  if (view.raw) {
    return { text: entry.data, styles: null, parts: null };
  }
  const { record, pieces } = entry.line;
  if (record !== null) {
    return { ...showRecord(record, view.columnSet), styles: null };
  }
  const text = pieces.map(([start, end]) => entry.text.slice(start, end)).join("");
  const styles = entry.styles === null ? null : mapRuns(pieces, entry.styles);
  return { text, styles, parts: null };
}

// Fills the message of a row: line breaks as signs, with colours, matches marked.
export function fillMessage(cell, message, marks, view, tinted) {
  const most = view.wrap || view.phone ? MOST_TEXT : MOST_FOLDED;
  const { styles, parts } = message;
  const text = cut(message.text, most);
  cell.replaceChildren();
  if (styles === null && parts === null && marks.length === 0) {
    appendText(cell, text);
  } else {
    for (const run of mergeRuns(text.length, styles ?? parts ?? [], marks)) {
      const piece = text.slice(run.start, run.end);
      const element = document.createElement(run.mark ? "mark" : "span");
      if (parts !== null && run.style !== null) {
        element.className = run.style.role;
      } else if (run.style !== null) {
        styleRun(element, run.style, tinted);
      }
      if (element.tagName === "SPAN" && run.style === null) {
        appendText(cell, piece);
      } else {
        appendText(element, piece);
        cell.append(element);
      }
    }
  }
  if (message.text.length > most) {
    cell.append("…");
  }
}

function appendText(element, text) {
  if (!text.includes("\n")) {
    element.append(text);
    return;
  }
  text.split("\n").forEach((line, i) => {
    if (i > 0) {
      element.append(make("span", "soft", " ⏎ "));
    }
    element.append(line);
  });
}

// Marks cells whose source text in the line matches; they show it in another form.
function markMoved(cell, range, entry, search) {
  if (range !== null && search.marksCell(entry.text.slice(...range))) {
    const mark = document.createElement("mark");
    mark.textContent = cell.textContent;
    cell.replaceChildren(mark);
  }
}

export function makeMarkerRow(marker) {
  const row = make("li", `marker ${marker.colour} ${marker.line}`.trim());
  row.append(make("span", "", marker.text));
  return row;
}

// The first row of a group, with the button that opens it.
export function makeHeadRow(group, view, search) {
  const [entry] = group.entries;
  const row = make("li", "row head");
  const button = make("button", "time");
  button.type = "button";
  button.tabIndex = -1;
  button.setAttribute("aria-expanded", "false");
  const { text, isArrival } = view.clock.cell(entry);
  button.textContent = text;
  button.classList.toggle("arrived", isArrival);
  markMoved(button, entry.line.timeAt, entry, search);
  row.append(button, make("span", "level"));
  if (view.showsSource) {
    const source = make("span", "source", view.nameOf(entry.source));
    source.classList.add(`source${view.colourOf(entry.source)}`);
    row.append(source);
  }
  if (view.showsType) {
    const cell = make("span", "type");
    if (entry.type !== "message") {
      const chip = make("span", "", entry.type);
      chip.classList.add("chip", view.showsSource ? "plain" : `source${view.hueOf(entry.type)}`);
      cell.append(chip);
    }
    row.append(cell);
  }
  for (const column of view.columns) {
    row.append(makeColumn(entry, column));
  }
  row.append(make("span", "message"));
  row.classList.toggle("long", entry.text.length > CLAMPED);
  return row;
}

function makeColumn({ line: { record } }, name) {
  const { text, role } = record === null ? { text: "", role: "" } : showColumn(record, name);
  return make("span", role === "number" ? "column number" : "column", text);
}

// Shows the level of a group, which may change when another line arrives.
export function setLevel(row, group, view, search) {
  const { level } = group;
  row.dataset.level = level;
  const cell = row.querySelector(".level");
  cell.textContent = level.toUpperCase();
  const [entry] = group.entries;
  markMoved(cell, entry.line.levelAt, entry, search);
  const said = [level === "" ? "Event" : level[0].toUpperCase() + level.slice(1)];
  if (timeOf(entry) !== null) {
    // The time as displayed, for users of speech input (WCAG 2.2, 2.5.3).
    said.push(view.clock.cell(entry).text);
  }
  row.firstElementChild.setAttribute("aria-label", `${said.join(", ")}, open details`);
}

// Another row of a group.
export function makeLineRow(entry) {
  const row = make("li", "row line");
  row.append(make("span", "message"));
  row.classList.toggle("long", entry.text.length > CLAMPED);
  return row;
}

// Whether the first row of a group has its own background.
export function isTinted(group) {
  return rank(group.level) >= rank("error");
}
