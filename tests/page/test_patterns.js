// Patterns in a worker: their results, and a pattern that takes too long.

"use strict";

import { BLOCKED, INVALID, Patterns, SLOW } from "../../twisted_sse/daemon/page/search/patterns.js";
import { Search } from "../../twisted_sse/daemon/page/search/search.js";
import { entryOf, groupOf, rowOf } from "./entries.js";
import { equal, ok, test } from "./testing.js";

const HOPELESS = "^(\\S+\\s?)+$#";
const LONG = "word ".repeat(40);
const TOO_SLOW = "Pattern too slow, stopped";

// Node.js has no workers of this kind; tests that need a real one run in browsers.
const browserTest = typeof Worker === "undefined" ? () => {} : test;

// Workers under the test's control, which remember their requests.
class Workers {
  all = [];

  start = () => {
    const worker = new EventTarget();
    Object.assign(worker, { questions: [], isTerminated: false });
    worker.postMessage = (question) => worker.questions.push(question);
    worker.terminate = () => {
      worker.isTerminated = true;
    };
    this.all.push(worker);
    return worker;
  };

  get last() {
    return this.all.at(-1);
  }

  get running() {
    return this.all.filter(({ isTerminated }) => !isTerminated).length;
  }

  say(data, worker = this.last) {
    worker.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  // Answers the last request: every text has every pattern.
  answer(worker = this.last) {
    const { id, texts, sources } = worker.questions.at(-1);
    this.say({ id, began: true }, worker);
    this.say({ id, found: texts.map(() => sources.map(() => true)) }, worker);
  }
}

// Patterns with such workers, their failures, and their answers.
function make() {
  const workers = new Workers();
  const failures = [];
  const answers = [];
  const patterns = new Patterns((kind) => failures.push(kind), workers.start);
  const ask = (...texts) => {
    patterns.ask({ sources: ["x"], texts, most: 0 }, (found) => answers.push(found.length));
  };
  return { workers, failures, answers, patterns, ask };
}

// Timers that fire on demand, while run() runs.
function withTimers(run) {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const timers = new Map();
  let last = 0;
  globalThis.setTimeout = (call, after) => {
    last += 1;
    timers.set(last, { call, after });
    return last;
  };
  globalThis.clearTimeout = (id) => timers.delete(id);
  const fire = () => {
    const [[id, { call, after }]] = timers;
    timers.delete(id);
    call();
    return after;
  };
  try {
    run(timers, fire);
  } finally {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }
}

test("there is a worker while patterns are searched, and never a second", () => {
  const { workers, patterns } = make();
  patterns.set(false);
  equal(workers.all.length, 0);
  patterns.set(true);
  patterns.set(true);
  workers.say({ ready: true });
  patterns.set(true);
  equal([workers.all.length, workers.running], [1, 1]);
  patterns.set(false);
  equal(workers.running, 0);
  patterns.set(true);
  equal([workers.all.length, workers.running], [2, 1]);
  patterns.set(false);
});

test("requests wait for the worker, and are answered in order, including empty ones", () => {
  const { workers, answers, patterns, ask } = make();
  patterns.set(true);
  ask("a");
  ask();
  ask("b", "c");
  equal(workers.last.questions.length, 0);
  workers.say({ ready: true });
  equal(workers.last.questions.length, 1);
  equal(answers, []);
  workers.answer();
  equal(answers, [1, 0]);
  workers.answer();
  equal(answers, [1, 0, 2]);
  patterns.set(false);
});

test("many texts are searched in parts, each with its own timeout", () => {
  const { workers, answers, patterns, ask } = make();
  patterns.set(true);
  workers.say({ ready: true });
  ask(...Array(100).fill("x".repeat(20000)));
  for (let count = 0; answers.length === 0; count += 1) {
    const { texts } = workers.last.questions.at(-1);
    ok(
      texts.every(({ length }) => length === 10000),
      "the first 10,000 characters",
    );
    ok(texts.join("").length <= 2 ** 16, "a part");
    ok(count < 100, "an end");
    workers.answer();
  }
  equal(answers, [100]);
  ask(...Array(2500).fill("x"));
  equal(workers.last.questions.at(-1).texts.length, 1000);
  patterns.set(false);
});

test("the clock starts when the worker begins, and an answer stops it", () => {
  withTimers((timers) => {
    const { workers, answers, patterns, ask } = make();
    patterns.set(true);
    workers.say({ ready: true });
    ask("a");
    const { id } = workers.last.questions[0];
    equal(timers.size, 0);
    workers.say({ id, began: true });
    equal(timers.size, 1);
    workers.say({ id, found: [[true]] });
    equal([timers.size, answers], [0, [1]]);
    patterns.set(false);
  });
});

test("a worker that takes too long is stopped, and the next query has a new one", () => {
  withTimers((timers, fire) => {
    const { workers, failures, answers, patterns, ask } = make();
    patterns.set(true);
    workers.say({ ready: true });
    ask("a");
    ask("b");
    workers.say({ id: workers.last.questions[0].id, began: true });
    equal([fire(), failures], [250, []]);
    fire();
    equal([failures, answers, workers.running], [[SLOW], [], 0]);
    workers.answer(workers.all[0]);
    equal(answers, []);
    patterns.set(true);
    ask("a", "b");
    workers.say({ ready: true });
    workers.answer();
    equal([answers, workers.all.length, workers.running], [[2], 2, 1]);
    patterns.set(false);
    equal(timers.size, 0);
  });
});

test("a worker has ten seconds to start, and no such limit afterwards", () => {
  withTimers((timers, fire) => {
    const { workers, failures, answers, patterns, ask } = make();
    patterns.set(true);
    ask("a");
    equal([timers.size, fire(), failures, workers.running], [1, 10000, [BLOCKED], 0]);
    patterns.set(true);
    ask("a");
    workers.say({ ready: true });
    equal(timers.size, 0);
    workers.answer();
    equal([timers.size, answers], [0, [1]]);
    patterns.set(true);
    patterns.set(false);
    equal(timers.size, 0);
  });
});

test("an answer that is on its way at the timeout is used", () => {
  withTimers((timers, fire) => {
    const { workers, failures, answers, patterns, ask } = make();
    patterns.set(true);
    workers.say({ ready: true });
    ask("a");
    const { id } = workers.last.questions[0];
    workers.say({ id, began: true });
    equal(fire(), 250);
    workers.say({ id, found: [[true]] });
    equal([timers.size, failures, answers], [0, [], [1]]);
    patterns.set(false);
  });
});

test("answers to an older query are dropped, and its requests are forgotten", () => {
  const { workers, answers, patterns, ask } = make();
  patterns.set(true);
  workers.say({ ready: true });
  ask("a");
  ask("b");
  patterns.set(true);
  ask("c", "d");
  equal(workers.last.questions.length, 1);
  workers.answer();
  equal([answers, workers.last.questions.length], [[], 2]);
  equal(workers.last.questions[1].texts, ["c", "d"]);
  workers.answer();
  equal(answers, [2]);
  patterns.set(false);
});

test("an older query that hangs does not affect the next, which gets a new worker", () => {
  withTimers((timers, fire) => {
    const { workers, failures, answers, patterns, ask } = make();
    patterns.set(true);
    workers.say({ ready: true });
    ask("a");
    workers.say({ id: workers.last.questions[0].id, began: true });
    patterns.set(true);
    ask("b");
    fire();
    fire();
    equal([failures, workers.all.length, workers.running], [[], 2, 1]);
    workers.say({ ready: true });
    workers.answer();
    equal([answers, timers.size], [[1], 0]);
    patterns.set(false);
  });
});

test("a worker that cannot start is reported once, however it is refused", () => {
  const refused = [];
  const patterns = new Patterns(
    (kind) => refused.push(kind),
    () => {
      throw new Error("SecurityError");
    },
  );
  patterns.set(true);
  equal(refused, [BLOCKED]);
  for (const kind of ["error", "messageerror"]) {
    const { workers, failures, patterns: others, ask } = make();
    others.set(true);
    ask("a");
    workers.last.dispatchEvent(new Event(kind));
    workers.last.dispatchEvent(new Event(kind));
    equal([failures, workers.running], [[BLOCKED], 0]);
  }
});

test("a pattern that cannot be compiled after all is not valid", () => {
  const { workers, failures, patterns, ask } = make();
  patterns.set(true);
  workers.say({ ready: true });
  ask("a");
  workers.say({ id: workers.last.questions[0].id, began: true });
  workers.say({ id: workers.last.questions[0].id, failed: true });
  equal([failures, workers.running], [[INVALID], 0]);
});

test("requests for more than a page keeps do not pile up", () => {
  const { workers, failures, patterns, ask } = make();
  patterns.set(true);
  workers.say({ ready: true });
  const texts = Array(1000).fill("x".repeat(10000));
  for (let count = 0; count < 8; count += 1) {
    ask(...texts);
  }
  equal([failures, workers.running], [[SLOW], 0]);
});

test("answered requests do not count as waiting", () => {
  const { workers, failures, answers, patterns, ask } = make();
  patterns.set(true);
  workers.say({ ready: true });
  const texts = Array(1000).fill("x".repeat(10000));
  for (let count = 1; count <= 8; count += 1) {
    ask(...texts);
    while (answers.length < count) {
      workers.answer();
    }
  }
  equal([failures, answers.length], [[], 8]);
  patterns.set(false);
});

// A search without workers, with its messages and answers.
function searchWith(start) {
  const problems = [];
  const search = new Search({ onProblem: (problem) => problems.push(problem), startWorker: start });
  return { search, problems };
}

test("without workers the search reports this, and nothing matches", () => {
  const { search, problems } = searchWith(() => {
    throw new Error("SecurityError");
  });
  const answers = [];
  search.set("/a/");
  search.ask([groupOf("a")], (found) => answers.push(found));
  search.find([rowOf(entryOf("a"))], (found) => answers.push(found));
  equal(answers, [[false], [[]]]);
  equal(problems, ["Patterns are not available"]);
  search.set("a");
  search.ask([groupOf("a")], (found) => answers.push(found));
  equal([answers.at(-1), search.problem], [[true], ""]);
});

test("when a pattern is too slow, all waiting requests are answered: nothing matches", () => {
  withTimers((timers, fire) => {
    const workers = new Workers();
    const { search, problems } = searchWith(workers.start);
    const answers = [];
    search.set("/a/ a");
    search.ask([groupOf("a"), groupOf("b")], (found) => answers.push(found, search.problem));
    search.find([rowOf(entryOf("a"))], (found) => answers.push(found));
    workers.say({ ready: true });
    workers.say({ id: workers.last.questions[0].id, began: true });
    fire();
    fire();
    equal(answers, [[false, false], TOO_SLOW, [[]]]);
    search.ask([groupOf("a")], (found) => answers.push(found));
    equal(answers.at(-1), [false]);
    equal([problems, search.isStopped, search.marksCell("a")], [[TOO_SLOW], true, false]);
    search.set("");
    equal([problems, search.isStopped, workers.running], [[TOO_SLOW, ""], false, 0]);
  });
});

test("an answer may begin another search, and the older one is then not answered", async () => {
  const workers = new Workers();
  const { search } = searchWith(workers.start);
  const answers = [];
  search.set("/a/");
  search.ask([groupOf("a")], () => {
    answers.push("first");
    search.set("a");
  });
  search.ask([groupOf("a")], () => answers.push("second"));
  search.find([rowOf(entryOf("a"))], () => answers.push("third"));
  workers.last.dispatchEvent(new Event("error"));
  equal([answers, search.problem], [["first"], ""]);
});

test("only lines that pass the other terms are searched", () => {
  const workers = new Workers();
  const { search } = searchWith(workers.start);
  const groups = [groupOf("one", "  two", "  three"), groupOf("two"), groupOf("four")];
  const asked = (text) => {
    search.set(text);
    search.ask(groups, () => {});
    workers.say({ ready: true });
    const { texts } = workers.last.questions.at(-1);
    search.set("");
    return texts;
  };
  equal(asked("/x/ two"), ["  two", "two"]);
  equal(asked("/x/ -three"), ["two", "four"]);
  equal(asked("-/x/ one"), ["one", "  two", "  three"]);
});

// The answers of a real worker.
function answerOf(text, groups) {
  return new Promise((done, fail) => {
    const search = new Search({ onProblem: (problem) => problem && fail(new Error(problem)) });
    search.set(text);
    search.ask(groups, (found) => {
      search.set("");
      done(found.flatMap((has, at) => (has ? [at] : [])));
    });
  });
}

browserTest("patterns are found, with and without other terms", async () => {
  const groups = [
    groupOf("ERROR timeout 12", "  at one", "  at two"),
    groupOf("INFO timeaut Ünder"),
    groupOf("nothing"),
    groupOf(`${"x".repeat(9999)}yz`),
  ];
  const table = [
    ["/time.ut/", 0, 1],
    ["/TIME.UT/ -level:info", 0],
    ["-/time.ut/", 2, 3],
    ["/^\\s+at (one|two)$/", 0],
    ["/at one/ -/at two/"],
    ["/at one/ error -/nowhere/"],
    ["/timeout/ error -/nowhere/", 0],
    ["/time/ /\\d\\d/", 0],
    ["/^ü/"],
    ["/\\bü?nder/ timeaut", 1],
    ["/xy/", 3],
    ["/yz/"],
  ];
  for (const [text, ...wanted] of table) {
    equal(await answerOf(text, groups), wanted, text);
  }
});

browserTest(
  "matches of patterns are marked, at most 50 in a row, and no empty ones",
  async () => {
    const search = new Search({ onProblem: () => {} });
    const find = (text, line) => {
      search.set(text);
      const row = rowOf(entryOf(line));
      return new Promise((done) => search.find([row], ([ranges]) => done(ranges)));
    };
    equal(await find("/b+/", "abbcb"), [
      [1, 3],
      [4, 5],
    ]);
    equal(await find("/b+/ a -/c/", "abbxb"), [
      [0, 3],
      [4, 5],
    ]);
    equal(await find("/x*/", "a\u{1f680}xx"), [[3, 5]]);
    equal(await find("/./", "\u{1f680}a"), [[0, 3]]);
    equal((await find("/a/", "a ".repeat(99))).length, 50);
    search.set("/b+/");
    await new Promise((done) => search.ask([groupOf("xxxxb")], done));
    const row = rowOf(entryOf("abbcb"));
    equal(
      await new Promise((done) => search.find([row], done)),
      [
        [
          [1, 3],
          [4, 5],
        ],
      ],
      "after ask()",
    );
    search.set("");
  },
);

browserTest(
  "a hopeless pattern is stopped without blocking the page, and another one works",
  async () => {
    const problems = [];
    const search = new Search({ onProblem: (problem) => problems.push(problem) });
    let turns = 0;
    const turn = setInterval(() => {
      turns += 1;
    }, 10);
    const ask = (text, groups) => {
      search.set(text);
      return new Promise((done) => search.ask(groups, done));
    };
    equal(await ask(`/${HOPELESS}/`, [groupOf(LONG), groupOf("a")]), [false, false]);
    clearInterval(turn);
    ok(turns > 5, "turns of the page meanwhile");
    equal(problems, [TOO_SLOW]);
    equal(await ask("/wor./", [groupOf(LONG), groupOf("a")]), [true, false]);
    equal(problems, [TOO_SLOW, ""]);
    search.set("");
  },
);

browserTest("thousands of long lines are not too slow", async () => {
  const [entry] = groupOf("").entries;
  const groups = Array.from({ length: 5000 }, (_, at) => ({
    entries: [{ ...entry, text: `${"lorem ipsum ".repeat(500)}${at}` }],
    level: "",
  }));
  equal((await answerOf("/ipsum 4\\d\\d\\d$/", groups)).length, 1000);
});

browserTest("a worker that is not there is said, once", async () => {
  const { search, problems } = searchWith(
    () => new Worker(new URL("./nothing.js", import.meta.url), { type: "module" }),
  );
  search.set("/a/");
  equal(await new Promise((done) => search.ask([groupOf("a")], done)), [false]);
  equal(problems, ["Patterns are not available"]);
});

browserTest(
  "a pattern that is too large to be compiled is reported as invalid",
  async () => {
    const problems = [];
    const search = new Search({ onProblem: (problem) => problems.push(problem) });
    search.set("/(?:(?:(?:a{999}){999}){999})b/");
    equal(await new Promise((done) => search.ask([groupOf("a".repeat(5000))], done)), [false]);
    ok(problems.length <= 1, problems);
    search.set("");
  },
);
