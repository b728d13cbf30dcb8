// Formats JSON for reading, without parsing it: JavaScript would change long numbers, so the text
// itself is split and indented.

"use strict";

const DEEPEST = 20; // levels that are indented
const TOKEN = /("(?:[^"\\]|\\.)*")(?=(\s*:)?)|[[\]{},:]|[^\s"[\]{},:]+/g;

// The pairs of an object, in order: each key, and the text of its value. The text must be valid
// JSON.
export function pairsOf(text) {
  const pairs = [];
  let depth = 0;
  let key = null;
  let start = 0;
  const end = (index) => {
    if (key !== null) {
      pairs.push({ key, text: text.slice(start, index).trim() });
      key = null;
    }
  };
  for (const { index, 0: token, 1: string, 2: isName } of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      depth += 1;
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (depth === 0) {
        end(index);
      }
    } else if (depth === 1 && token === ",") {
      end(index);
    } else if (depth === 1 && isName !== undefined && key === null) {
      key = JSON.parse(string);
    } else if (depth === 1 && token === ":" && key !== null) {
      start = index + 1;
    }
  }
  return pairs;
}

// A value on several lines, indented by two spaces.
export function indent(text) {
  let shown = "";
  let depth = 0;
  let before = "";
  for (const { 0: token, 1: string } of text.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    const first = before === "{" || before === "[";
    depth -= closes ? 1 : 0;
    if (closes ? !first : first || before === ",") {
      shown += `\n${"  ".repeat(Math.min(depth, DEEPEST))}`;
    }
    if (string !== undefined) {
      // Shows Python's \u00e9 as é.
      shown += JSON.stringify(JSON.parse(string));
    } else {
      shown += token === ":" ? ": " : token;
    }
    depth += token === "{" || token === "[" ? 1 : 0;
    before = token;
  }
  return shown;
}
