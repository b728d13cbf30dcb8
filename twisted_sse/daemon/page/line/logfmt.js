// Pairs like level=info msg="it is done" in a text. A single pass: linear in the length.

"use strict";

const KEY = /[A-Za-z_@][\w.@/-]*=/y;
const SPACE = 32;

// Returns the position after a quoted text, or -1 if it is not closed.
function afterQuoted(text, start) {
  for (let position = start + 1; position < text.length; position++) {
    if (text[position] === "\\") {
      position++;
    } else if (text[position] === '"') {
      return position + 1;
    }
  }
  return -1;
}

function afterWord(text, start) {
  let position = start;
  while (position < text.length && text.charCodeAt(position) > SPACE) {
    position++;
  }
  return position;
}

function unquoted(text) {
  return text.slice(1, -1).replace(/\\(.)/g, (_, escaped) => {
    return { n: "\n", r: "\r", t: "\t" }[escaped] ?? escaped;
  });
}

// Finds the pairs of a text, outside quotes. A pair is { key, value, start, end, valueStart }, with
// the positions of the whole pair and of its value, including quotes. `from` is the position to
// start from.
export function readPairs(text, from = 0) {
  const pairs = [];
  // After an unclosed quote, later quotes are not closed either, so do not search for their ends.
  let mayQuote = true;
  let position = from;
  function quotedEnd(start) {
    if (!mayQuote || text[start] !== '"') {
      return -1;
    }
    const end = afterQuoted(text, start);
    mayQuote = end !== -1;
    return end;
  }
  while (position < text.length) {
    if (text.charCodeAt(position) <= SPACE) {
      position++;
      continue;
    }
    KEY.lastIndex = position;
    const match = KEY.exec(text);
    const valueStart = match === null ? position : KEY.lastIndex;
    const quoted = quotedEnd(valueStart);
    const end = quoted === -1 ? afterWord(text, valueStart) : quoted;
    if (match !== null) {
      const value = text.slice(valueStart, end);
      pairs.push({
        key: match[0].slice(0, -1),
        value: quoted === -1 ? value : unquoted(value),
        start: position,
        end,
        valueStart,
      });
    }
    position = end;
  }
  return pairs;
}
