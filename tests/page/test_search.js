// The groups that match a query, and the marks in them; without patterns.

"use strict";

import { showRecord } from "../../twisted_sse/daemon/page/line/record.js";
import { Search } from "../../twisted_sse/daemon/page/search/search.js";
import { entryOf, groupOf, rowOf } from "./entries.js";
import { Random } from "./random.js";
import { equal, ok, test } from "./testing.js";

function searchFor(text) {
  const search = new Search({ onProblem: () => {} });
  ok(search.set(text), text);
  return search;
}

// The positions of the groups that match.
function matches(text, groups) {
  let answer = null;
  searchFor(text).ask(groups, (found) => {
    answer = found;
  });
  return answer.flatMap((found, at) => (found ? [at] : []));
}

// The marked texts in a row.
function marked(text, row) {
  let answer = null;
  searchFor(text).find([row], ([ranges]) => {
    answer = ranges.map(([start, end]) => row.text.slice(start, end));
  });
  return answer;
}

function finds(groups, table) {
  for (const [text, ...wanted] of table) {
    equal(matches(text, groups), wanted, text);
  }
}

function marks(table) {
  for (const [line, text, ...wanted] of table) {
    equal(marked(text, rowOf(entryOf(line))), wanted, `${text} in ${line}`);
  }
}

const LOG = [
  groupOf("2026-11-29 02:25:25 ERROR timeout while reading /basket"),
  groupOf("2026-11-29 02:25:26 WARN slow answer, 512 ms"),
  groupOf("2026-11-29 02:25:27 INFO \x1b[32mdone\x1b[0m with the basket"),
  groupOf("nothing special: see https://example.com/ at 12:30"),
];

test("words and phrases are found in the text without escapes, with times and levels", () => {
  finds(LOG, [
    ["", 0, 1, 2, 3],
    ["timeout", 0],
    ["TIMEOUT", 0],
    ["basket", 0, 2],
    ["basket timeout", 0],
    ['"while reading"', 0],
    ['"reading while"'],
    ['"done with"', 2],
    ["02:25:26", 1],
    ["02:25", 0, 1, 2],
    ["info", 2],
    ['"25 error"', 0],
    ["https://example.com/", 3],
    ["special:", 3],
    ["32m"],
  ]);
});

test("a minus excludes groups with the term", () => {
  finds(LOG, [
    ["-basket", 1, 3],
    ['-"with the"', 0, 1, 3],
    ["basket -done", 0],
    ["-level:error", 1, 2, 3],
    ["-level:>=info", 3],
    ["-nowhere", 0, 1, 2, 3],
  ]);
});

test("level, type, source and id mean the page's own fields", () => {
  const groups = [
    groupOf(entryOf("[ERROR] a", { source: "/log", type: "job", id: "7" })),
    groupOf(entryOf("[WARN] b", { source: "/load", id: "12" })),
    groupOf(
      entryOf('{"level":"fatal","msg":"c","type":"x","id":"12"}', { type: "Job", id: "a b" }),
    ),
    groupOf(entryOf("d", { source: "/" })),
  ];
  finds(groups, [
    ["level:error", 0],
    ["level:Warning", 1],
    ["level:err,fatal", 0, 2],
    ["level:>=warn", 0, 1, 2],
    ["level:>warn", 0, 2],
    ["level:<error", 1],
    ["level:<=error", 0, 1],
    ["level:e*", 0],
    ['level:""', 3],
    ["level:loud"],
    ["level:>=loud"],
    ["type:job", 0, 2],
    ["type:message", 1, 3],
    ["type:m*,j*", 0, 1, 2, 3],
    ['"type":x', 2],
    ["source:/log", 0, 2],
    ["source:load", 1],
    ["source:/", 3],
    ["source:/lo*", 0, 1, 2],
    ["source:log,load", 0, 1, 2],
    ["id:12", 1],
    ["id:>5", 0, 1],
    ['id:"a b"', 2],
  ]);
});

test("keys of JSON: equal, either, prefix, quoted, nested, with dots, numbers", () => {
  const groups = [
    '{"status":500,"ms":12.5,"user":{"name":"Anna B","id":7},"ok":true,"none":null}',
    '{"status":404,"ms":"800","user.name":"Bob","tags":["red","Green"],"big":1e3}',
    '{"Status":204,"__proto__":{"x":1},"constructor":"mine","text":"a,b"}',
    '{"a.b":{"c":1},"a":{"b":{"d":2},"b.c":3}}',
    "status is 500",
    '{"v":">x"}',
  ].map((line) => groupOf(line));
  finds(groups, [
    ["status:500", 0],
    ["STATUS:204", 2],
    ["status:500,404", 0, 1],
    ["status:4*", 1],
    ["status:*", 0, 1, 2],
    ["status:50"],
    ["status:500.0", 0],
    ["ms:>500", 1],
    ["ms:>=12.5", 0, 1],
    ["ms:<500", 0],
    ["ms:<=12.5", 0],
    ["big:1000", 1],
    ["user.name:anna*", 0],
    ['user.name:"anna b"', 0],
    ["user.name:bob", 1],
    ["user.name:*", 0, 1],
    ["user:*", 0],
    ["user.id:7", 0],
    ["user:anna"],
    ["ok:true", 0],
    ["none:null", 0],
    ["tags:green", 1],
    ["tags.0:red", 1],
    ["tags:r*", 1],
    ["__proto__.x:1", 2],
    ["__proto__:*", 2],
    ["constructor:mine", 2],
    ["constructor:*", 2],
    ["toString:*"],
    ["constructor.name:*"],
    ['text:"a,b"', 2],
    ["text:a,b"],
    ["a.b.c:1,3", 3],
    ["a.b.c:3", 3],
    ["a.b.d:2", 3],
    ["a.:*"],
    ["user.:*"],
    ["uses.name:*"],
    ["-status:500", 1, 2, 3, 4, 5],
    ["v:>x", 5],
    ["v:>y"],
  ]);
});

