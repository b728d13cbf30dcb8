// Each rule that finds a level, by its name; and text that is not a level.

import { readLine } from "../../twisted_sse/daemon/page/line/line.js";
import { FAILURES, RULES } from "../../twisted_sse/daemon/page/line/severity.js";
import { PLACES } from "../../twisted_sse/daemon/page/line/words.js";
import { ARRIVED } from "./checking.js";
import { equal, test } from "./testing.js";

function levelOfLine(text, type = "message") {
  return readLine(text, { arrived: ARRIVED, type }).level;
}

// Lines for each rule, and their levels.
const BY_RULE = {
  "before the time": {
    "<34>Nov 29 01:33:13 web-1 su: denied": "fatal",
    "<191>1 2026-11-29T01:33:13Z web-1 su - - - x": "debug",
    "<192>Nov 29 01:33:13 web-1 su: x": "",
    "E1129 02:25:25.123 7 a.go:1] x": "error",
    "I1129 02:25:25.123 7 a.go:1] x": "info",
    "F261129 02:25:25.123 7 a.go:1] x": "fatal",
    "DEBUG [main] 2026-11-29 02:25:25,232 x": "debug",
    "[warn] 2026-11-29 02:25:25 x": "warn",
    "warn 2026-11-29 02:25:25 x": "",
    "W, [2026-11-29T02:25:25.1 #7]  WARN -- : x": "warn",
    "[E 2026-11-29 02:25:25.123 App] x": "error",
  },
  Redis: {
    "7:M 29 Nov 2026 02:25:25.123 . x": "debug",
    "7:M 29 Nov 2026 02:25:25.123 - x": "debug",
    "7:M 29 Nov 2026 02:25:25.123 * x": "info",
    "7:S 29 Nov 2026 02:25:25.123 # x": "warn",
  },
  "letter after the time": {
    "2026-11-29T02:25:25Z D x": "debug",
    "2026-11-29T02:25:25Z E x": "error",
    "2026-11-29T02:25:25Z F x": "fatal",
    "2026-11-29T02:25:25Z I think so": "",
  },
  logcat: {
    "11-29 02:25:25.123  812  830 V Tag: x": "trace",
    "11-29 02:25:25.123  812  830 I Tag: x": "info",
    "11-29 02:25:25.123  812  830 E Tag: x": "error",
  },
  Twisted: {
    "[shop.web#warn] x": "warn",
    "2026-11-29T01:33:13+0000 [-#critical] x": "fatal",
  },
  PHP: {
    "PHP Fatal error:  Uncaught X": "fatal",
    "PHP Parse error:  x": "fatal",
    "PHP Warning:  x": "warn",
    "PHP Notice:  x": "info",
    "PHP Deprecated:  x": "info",
    "[29-Nov-2026 02:25:25 Europe/Berlin] PHP Warning:  x": "warn",
    "Deprecated: x": "",
  },
  "access log": {
    'a "GET / HTTP/1.1" 502 1': "error",
    'a "GET / HTTP/2" 404': "warn",
    'a "GET / HTTP/1.1" 200 1 "ERRORS"': "",
    'INFO: a "GET / HTTP/1.1" 200': "info",
    'INFO: a "GET / HTTP/1.1" 500': "error",
  },
  "short access log": {
    "GET /orders 500 in 45ms": "error",
    "POST /orders 404 12 ms": "warn",
    "GET /orders in 503": "error",
    "GET /orders 200 in 45ms": "",
  },
  HAProxy: {
    "h[7]: a:1 [x] web app/a1 0/0/1/12/13 503 1 - - ---- 1/1/0/0/0 0/0": "error",
    "h[7]: a:1 [x] web app/a1 0/0/1/12/+13 404 1 - - ---- 1/1/0/0/0 0/0": "warn",
  },
  GIN: {
    "[GIN] 2026/11/29 - 02:25:25 | 502 |  1ms": "error",
    "[GIN] 2026/11/29 - 02:25:25 | 404 |  1ms": "warn",
    "[GIN] 2026/11/29 - 02:25:25 | 200 |  1ms": "",
  },
  failure: {
    "TypeError: x": "error",
    "java.net.SocketException: x": "error",
    "a.rb:1:in 'f': x (ZeroDivisionError)": "error",
    "Nov 29 02:25:25 web-1 python3[7]: Traceback (most recent call last):": "error",
    "Nov 29 02:25:25 web-1 java[7]: java.lang.IllegalStateException: x": "error",
    "Error handling is documented": "",
    "an Exception is raised": "",
  },
  logfmt: {
    'level=info msg="an ERROR"': "info",
    'msg="level=error" lvl=warn': "warn",
    "severity=critical x=1": "fatal",
    "at=error code=H10": "error",
    "at=noon level=2 severity=none": "",
  },
  "letter first": {
    "E: x": "error",
    "W: x": "warn",
    "W/Tag(  812): x": "warn",
    "I (812) boot: x": "info",
    "E! x": "error",
    "I: x": "",
  },
  warning: {
    "a.py:12: DeprecationWarning: x": "warn",
    "(node:812) [DEP0040] DeprecationWarning: x": "warn",
    "(node:812) Warning: x": "warn",
  },
  "cut JSON": {
    '{"level":"warn","msg":"cut': "warn",
    '  "level": "error",': "error",
    'received {"level":"error"} from a': "",
  },
  word: { "INFO x": "info" },
  "event type": {},
};

