// Tests for cut.js.

"use strict";

import { cut } from "../../twisted_sse/daemon/page/line/cut.js";
import { equal, test } from "./testing.js";

test("a text is cut where it is too long, and only there", () => {
  equal([cut("abcdef", 3), cut("abc", 3), cut("", 3)], ["abc", "abc", ""]);
});

test("no character is cut in half", () => {
  equal([cut("ab\u{1f600}", 3), cut("ab\u{1f600}", 4), cut("ab\u{1f600}c", 4)].join(), "ab,ab😀,ab😀");
});
