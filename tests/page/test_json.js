// Tests for json.js.

"use strict";

import { indent, pairsOf } from "../../twisted_sse/daemon/page/json.js";
import { equal, ok, test } from "./testing.js";
import { Random } from "./random.js";

const PITFALLS =
  '{"id": 12345678901234567890, "id": 1.0, "s": "{[,:]} \\" \\u00e9 <b>", "e": {},' +
  ' "l": [[], null], "n": {"a": {"b": "x"}}, "": -1e5}';

test("pairs keep numbers, order, duplicates and empty keys unchanged", () => {
  equal(
    pairsOf(PITFALLS).map(({ key, text }) => [key, text]),
    [
      ["id", "12345678901234567890"],
      ["id", "1.0"],
      ["s", '"{[,:]} \\" \\u00e9 <b>"'],
      ["e", "{}"],
      ["l", "[[], null]"],
      ["n", '{"a": {"b": "x"}}'],
      ["", "-1e5"],
    ],
  );
  equal(pairsOf("{}"), []);
  equal(pairsOf('{"__proto__":1,"constructor":"c"}').map(({ key }) => key), ["__proto__", "constructor"]);
});

test("values are indented by two, with escapes decoded to letters", () => {
  equal(indent('{"a":[1,{"b":"\\u00e9"},[],{}],"n":12345678901234567890}'), [
    "{",
    '  "a": [',
    "    1,",
    "    {",
    '      "b": "é"',
    "    },",
    "    [],",
    "    {}",
    "  ],",
    '  "n": 12345678901234567890',
    "}",
  ].join("\n"));
});

test("at any depth, the indentation is limited and nothing is missing", () => {
  const deep = "[".repeat(3000) + "]".repeat(3000);
  equal(indent(deep).replace(/\s/g, ""), deep);
  ok(indent(deep).length < 6000 * 45, "length");
});

test("the indented text has the same value", () => {
  const random = new Random(7);
  const next = () => random.below(1000) / 1000;
  const value = (depth) => {
    const kind = Math.floor(next() * (depth > 3 ? 4 : 6));
    const text = () => ['a"', "b\\", "{", ",", "é\n", ""][Math.floor(next() * 6)];
    switch (kind) {
      case 0:
        return Math.floor(next() * 1000) / 8;
      case 1:
        return null;
      case 2:
        return next() < 0.5;
      case 3:
        return text();
      case 4:
        return Array.from({ length: Math.floor(next() * 4) }, () => value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: Math.floor(next() * 4) }, () => [text(), value(depth + 1)]),
        );
    }
  };
  for (let i = 0; i < 200; i += 1) {
    const text = JSON.stringify({ key: value(0), other: value(0) });
    equal(JSON.parse(indent(text)), JSON.parse(text));
    const pairs = Object.fromEntries(pairsOf(text).map(({ key, text: its }) => [key, JSON.parse(its)]));
    equal(pairs, JSON.parse(text));
  }
});
