import { readPairs } from "../../twisted_sse/daemon/page/line/logfmt.js";
import { equal, ok, test } from "./testing.js";

function pairsOf(text) {
  return readPairs(text).map(({ key, value }) => [key, value]);
}

test("pairs are read, with the positions of the whole and of the value", () => {
  equal(readPairs('a x.y="1 2" z='), [
    { key: "x.y", value: "1 2", start: 2, end: 11, valueStart: 6 },
    { key: "z", value: "", start: 12, end: 14, valueStart: 14 },
  ]);
});

test("text in quotes is not a pair", () => {
  equal(pairsOf('msg="a=1 \\"b=2\\" c=3" d=4'), [
    ["msg", 'a=1 "b=2" c=3'],
    ["d", "4"],
  ]);
  equal(pairsOf('"a=1" b=2'), [["b", "2"]]);
});

test("an unterminated quote is text", () => {
  equal(pairsOf('a="1 b=2'), [
    ["a", '"1'],
    ["b", "2"],
  ]);
});

test("a pair must begin a word", () => {
  equal(pairsOf("https://example.com/?a=1 (b=2) c==3"), [["c", "=3"]]);
});

test("reading begins at the given position", () => {
  equal(
    readPairs("a=1 b=2", 4).map(({ key }) => key),
    ["b"],
  );
});

test("a million quotes are read quickly", () => {
  const text = ' "\\'.repeat(300_000);
  const before = performance.now();
  equal(readPairs(text), []);
  ok(performance.now() - before < 5_000, "the time it took");
});
