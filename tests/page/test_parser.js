// Tests for parser.js.

"use strict";

import { EventStreamParser } from "../../twisted_sse/daemon/page/parser.js";
import { equal, ok, test } from "./testing.js";
import { readVectors } from "./vectors.js";

test("event streams are parsed as in the standard", async () => {
  const vectors = await readVectors("parser.json");
  ok(vectors.length > 50, "the number of vectors");
  for (const { name, chunks, events, retry, final_last_event_id: id } of vectors) {
    const found = [];
    const parser = new EventStreamParser("", (type, data) => {
      found.push({ type, data, last_event_id: parser.lastEventId });
    }, () => {});
    const decoder = new TextDecoder();
    for (const chunk of chunks) {
      const bytes = Uint8Array.from(chunk, (each) => each.charCodeAt(0));
      parser.feed(decoder.decode(bytes, { stream: true }));
    }
    const expected = events.map(({ type, data, last_event_id }) => ({ type, data, last_event_id }));
    equal([found, parser.retry, parser.lastEventId], [expected, retry, id], name);
  }
});

test("comments are reported, wherever they are cut", () => {
  const comments = [];
  const parser = new EventStreamParser("", () => {}, (text) => comments.push(text));
  for (const part of [":li", "ve\n", ":", "\r", "\n: two\n\n"]) {
    parser.feed(part);
  }
  equal(comments, ["live", "", "two"]);
});
