// Queries of the search, as terms.

"use strict";

import { parseQuery } from "../../twisted_sse/daemon/page/search/query.js";
import { Random } from "./random.js";
import { equal, ok, test } from "./testing.js";

// Terms in a short form: text, /pattern/, key=.., own:key=.., with - if negated.
function terms(text) {
  return parseQuery(text).terms.map((term) => {
    const values = (term.values ?? []).map(({ operator, text: value }) => operator + value);
    const forms = {
      text: () => `'${term.text}'`,
      pattern: () => `/${term.source}/`,
      key: () => [term.key, ...values].join(" "),
      own: () => [`own ${term.key}`, ...values].join(" "),
    };
    return (term.negated ? "-" : "") + forms[term.kind]();
  });
}

function parses(table) {
  for (const [text, ...wanted] of table) {
    equal(terms(text), wanted, text);
  }
}

test("words and phrases are folded, and blanks of any kind divide them", () => {
  parses([
    [""],
    [" \t\n\u3000 "],
    ["Error", "'error'"],
    ["one  two\tthree", "'one'", "'two'", "'three'"],
    ['"one  Two" three', "'one  two'", "'three'"],
    ['a"b c"', "'a\"b'", "'c\"'"],
    ['"a b"c', "'a b'", "'c'"],
    ["'single quotes'", "''single'", "'quotes''"],
    ['"-x"', "'-x'"],
    ['"/x/"', "'/x/'"],
    ['"a:b"', "'a:b'"],
  ]);
});

test("quotes may be escaped in quotes, and other backslashes stay", () => {
  parses([
    ['"say \\"hi\\" now"', "'say \"hi\" now'"],
    ['"C:\\new\\dir"', "'c:\\new\\dir'"],
    ['"a\\\\" b', "'a\\'", "'b'"],
  ]);
});

test("an unfinished quote or pattern counts as finished", () => {
  parses([
    ['"one two', "'one two'"],
    ['"'],
    ['""'],
    ['"a\\', "'a'"],
    ['key:"a b', "key =a b"],
    ["/a b", "/a b/"],
    ["/"],
    ["//"],
    ["-"],
    ["-/"],
    ['-"'],
  ]);
});

test("a minus negates every kind of term", () => {
  parses([
    ["-x", "-'x'"],
    ['-"a b"', "-'a b'"],
    ["-/a b/", "-/a b/"],
    ["-key:v", "-key =v"],
    ["-level:error", "-own level =error"],
    ["--x", "-'-x'"],
    ["a-b", "'a-b'"],
  ]);
});

test("a pattern ends with a slash before a blank or the end", () => {
  parses([
    ["/time.ut/", "/time.ut/"],
    ["/a/ /b/", "/a/", "/b/"],
    ["/A B/ c", "/A B/", "'c'"],
    ["/api/users", "/api/users/"],
    ["/var/log/app.log/ x", "/var/log/app.log/", "'x'"],
    ["/a\\/ b/", "/a\\/ b/"],
    ["/[/ ]x/ y", "/[/ ]x/", "'y'"],
  ]);
});

test("keys have values: one, a list, a prefix, in quotes", () => {
  parses([
    ["key:value", "key =value"],
    ["Key:Value", "key =value"],
    ["key:a,b", "key =a =b"],
    ["key:val*", "key *val"],
    ["key:*", "key *"],
    ['key:"a b"', "key =a b"],
    ['key:"a b",c,"d*"', "key =a b =c =d*"],
    ["key:a,,b,", "key =a =b"],
    ["key:a*,b*", "key *a *b"],
    ['key:""', "key ="],
    ["a.b:c", "a.b =c"],
    ["@timestamp:x", "@timestamp =x"],
    ["key:a:b", "key =a:b"],
    ["key:/api/x", "key =/api/x"],
    ['"my key":x', "my key =x"],
    ['"status":500', "status =500"],
    ["__proto__:x", "__proto__ =x"],
    ["constructor:x hasOwnProperty:y", "constructor =x", "hasownproperty =y"],
  ]);
});

test("numbers are compared", () => {
  parses([
    ["ms:>500", "ms >500"],
    ["ms:>=500 ms:<1.5 ms:<=-2", "ms >=500", "ms <1.5", "ms <=-2"],
    ["status:404,>=500", "status =404 >=500"],
  ]);
  equal(parseQuery("ms:>=1.5e3").terms[0].values[0].number, 1500);
  equal(parseQuery("ms:>x").terms[0].values[0].number, NaN);
  equal(parseQuery("ms:12").terms[0].values[0].number, 12);
});

test("level, type, source and id mean the page's own fields, unless they are in quotes", () => {
  parses([
    ["level:error", "own level =error"],
    ["LEVEL:>=warn", "own level >=warn"],
    ["type:a,b source:/log id:1*", "own type =a =b", "own source =/log", "own id *1"],
    ['"level":error', "level =error"],
  ]);
});

test("a colon in addresses, times and C++ names, or at the end of a word, does not make a key", () => {
  const words = [
    "https://example.com/",
    "12:30:45",
    "127.0.0.1:8080",
    "::1",
    "[::1]:80",
    "std::map",
    "C:\\dir",
    "error:",
    ":x",
    "(a:b)",
  ];
  for (const word of words) {
    equal(terms(word), [`'${word.toLowerCase()}'`], word);
  }
  equal(terms("error: x"), ["'error:'", "'x'"]);
});

test("an invalid pattern is a problem", () => {
  for (const text of ["/(/", "a /[/", "-/x{2,1}/", "/\\", "/\\u{110000}/", "/(?<a>x)(?<a>y)/"]) {
    equal(parseQuery(text).problem, "Not a valid pattern", text);
  }
  for (const text of ["", "(", "/a(b)?/", "/\\p{Lu}/", "/\\//"]) {
    equal(parseQuery(text).problem, "", text);
  }
});

test("any query results in terms or a problem", () => {
  const random = new Random(17);
  const parts = [
    "a",
    "B",
    " ",
    '"',
    "/",
    "\\",
    "-",
    ":",
    ",",
    "*",
    ">",
    "=",
    "<",
    "[",
    "]",
    "(",
    ")",
    "{",
    "level",
    "1",
    "é",
    "\u{1f680}",
    "\ud83d",
    "\u3000",
    "\0",
    "//",
  ];
  for (let round = 0; round < 3000; round += 1) {
    const text = random.text(parts, 14);
    const { terms: read, problem } = parseQuery(text);
    ok(problem === "" || problem === "Not a valid pattern", text);
    ok(
      read.every(({ kind, negated }) => kind !== "" && typeof negated === "boolean"),
      text,
    );
  }
  for (const part of parts) {
    parseQuery(part.repeat(100000));
  }
});
