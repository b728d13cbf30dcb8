import { readLine } from "../../twisted_sse/daemon/page/line/line.js";
import {
  LEVEL_RULES,
  readRecord,
  showColumn,
  showRecord,
  toJSON,
} from "../../twisted_sse/daemon/page/line/record.js";
import { ARRIVED } from "./checking.js";
import { equal, ok, test } from "./testing.js";

function read(object) {
  return readRecord(typeof object === "string" ? object : JSON.stringify(object), ARRIVED);
}

function show(object, without = []) {
  return showRecord(read(object).record, new Set(without)).text;
}

const BY_RULE = {
  "name or number": [
    [{ level: "warning" }, "warn"],
    [{ LEVEL: "Error" }, "error"],
    [{ "log.level": "INFO" }, "info"],
    [{ log_level: "debug" }, "debug"],
    [{ SeverityText: "FATAL" }, "fatal"],
    [{ "@l": "Verbose" }, "trace"],
    [{ level: 10 }, "trace"],
    [{ level: 35 }, "info"],
    [{ level: 60 }, "fatal"],
    [{ level: 3 }, ""],
    [{ level: 3, short_message: "x" }, "error"],
    [{ level: {}, lvl: "warn" }, "warn"],
  ],
  nested: [
    [{ log: { level: "warn" } }, "warn"],
    [{ log: { level: {} } }, ""],
  ],
  PRIORITY: [
    [{ PRIORITY: "3" }, "error"],
    [{ PRIORITY: 6 }, "info"],
    [{ PRIORITY: "9" }, ""],
  ],
  severityNumber: [
    [{ severityNumber: 1 }, "trace"],
    [{ severityNumber: 13 }, "warn"],
    [{ severityNumber: 24 }, "fatal"],
    [{ severityNumber: 25 }, ""],
  ],
  MongoDB: [
    [{ t: {}, s: "W", msg: "x" }, "warn"],
    [{ t: {}, s: "D2", msg: "x" }, "debug"],
    [{ s: "W" }, ""],
  ],
  CLEF: [[{ "@t": "2026-11-29T02:25:25Z", "@mt": "x" }, "info"]],
  status: [
    [{ status: 503, method: "GET" }, "error"],
    [{ status: 404, uri: "/" }, "warn"],
    [{ status: 200, path: "/" }, ""],
    [{ status: 500 }, ""],
    [{ status: "ERROR", path: "/" }, ""],
  ],
};

for (const { name } of LEVEL_RULES) {
  test(`the rule "${name}" finds the levels of its objects`, () => {
    for (const [object, level] of BY_RULE[name]) {
      equal(read(object).level, level, JSON.stringify(object));
    }
  });
}

test("the time is under any of its keys, in any of its forms", () => {
  const at = Date.UTC(2026, 10, 29, 2, 25, 25);
  for (const object of [
    { ts: at / 1000 },
    { TIME: at },
    { "@timestamp": "2026-11-29T02:25:25Z" },
    { timestamp: String(at) },
    { t: { $date: "2026-11-29T02:25:25Z" } },
    { t: { $date: { $numberLong: String(at) } } },
    { instant: { epochSecond: at / 1000, nanoOfSecond: 0 } },
    { timestamp: { seconds: at / 1000, nanos: 0 } },
    { timeUnixNano: `${at}000000` },
    { time_millis: at },
    { __REALTIME_TIMESTAMP: `${at}000` },
    { time: "12:30", ts: at },
  ]) {
    equal(read(object).time.at, at, JSON.stringify(object));
  }
});

test("an invalid time is ignored", () => {
  for (const time of ["12:30:00", 12, -1, 1e300, null, true, [], {}, { seconds: {} }, "", "x"]) {
    equal(read({ time }).time, null, JSON.stringify(time));
  }
  equal(read('{"time":{"seconds":{"toString":1,"valueOf":1}}}').time, null);
  equal(read('{"time":{"$date":{"$date":{"$date":1795919125}}}}').time, null);
});

