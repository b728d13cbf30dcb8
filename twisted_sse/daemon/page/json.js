// JSON for people: on several lines, indented, in colours. It is the text that is arranged, not
// its value: what JavaScript makes of a long number is another number.

"use strict";

const DEEPEST = 20; // as far as it is indented
const TOKEN = /("(?:[^"\\]|\\.)*")(?=(\s*:)?)|[[\]{},:]|[^\s"[\]{},:]+/g;

function isJSON(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object";
  } catch {
    return false;
  }
}

function coloured(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

// Returns what is to be put into the page for a text, or for the first so many characters of it;
// null if it is no object and no array.
export function showJSON(text, most) {
  if (!isJSON(text)) {
    return null;
  }
  const shown = document.createDocumentFragment();
  let depth = 0;
  let before = "";
  for (const { index, 0: token, 1: string, 2: isName } of text.matchAll(TOKEN)) {
    if (index >= most) {
      shown.append(`\n… and ${text.length - index} more characters`);
      break;
    }
    const closes = token === "}" || token === "]";
    const first = before === "{" || before === "[";
    depth -= closes ? 1 : 0;
    if (closes ? !first : first || before === ",") {
      shown.append(`\n${"  ".repeat(Math.min(depth, DEEPEST))}`);
    }
    if (string !== undefined) {
      // Python's \u00e9 is an é.
      shown.append(coloured(isName ? "name" : "string", JSON.stringify(JSON.parse(string))));
    } else if (token === ":") {
      shown.append(": ");
    } else if ("[]{},".includes(token)) {
      shown.append(token);
    } else {
      shown.append(coloured("value", token));
    }
    depth += token === "{" || token === "[" ? 1 : 0;
    before = token;
  }
  return shown;
}