const BY_PLACE = {
  start: {
    "error: x": "error",
    "WARNING:root:x": "warn",
    "Error - x": "error",
    "warning | x": "warn",
    "error[E0425]: x": "error",
    "web-1 sshd[812]: error: x": "error",
    "queries: info: x": "info",
    "a: b: c: warning: x": "warn",
    "[api] error: x": "error",
    "debug1: x": "debug",
    "WARN+1: x": "",
    "Fine: 12 EUR": "",
    "FINE: x": "debug",
  },
  column: { "info\tx": "info", "warn  x": "warn", "warn x": "" },
  bars: { "0|api | info: x": "info", "a|Warn|b": "warn" },
  "square brackets": {
    "x [error] y": "error",
    "[error    ] x": "error",
    "[mpm_event:notice] x": "info",
    "##[warning]x": "warn",
    "[note] x": "info",
    "[log] x": "info",
    "[when needed] x": "",
    "list[Failure] x": "",
    "Callable[[Failure], x]": "",
  },
  "angle and round brackets": {
    "x <Error> y": "error",
    "x (warning) y": "warn",
    "(error budget) x": "",
    "x (note) y": "",
    "onError(error)": "",
    "List<Error> x": "",
  },
  capitals: {
    "shop ERROR x": "error",
    "shop|WARN|x": "warn",
    "FATAL!": "fatal",
    "LOG: x": "info",
    "ERROR_COUNT=0": "",
    "DEBUG=1 make": "",
    "/ERROR x": "",
  },
  thread: { "[Server thread/WARN]: x": "warn", "[Render thread/ERROR] x": "error" },
  process: { "WARNING/ForkPoolWorker-2] x": "warn" },
  channel: { "production.ERROR: x": "error", "doctrine.DEBUG: x": "debug" },
  "npm, CMake": {
    "npm ERR! x": "error",
    "npm warn x": "warn",
    "npm notice x": "info",
    "CMake Error at x": "error",
    "CMake Warning (dev) at x": "warn",
  },
  "place in a file": {
    "a.c:1:2: error: x": "error",
    "a.py:12: warning: x": "warn",
    "src/a.ts(12,5): error TS2322: x": "error",
    "C:\\a.cs(3): error CS1: x": "error",
    "src/a.ts:12:5 - error TS2322: x": "error",
    "  1:2  warning  x": "warn",
    "a.go:1:2: Error return value": "",
  },
  facility: { "kern  :warn  : x": "warn", "user  :notice: x": "info" },
  "workflow command": { "::error file=a::x": "error", "::notice::x": "info" },
};

const FAILURE_LINES = {
  Python: ["Traceback (most recent call last):", "  + Exception Group Traceback (most recent"],
  Java: ['Exception in thread "main" x'],
  Go: ["panic: x", "http: panic serving a", "fatal error: all goroutines are asleep"],
  Rust: ["thread 'main' panicked at a.rs:1:2:", "thread 'main' (7) panicked at a.rs:1:2:"],
  "Node.js, .NET": [
    "Unhandled exception. System.X",
    "Unhandled promise rejection",
    "[UnhandledPromiseRejection: x",
  ],
  Elixir: ["** (MatchError) x"],
  make: ["make: *** x", "make[2]: *** x", "gmake: *** x"],
  "a class": ["ValueError: x", "shop.SyncError: x", "Uncaught TypeError: x"],
};

for (const [table, examples] of [
  [RULES, BY_RULE],
  [PLACES, BY_PLACE],
]) {
  for (const { name } of table) {
    test(`the rule "${name}" finds the levels of its lines`, () => {
      for (const [text, level] of Object.entries(examples[name])) {
        equal(levelOfLine(text), level, text);
      }
    });
  }
}

for (const { name } of FAILURES) {
  test(`the report of ${name} about an uncaught error is an error`, () => {
    for (const text of FAILURE_LINES[name]) {
      equal(levelOfLine(text), "error", text);
    }
  });
}

test("an event has the level that its type names, unless its text says another", () => {
  equal(levelOfLine("x", "error"), "error");
  equal(levelOfLine("INFO x", "error"), "info");
  equal(levelOfLine("x", "order"), "");
});

test("words in other places are not levels", () => {
  for (const text of [
    "no error here, 0 errors",
    "/var/log/error.log",
    "GET /ERROR HTTP/1.1",
    "Error handling is documented",
    "DEBUG=1 make",
    "PASS tests/error_test.py",
    "ERROR_COUNT=0",
    "Fine: 12 EUR",
    "Log: /var/log/x",
    "trace: 4bf92f3577b34da6a3ce929d0e0e4736",
    "Verbose: false",
    'Uploaded "a.pdf" 512 bytes',
    '{"status":"ERROR"}',
    "",
    " ",
  ]) {
    equal(levelOfLine(text), "", text);
  }
});

test("a level in the message does not override the one at its beginning", () => {
  equal(levelOfLine('INFO: a "GET / HTTP/1.1" 200 OK'), "info");
  equal(levelOfLine("2026-11-29 02:25:25 INFO the ERROR counter was reset"), "info");
});