test("a record is shown as its message and then pairs, without its level and its time", () => {
  equal(
    show({ level: "info", ts: 1795919125, a: 1, msg: "it is", b: "x", c: "x y", d: "", e: "a=b" }),
    'it is  a=1 b=x c="x y" d="" e="a=b"',
  );
  equal(show({ msg: "x", a: [1, 2], b: {}, c: null, d: true }), "x  a=[2] b={…} c=null d=true");
  equal(show({ a: 1, b: 2 }), "a=1 b=2");
  equal(show({ msg: "x", a: 1, b: 2 }, ["a"]), "x  b=2");
});

test("values that did not become the level or the time are shown", () => {
  equal(show({ level: 2, time: "12:30", msg: "x" }), "x  level=2 time=12:30");
});

test("the message is under any of its keys", () => {
  for (const key of ["msg", "Message", "event", "text", "short_message", "Body", "@m", "@mt"]) {
    equal(show({ a: 1, [key]: "x" }), "x  a=1", key);
  }
  equal(show({ fields: { message: "x" } }), "x  fields={…}");
  equal(show({ msg: { code: 1 } }), '{"code":1}');
  equal(show({ body: { stringValue: "x" } }), "x");
});

test("only the beginning of a large record is shown", () => {
  const wide = show(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, 1])));
  ok(wide.endsWith(" k13=1 …"), wide);
  equal(show({ a: "x".repeat(300) }), `a=${"x".repeat(200)}…`);
});

test("the parts are the message, the keys and the values", () => {
  const { text, parts } = showRecord(read({ msg: "x", a: 1, b: "y" }).record, new Set());
  equal(
    parts.map(({ start, end, role, key }) => [text.slice(start, end), role, key]),
    [
      ["x", "other", "msg"],
      ["a=", "key", "a"],
      ["1", "number", "a"],
      ["b=", "key", "b"],
      ["y", "string", "b"],
    ],
  );
});

test("lines wrapped by Docker are unwrapped", () => {
  const time = "2026-11-29T02:25:25.5Z";
  const json = read({ log: '{"level":"warn","msg":"x"}\n', stream: "stdout", time });
  equal([json.level, json.record.msg, json.time.at], ["warn", "x", Date.parse(time)]);
  const text = JSON.stringify({ log: "2026-11-29T02:25:24Z ERROR x\n", stream: "stderr", time });
  const line = readLine(text, { arrived: ARRIVED, type: "message" });
  equal([line.level, line.time.at], ["error", Date.parse("2026-11-29T02:25:24Z")]);
  equal(showRecord(line.record, new Set()).text, "2026-11-29T02:25:24Z ERROR x  stream=stderr");
});

test("JSON that is not an object, too long, or invalid, is text", () => {
  for (const text of ["{", "{]", '{"a":1} x', `{"a":"${"x".repeat(100_000)}"}`]) {
    equal(read(text), null, text.slice(0, 20));
  }
});

test("hostile keys and depths do no harm", () => {
  const hostile = '{"__proto__":{"level":"error"},"constructor":1,"toString":2,"hasOwnProperty":3}';
  equal(read(hostile).level, "");
  equal(show(hostile), "__proto__={…} constructor=1 toString=2 hasOwnProperty=3");
  equal({}.level, undefined);
  const deep = `{"msg":${'{"a":'.repeat(15_000)}1${"}".repeat(15_001)}`;
  const record = read(deep)?.record;
  ok(record === undefined || showRecord(record, new Set()).text.startsWith("{"));
});

test("a column has the value, shortened if long, or its kind", () => {
  const record = read(
    `{"s":"a b","n":1.5,"b":false,"z":null,"l":[1,2],"o":{"a":1},"long":"${"x".repeat(300)}"}`,
  ).record;
  const column = (key) => showColumn(record, key);
  equal(column("s"), { text: "a b", role: "string" });
  equal(column("n"), { text: "1.5", role: "number" });
  equal(column("b"), { text: "false", role: "number" });
  equal(["z", "l", "o"].map((key) => column(key).text), ["null", "[2]", "{…}"]);
  equal(column("long").text, `${"x".repeat(200)}…`);
  equal(["toString", "__proto__"].map((key) => column(key).text), ["", ""]);
});

test("values that are nested deeper than the stack are shown", () => {
  const { record } = read(`{"a":${"[".repeat(40_000)}${"]".repeat(40_000)}}`);
  equal(showColumn(record, "a").text, "[1]");
  ok(toJSON(record.a).length > 0, "the text");
});
