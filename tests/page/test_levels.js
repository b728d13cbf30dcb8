import {
  LEVELS,
  isEveryday,
  levelOf,
  levelOfPriority,
  levelOfStatus,
  rank,
  worse,
} from "../../twisted_sse/daemon/page/line/levels.js";
import { equal, ok, test } from "./testing.js";

test("names in any case are levels, and an offset is ignored", () => {
  for (const [name, level] of Object.entries({
    Verbose: "trace",
    TRCE: "trace",
    dbug: "debug",
    FINE: "debug",
    Notice: "info",
    success: "info",
    "WARN+1": "warn",
    wrn: "warn",
    erro: "error",
    SEVERE: "error",
    fail: "error",
    dpanic: "fatal",
    EMERGENCY: "fatal",
    errors: "",
    constructor: "",
    __proto__: "",
    "": "",
  })) {
    equal(levelOf(name), level, name);
  }
});

test("everyday words are known", () => {
  ok(isEveryday("Log") && isEveryday("success"));
  ok(!isEveryday("error") && !isEveryday("constructor"));
});

test("the numbers of syslog have levels, for any facility", () => {
  equal(
    [0, 1, 2, 3, 4, 5, 6, 7].map(levelOfPriority).join(" "),
    "fatal fatal fatal error warn info info debug",
  );
  equal(levelOfPriority(34), "fatal");
});

test("only failures of HTTP have a level", () => {
  equal([200, 302, 399, 400, 499, 500, 599, 600].map(levelOfStatus), [
    "",
    "",
    "",
    "warn",
    "warn",
    "error",
    "error",
    "",
  ]);
});

test("levels are ordered", () => {
  equal(LEVELS.map(rank), [0, 1, 2, 3, 4, 5]);
  equal(rank(""), -1);
  equal(
    [worse("", "debug"), worse("error", "info"), worse("warn", "fatal")],
    ["debug", "error", "fatal"],
  );
});