test("keys of logfmt: outside quotes, with quotes, numbers", () => {
  const groups = [
    'time=2026-11-29T02:25:25Z level=error msg="no answer, retry=3" status=500 took=1.5',
    "level=info msg=done Status=200 user=anna@example.com",
    'msg="status=500 in quotes"',
  ].map((line) => groupOf(line));
  finds(groups, [
    ["status:500", 0],
    ["status:200,500", 0, 1],
    ["status:>=500", 0],
    ['msg:"no answer, retry=3"', 0],
    ["msg:no*", 0],
    ["retry:3"],
    ["took:>1", 0],
    ["user:anna*", 1],
    ["level:error", 0],
    ["nothing:*"],
  ]);
});

test("access logs have a status, a method and a path", () => {
  const lines = [
    '192.0.2.7 - - [29/Nov/2026:01:18:07 +0000] "GET /basket?item=42 HTTP/1.1" 200 5316 "-" "curl"',
    '192.0.2.7 - - [29/Nov/2026:01:18:08 +0000] "POST /pay HTTP/2.0" 502 157 "-" "x status=1"',
    'INFO:     127.0.0.1:34567 - "GET / HTTP/1.1" 404 Not Found',
    "GET /api/users 500 12.345 ms - 15",
    " GET /about in 200 in 14ms",
    '[GIN] 2026/11/29 - 02:25:25 | 503 |    1.2ms |  192.0.2.7 | DELETE   "/basket/1"',
    "haproxy[14]: 192.0.2.7:1 [29/Nov/2026:01:18:07.1] in~ out/s1 10/0/30/69/109 200 2750 - - ---- " +
      '1/1/1/1/0 0/0 "GET /index.html HTTP/1.1"',
    "GET of /x is not 200",
  ];
  finds(
    lines.map((line) => groupOf(line)),
    [
      ["status:200", 0, 4, 6],
      ["status:>=500", 1, 3, 5],
      ["status:404,502", 1, 2],
      ["method:get", 0, 2, 3, 4, 6],
      ["method:post,delete", 1, 5],
      ["path:/basket", 0],
      ['path:"/basket?item=42"', 0],
      ["path:/basket*", 0, 5],
      ["path:/", 2],
      ["path:/api/users", 3],
      ["path:/index.html", 6],
    ],
  );
});

test("one line of a group has all terms, and no line has an excluded one", () => {
  const group = groupOf(
    "ERROR request 42 failed",
    "Traceback (most recent call last):",
    "KeyError: 'x'",
  );
  finds(
    [group],
    [
      ["keyerror", 0],
      ["request 42", 0],
      ["request keyerror"],
      ["level:error keyerror", 0],
      ["-keyerror"],
      ["request -keyerror"],
      ["request -nothing", 0],
    ],
  );
});

test("escapes in JSON are found by their meaning, and as written", () => {
  const group = groupOf(
    '{"msg":"M\\u00fcller said \\"hi\\"","path":"C:\\\\new","deep":[{"k\\u00e9y":"\\u00df"}]}',
  );
  for (const text of [
    "müller",
    "m\\u00fcller",
    '"said \\"hi\\""',
    "c:\\new",
    "kéy",
    "ß",
    "msg:m*",
  ]) {
    equal(matches(text, [group]), [0], text);
  }
});

test("an invalid pattern leaves the previous search in force", () => {
  const problems = [];
  const search = new Search({ onProblem: (problem) => problems.push(problem) });
  ok(search.isEmpty, "at first");
  ok(search.set("timeout"), "a word");
  equal(search.set("/(/"), false);
  equal(search.set("x /[/"), false);
  equal(search.problem, "Not a valid pattern");
  equal(search.isEmpty, false);
  search.ask(LOG, (found) => equal(found, [true, false, false, false]));
  ok(search.set(" "), "nothing");
  ok(search.isEmpty, "at last");
  equal(search.problem, "");
  equal(problems, ["Not a valid pattern", ""]);
});

