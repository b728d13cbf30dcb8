// Case folding, and the positions of matches in the original text.
//
// Each character folds by itself (Unicode, 3.13, default case folding), so that a word folds alike
// wherever it stands. The folded text may be longer ("ß" is "ss"), but never shorter.

"use strict";

const BEYOND_ASCII = /[^\0-\x7f]+/g;
const FOLDED = /\p{Changes_When_Casefolded}/gu;

// "İ" folds to "i" here, not to "i" and a combining dot, so that typing "i" finds it.
const characters = new Map([["\u0130", "i"]]);

// Some 1,500 characters fold.
function foldCharacter(character) {
  let folded = characters.get(character);
  if (folded === undefined) {
    folded = character.toLowerCase().toUpperCase().toLowerCase();
    characters.set(character, folded);
  }
  return folded;
}

export function fold(text) {
  return text.replace(BEYOND_ASCII, (part) => part.replace(FOLDED, foldCharacter)).toLowerCase();
}

// For each position of the folded text, the [start, end] of the original character.
function origins(text) {
  const places = [];
  let start = 0;
  for (const character of text) {
    const place = [start, start + character.length];
    const { length } = fold(character);
    for (let at = 0; at < length; at += 1) {
      // The halves of a surrogate pair stay apart.
      places.push(length === character.length ? [start + at, start + at + 1] : place);
    }
    start += character.length;
  }
  return places;
}

// The ranges of the folded words in the text: [[start, end], ..], at most `most` per word.
export function findWords(text, words, most) {
  const folded = fold(text);
  let places = null;
  const found = [];
  for (const word of words) {
    let at = folded.indexOf(word);
    for (let count = 0; at >= 0 && count < most; count += 1) {
      const end = at + word.length;
      if (folded.length === text.length) {
        found.push([at, end]);
      } else {
        places ??= origins(text);
        found.push([places[at][0], places[end - 1][1]]);
      }
      at = folded.indexOf(word, end);
    }
  }
  return found;
}

// Sorts ranges and joins those that meet; returns at most `most`.
export function mergeRanges(ranges, most) {
  const merged = [];
  for (const [start, end] of ranges.sort((one, other) => one[0] - other[0])) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) {
      last[1] = Math.max(last[1], end);
    } else if (merged.length === most) {
      break;
    } else {
      merged.push([start, end]);
    }
  }
  return merged;
}
