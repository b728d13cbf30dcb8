// Case folding, and the positions of words after it.

"use strict";

import { findWords, fold, mergeRanges } from "../../twisted_sse/daemon/page/search/fold.js";
import { Random } from "./random.js";
import { equal, ok, test } from "./testing.js";

function found(text, word, most = 50) {
  return findWords(text, [fold(word)], most).map(([start, end]) => text.slice(start, end));
}

test("letters are found in any case", () => {
  const table = [
    ["an ERROR here", "error", ["ERROR"]],
    ["ÄRGER", "ärger", ["ÄRGER"]],
    ["Straße, STRASSE, STRAẞE", "strasse", ["Straße", "STRASSE", "STRAẞE"]],
    ["straße", "STRASSE", ["straße"]],
    ["ΟΔΟΣ οδος", "οδοσ", ["ΟΔΟΣ", "οδος"]],
    ["ΟΔΟΣ οδος", "ΟΔΟς", ["ΟΔΟΣ", "οδος"]],
    ["İstanbul ISTANBUL", "istanbul", ["İstanbul", "ISTANBUL"]],
    ["istanbul", "İSTANBUL", ["istanbul"]],
    ["12 µs, 3 μs", "ΜS", ["µs", "μs"]],
    ["ﬁle", "file", ["ﬁle"]],
    ["\u{10400}\u{1f680}x", "\u{10428}", ["\u{10400}"]],
    ["\u{1f680} go \u{1f680}", "\u{1f680}", ["\u{1f680}", "\u{1f680}"]],
    ["日本語", "本", ["本"]],
  ];
  for (const [text, word, wanted] of table) {
    equal(found(text, word), wanted, `${word} in ${text}`);
  }
});

test("a mark has whole characters, even if a word ends in the middle of a character's folding", () => {
  equal(found("xßy", "s"), ["ß", "ß"]);
  equal(found("Straße 1", "stras"), ["Straß"]);
  equal(found("ß\u{1f680}ab", "\u{1f680}A"), ["\u{1f680}a"]);
});

// None of the planes from the third on has letters with cases.
test("no character folds to a shorter text, so that equal lengths mean equal positions", () => {
  for (let code = 0; code <= 0x1ffff; code += 1) {
    if (code < 0xd800 || code > 0xdfff) {
      const character = String.fromCodePoint(code);
      if (fold(character).length < character.length) {
        throw new Error(`U+${code.toString(16)}`);
      }
    }
  }
});

test("matches do not overlap, and their number is limited", () => {
  equal(findWords("aaaa", ["aa"], 50), [
    [0, 2],
    [2, 4],
  ]);
  equal(findWords("a".repeat(99), ["a"], 3), [
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
});

test("adjacent ranges are merged, and their number is limited", () => {
  equal(
    mergeRanges(
      [
        [5, 7],
        [0, 2],
        [2, 3],
        [6, 9],
        [6, 7],
      ],
      50,
    ),
    [
      [0, 3],
      [5, 9],
    ],
  );
  equal(
    mergeRanges(
      [
        [4, 5],
        [0, 1],
        [2, 3],
      ],
      2,
    ),
    [
      [0, 1],
      [2, 3],
    ],
  );
  equal(mergeRanges([], 50), []);
});

test("a text folds like its characters, and a word from it is found where it is", () => {
  const random = new Random(17);
  const parts = [..."aAbß İſςΣΟﬁŉǰ\u0130\u0307K\u{10400}\u{1f680}日", "\ud801", "\udc00"];
  for (let round = 0; round < 1000; round += 1) {
    const text = random.text(parts, 12);
    equal(fold(text), [...text].map(fold).join(""), text);
    equal(fold(fold(text)), fold(text), text);
    const word = fold([...text].slice(random.below(3)).slice(0, 3).join(""));
    if (word !== "") {
      const places = findWords(text, [word], 50);
      ok(places.length > 0, `${word} in ${text}`);
      for (const [start, end] of places) {
        ok(0 <= start && start < end && end <= text.length, text);
        ok(fold(text.slice(start, end)).includes(word), `${word} in ${text}`);
      }
    }
  }
});
