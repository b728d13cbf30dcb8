// Matches patterns, where one that takes too long holds up nothing else.

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

// For each text and pattern, whether it is there.
function test(texts) {
  return texts.map((text) =>
    patterns.map((pattern) => {
      pattern.lastIndex = 0;
      return pattern.test(text);
    }),
  );
}

// For each text, where the patterns are: [[start, end], ..], without what is empty.
function find(texts, most) {
  return texts.map((text) => {
    const found = [];
    for (const pattern of patterns) {
      let count = 0;
      pattern.lastIndex = 0; // where a test before has left it
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
  // The clock of the question starts when this arrives: neither the way here nor waiting counts.
  postMessage({ id, began: true });
  try {
    compile(sources);
    postMessage({ id, found: most === 0 ? test(texts) : find(texts, most) });
  } catch {
    postMessage({ id, failed: true }); // it is too large to be compiled
  }
});

postMessage({ ready: true });
