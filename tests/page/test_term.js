// Terms that the page enters into the search.

"use strict";

import { parseQuery } from "../../twisted_sse/daemon/page/search/query.js";
import { writeTerm } from "../../twisted_sse/daemon/page/search/term.js";
import { equal, test } from "./testing.js";

test("the term entered for a key and a value is read as these", () => {
  const keys = [
    "status",
    "a.b",
    "my key",
    "level",
    "TYPE",
    "1",
    "-x",
    "/x",
    "a:b",
    'q"',
    "é",
    "(",
    "\\",
  ];
  const values = [
    500,
    "x",
    "a b",
    "",
    "a,b",
    "a*",
    ">5",
    'say "hi"',
    "C:\\dir\\",
    "//x",
    "/x",
    ":x",
    true,
    "null",
    "\\",
  ];
  for (const key of keys) {
    for (const value of values) {
      const { terms: read, problem } = parseQuery(`-${writeTerm(key, value)} more`);
      equal(problem, "");
      equal(read.length, 2, `${key} ${value}`);
      const [{ kind, key: name, values: asked, negated }] = read;
      equal([kind, name, negated], ["key", key.toLowerCase(), true], `${key} ${value}`);
      equal(
        asked.map(({ operator, text }) => operator + text),
        [`=${String(value).toLowerCase()}`],
      );
    }
  }
  equal(writeTerm("status", 500), "status:500");
  equal(writeTerm("path", "/pay"), "path:/pay");
});
