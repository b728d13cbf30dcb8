// Lines of many programs: correct results stay correct, and every rule is needed.

import { CONTINUATIONS } from "../../twisted_sse/daemon/page/line/groups.js";
import { OPENERS } from "../../twisted_sse/daemon/page/line/head.js";
import { LEVEL_RULES } from "../../twisted_sse/daemon/page/line/record.js";
import { FAILURES, RULES } from "../../twisted_sse/daemon/page/line/severity.js";
import { DATED, SOMEWHERE, UNDATED } from "../../twisted_sse/daemon/page/line/time.js";
import { PLACES } from "../../twisted_sse/daemon/page/line/words.js";
import { ALL, GIVEN, MORE, wrongIn } from "./checking.js";
import { equal, ok, test } from "./testing.js";

// Known errors: too special for a rule, or a mistake that the rules accept.
const WRONG = {
  "alb-502": "level time message",
  "rsyslog-escaped": "level message",
  top: "groups",
  "npm-proxy-signale": "level",
  nextcloud: "level message",
};
const MORE_WRONG = {
  "rails-started": "time",
  "erlang-report": "level time",
  "yarn-error": "level",
  "yarn-warning": "level",
  pm2: "level",
  "vite-error": "level",
  "tap-not": "level",
  stern: "time",
  mssql: "level",
  "rsync-error": "level",
  ntpd: "time",
  chromium: "time",
  gtk: "level",
  gitea: "level",
  weblogic: "time",
  websphere: "level time",
  keydb: "level time",
  nagios: "level",
  geth: "time",
  asan: "level",
  "more-52": "time",
};

const TABLES = {
  CONTINUATIONS,
  DATED,
  FAILURES,
  LEVEL_RULES,
  OPENERS,
  PLACES,
  RULES,
  SOMEWHERE,
  UNDATED,
};

function wrongOnes(vectors) {
  const wrong = vectors.map((vector) => [vector.name, wrongIn(vector).join(" ")]);
  return Object.fromEntries(wrong.filter(([, what]) => what !== ""));
}

test("of the given vectors only the known ones are wrong", () => {
  equal(wrongOnes(GIVEN), WRONG);
});

test("of our own vectors only the known ones are wrong", () => {
  equal(wrongOnes(MORE), MORE_WRONG);
});

test("at least 97 of 100 vectors are right in each respect", () => {
  const wrong = ALL.flatMap(wrongIn);
  for (const what of ["level", "time", "groups", "message"]) {
    ok(wrong.filter((each) => each === what).length <= 0.03 * ALL.length, what);
  }
});

test("each rule makes at least two vectors right, and has a name", () => {
  const before = new Map(ALL.map((vector) => [vector, wrongIn(vector).length]));
  for (const [table, rules] of Object.entries(TABLES)) {
    for (const [index, rule] of [...rules].entries()) {
      ok(rule.name, table);
      rules.splice(index, 1);
      const lost = ALL.filter((vector) => wrongIn(vector).length > before.get(vector));
      rules.splice(index, 0, rule);
      ok(lost.length >= 2, `${table}, ${rule.name}: more than one vector`);
    }
  }
});
