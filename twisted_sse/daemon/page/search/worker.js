// Matches patterns in a worker, where a slow one does not block the page.

"use strict";

let compiled = "";
let patterns = [];

function compile(sources) {
  const wanted = JSON.stringify(sources);
  if (wanted !== compiled) {
    patterns = sources.map((source) => new RegExp(source, "giu"));
    compiled = wanted;
  }
}

// For each text and pattern, whether it matches.
function test(texts) {
  return texts.map((text) =>
    patterns.map((pattern) => {
      pattern.lastIndex = 0;
      return pattern.test(text);
    }),
  );
}

// For each text, the matches of the patterns: [[start, end], ..], without empty ones.
function find(texts, most) {
  return texts.map((text) => {
    const found = [];
    for (const pattern of patterns) {
      let count = 0;
      pattern.lastIndex = 0; // where an earlier test has left it
      for (const match of text.matchAll(pattern)) {
        if (match[0] !== "") {
          found.push([match.index, match.index + match[0].length]);
          count += 1;
        }
        if (count === most) {
          break;
        }
      }
    }
    return found;
  });
}

addEventListener("message", ({ data: { id, sources, texts, most } }) => {
  // The time limit starts when this message arrives, so neither transfer nor waiting counts.
  postMessage({ id, began: true });
  try {
    compile(sources);
    postMessage({ id, found: most === 0 ? test(texts) : find(texts, most) });
  } catch {
    postMessage({ id, failed: true }); // it is too large to be compiled
  }
});

postMessage({ ready: true });