test("words and phrases are marked where they are drawn, except excluded ones", () => {
  marks([
    ["timeout, Timeout", "timeout", "timeout", "Timeout"],
    ["2026-11-29 02:25:25 ERROR it failed", "error it", "it"],
    ["one two three", '"two three" one', "one", "two three"],
    ["abcabc", "abc bca", "abcabc"],
    ["one two", "one -three", "one"],
    ["one two", "-three"],
    ["die Straße", "strasse", "Straße"],
    ["İstanbul ist", "ist", "İst", "ist"],
    ["\u{1f680} go", "\u{1f680}", "\u{1f680}"],
  ]);
});

test("at most 50 are marked in a row", () => {
  equal(marked("a", rowOf(entryOf("a ".repeat(99)))).length, 50);
  equal(marked("a c", rowOf(entryOf("a b c ".repeat(99)))).length, 50);
});

test("a key:value marks the value in logfmt and in access logs", () => {
  marks([
    ["status=500 took=500", "status:500", "500"],
    ["a status=500 b", "status:>=500", "500"],
    ['msg="a b" status=404', 'msg:"a b"', '"a b"'],
    ["status=404", "status:500"],
    ["a status=404", "-status:500"],
    ['x "GET /a?b=1 HTTP/1.1" 404 5', "status:404 path:/a method:get", "GET", "/a", "404"],
    ["GET /a?b=1 404", "path:/a*", "/a?b=1"],
  ]);
});

test("a key:value marks the value in JSON, and words mark the shown text", () => {
  const entry = entryOf('{"msg":"it failed","status":500,"ms":500,"user":{"id":1},"code":"500"}');
  const shown = showRecord(entry.line.record, new Set());
  const row = { ...shown, entry };
  const table = [
    ["status:500", "500"],
    ["code:5*", "500"],
    ["status:404"],
    ["msg:it*", "it failed"],
    ["failed", "failed"],
    ["user:*", "{…}"],
    ["status:500 ms:500", "500", "500"],
  ];
  for (const [text, ...wanted] of table) {
    equal(marked(text, row), wanted, text);
  }
  searchFor("status:500").find([row], ([[[start]]]) => {
    equal(shown.text.slice(0, start).endsWith("status="), true);
  });
});

test("a cell is marked if a word or phrase is in it", () => {
  const search = searchFor('error "02:25" -warn key:info');
  equal(
    ["02:25:25.123", "ERROR", "WARN", "INFO", ""].map((text) => search.marksCell(text)),
    [true, true, false, false, false],
  );
});

test("rows and groups are answered immediately, including an empty list", () => {
  const search = searchFor("x");
  let answers = 0;
  search.ask([], (found) => {
    equal(found, []);
    answers += 1;
  });
  search.find([], (found) => {
    equal(found, []);
    answers += 1;
  });
  equal(answers, 2);
});

test("JSON may be nested as deep as it is long", () => {
  const depth = 45000;
  const group = groupOf(`{"a":"\\n${"x".repeat(9)}","b":${"[".repeat(depth)}${"]".repeat(depth)}}`);
  equal(matches("xxx", [group]), [0]);
  equal(matches("b:*", [group]), [0]);
  equal(matches("b:x", [group]), []);
  const objects = groupOf(`{"b":${'{"b":'.repeat(15000)}"\\n"${"}".repeat(15000)}}`);
  equal(matches(`${"b.".repeat(3000)}b:x`, [objects]), []);
});

test("for any query and any text, marks are in order within the text", () => {
  const random = new Random(17);
  const typed = [
    "a",
    "İ",
    "ß",
    " ",
    '"',
    "-",
    ":",
    ",",
    "*",
    ">",
    "1",
    "status",
    "path",
    "level",
    "key",
    "\u{1f680}",
    "\ud83d",
    "/",
  ];
  const parts = [
    "a",
    "İ",
    "ß",
    "ss",
    " ",
    '"',
    "=",
    "1",
    "status=",
    "key=",
    "GET /a 200",
    "{",
    "}",
    ":",
    "\\",
    '{"key":"a","status":1}',
    "\u{1f680}",
    "\ude80",
    "\n",
    "\x1b[31m",
    "\u202e",
  ];
  const search = new Search({ onProblem: () => {} });
  for (let round = 0; round < 1000; round += 1) {
    const text = random.text(typed, 8);
    if (/(^|\s)-?\//.test(text) || !search.set(text)) {
      continue; // a pattern
    }
    const entries = [0, 1].map(() => entryOf(random.text(parts, 8)));
    const rows = entries.map((entry) => {
      const { record } = entry.line;
      return record === null ? rowOf(entry) : { ...showRecord(record, new Set()), entry };
    });
    search.ask(
      entries.map((entry) => groupOf(entry)),
      (found) => equal(found.length, 2),
    );
    search.find(rows, (found) => {
      for (const [at, ranges] of found.entries()) {
        let last = -1;
        for (const [start, end] of ranges) {
          ok(
            last < start && start < end && end <= rows[at].text.length,
            `${text} in ${rows[at].text}`,
          );
          last = end;
        }
      }
    });
  }
});
