"""
Tests for L{twisted_sse.cli}: the parts of the command that need no socket and no process.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import shlex
import signal
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import twisted.internet
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from tests.support.commands import ErrorMixin, FakeReactor, Selected
from tests.support.documents import blocks, table, tables
from tests.support.python import EXTRAS, LATE, run
from twisted_sse import MessageEvent, release
from twisted_sse.cli import get, main, options
from twisted_sse.cli.options import parse
from twisted_sse.cli.output import OUTPUTS, CannotPrint, Output, asData, asJSON, asText
from twisted_sse.cli.status import Status, say, statusFor, tellTrying
from twisted_sse.client import (
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    EventSourceError,
    EventTooLarge,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)

URL = "http://localhost/"

#: Characters that control a terminal, except the line feed and the tab.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

texts = st.text(st.characters(exclude_categories=["Cs"]))
#: Parsed events contain no CR, and only their data may contain LF.
lines = texts.map(lambda text: re.sub("[\r\n]", "", text))
events = st.builds(
    MessageEvent, lines, texts.map(lambda text: text.replace("\r", "")), lines.filter("\0".__ne__)
)


class Terminal(SynchronousTestCase):
    """
    Sets up the environment of a terminal and a fixed time.
    """

    def setUp(self) -> None:
        """
        Replace the environment and the time.
        """
        self.environment = {"TERM": "xterm"}
        self.patch(os, "environ", self.environment)
        self.patch(time, "strftime", lambda form: "12:30:00")


class OutputTests(Terminal):
    """
    Tests for how an event is printed.
    """

    def test_text(self) -> None:
        """
        Text output has a line with the time, the type and the ID, if any, and the data below.
        """
        event = MessageEvent("order", "one\ntwo", "17")
        self.assertEqual(asText(event, False), "12:30:00  order  id 17\n    one\n    two")
        event = MessageEvent("message", "", "")
        self.assertEqual(asText(event, False), "12:30:00  message\n    ")

    def test_colours(self) -> None:
        """
        Text output is coloured on a terminal, unless C{NO_COLOR} is set or the terminal is dumb.
        """
        event = MessageEvent("order", "one", "17")
        plain = asText(event, False)
        coloured = asText(event, True)
        self.assertIn("\x1b[36morder\x1b[0m", coloured)
        self.assertEqual(re.sub("\x1b\\[[0-9;]*m", "", coloured), plain)
        self.environment["NO_COLOR"] = "1"
        self.assertEqual(asText(event, True), plain)
        # https://no-color.org: when present and not an empty string.
        self.environment["NO_COLOR"] = ""
        self.assertEqual(asText(event, True), coloured)
        self.environment["TERM"] = "dumb"
        self.assertEqual(asText(event, True), plain)

    def test_json(self) -> None:
        """
        JSON output is one object on one line, with letters unescaped.
        """
        event = MessageEvent("order", '"Grüße"\n日本', "17")
        self.assertEqual(
            asJSON(event, False),
            '{"type": "order", "data": "\\"Grüße\\"\\n日本", "lastEventID": "17"}',
        )

    def test_data(self) -> None:
        """
        Data output is the event's data and nothing else.
        """
        self.assertEqual(
            asData(MessageEvent("order", "one\n\x1b[2Jtwo", "17"), False), "one\n\x1b[2Jtwo"
        )

    def test_escaped(self) -> None:
        """
        Characters that would control a terminal or reverse the text are escaped.
        """
        evil = "\x1b[2J\x07\x9b1m\u202etxt\x7f"
        safe = "\\u001b[2J\\u0007\\u009b1m\\u202etxt\\u007f"
        event = MessageEvent(evil, f"{evil}\n\ta", evil)
        self.assertEqual(asText(event, False), f"12:30:00  {safe}  id {safe}\n    {safe}\n    \ta")
        self.assertEqual(asData(event, True), f"{safe}\n\ta")
        self.assertIn(f'"type": "{safe}", "data": "{safe}\\n\\ta"', asJSON(event, True))

    @given(events)
    def test_anything(self, event: MessageEvent) -> None:
        """
        For any event, no control character reaches a terminal, each line of data is one line, and
        JSON is one line that decodes to the event.
        """
        for form in asText, asData, asJSON:
            with mock.patch.dict(self.environment, NO_COLOR="1"):
                self.assertIsNone(ACTIVE.search(form(event, True)))
        self.assertEqual(asText(event, False).count("\n"), event.data.count("\n") + 1)
        self.assertEqual(asData(event, True).count("\n"), event.data.count("\n"))
        line = asJSON(event, False)
        self.assertNotIn("\n", line)
        fields = {"type": event.type, "data": event.data, "lastEventID": event.lastEventID}
        self.assertEqual(json.loads(line), fields)


class ParseTests(ErrorMixin):
    """
    Tests for the command line of C{get}.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def file(self, content: bytes) -> str:
        """
        @return: the path of a file with this content.
        """
        path = self.directory / "file"
        path.write_bytes(content)
        return str(path)

    def refused(self, *arguments: str) -> str:
        """
        @return: the error message for a bad command line.
        """
        exit = self.assertRaises(SystemExit, parse, ["get", *arguments])
        self.assertEqual(exit.code, 2)
        line = self.told()
        prefix, colon, message = line.partition("twisted-sse get: ")
        self.assertEqual((prefix, colon), ("", "twisted-sse get: "))
        return message

    def test_defaults(self) -> None:
        """
        With only a URL the request is a GET, and every event is printed as text.
        """
        options = vars(parse(["get", URL]))
        self.assertEqual(options.pop("url"), URL)
        self.assertEqual((options.pop("method"), options.pop("output")), ("GET", "text"))
        self.assertEqual({name for name, value in options.items() if value}, set())

    def test_request(self) -> None:
        """
        Headers, method and body are used as given, and with a body the default method is POST.
        """
        options = parse(["get", "-H", "X-Name: Jürgen: x ", "-H", "Empty:", "-d", "h\udcff", URL])
        self.assertEqual(options.header, [(b"X-Name", "Jürgen: x".encode()), (b"Empty", b"")])
        self.assertEqual((options.method, options.body), ("POST", b"h\xff"))
        options = parse(["get", "--data=", "--method=put", URL])
        self.assertEqual((options.method, options.body), ("PUT", b""))

    def test_bodyOfFile(self) -> None:
        """
        The body may be read from a file.
        """
        options = parse(["get", "-d", f"@{self.file(b'a' + bytes(range(256)))}", URL])
        self.assertEqual(options.body, b"a" + bytes(range(256)))

    def test_bodyOfInput(self) -> None:
        """
        The body may be read from standard input, which stays open.
        """
        before = os.dup(0)
        self.addCleanup(os.close, before)
        self.addCleanup(os.dup2, before, 0)
        with open(self.file(b"body")) as file:
            os.dup2(file.fileno(), 0)
        self.assertEqual(parse(["get", "-d", "@-", URL]).body, b"body")
        os.fstat(0)

    def test_withoutTLS(self) -> None:
        """
        Without TLS installed, C{--cacert} is not checked here: the client reports the missing
        extra.
        """
        with mock.patch.dict(sys.modules, {"OpenSSL": None, "OpenSSL.crypto": None}):
            options = parse(["get", "--cacert", self.file(b""), URL])
        self.assertIsNone(options.policy)

    def test_refused(self) -> None:
        """
        A wrong argument prints one line that names the option, and the exit status is 2.
        """
        noFile = str(self.directory / "none")
        junk = self.file(b"-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n")
        empty = str(self.directory / "empty")
        Path(empty).touch()
        for option, arguments in (
            ("URL", []),
            ("URL", ["localhost:8080"]),
            ("URL", ["ftp://localhost/"]),
            ("URL", ["http://"]),
            ("URL", ["http://localhost:port/"]),
            ("URL", ["http://[::1/"]),
            ("URL", ["http://localhost/\udcff"]),
            ("-H/--header", [URL, "-H", "no colon"]),
            ("-H/--header", [URL, "-H", ": no name"]),
            ("-H/--header", [URL, "-H", "no name: at all"]),
            ("-H/--header", [URL, "-H", "X: a\r\nY: b"]),
            ("-X/--method", [URL, "-X", "GET /"]),
            ("-d/--data", [URL, "-d", f"@{noFile}"]),
            ("-d/--data", [URL, "-d", f"@{self.directory}"]),
            ("--last-event-id", [URL, "--last-event-id", "a\nb"]),
            ("--last-event-id", [URL, "--last-event-id", "\udcff"]),
            ("-n/--count", [URL, "-n", "0"]),
            ("-n/--count", [URL, "--count", "many"]),
            ("-n/--count", [URL, "--count=-1"]),
            ("-o/--output", [URL, "-o", "xml"]),
            ("--timeout", [URL, "--timeout", "soon"]),
            ("--timeout", [URL, "--timeout", "0"]),
            ("--timeout", [URL, "--timeout", "nan"]),
            ("--timeout", [URL, "--timeout", "inf"]),
            ("--max-tries", [URL, "--max-tries", "0"]),
            ("--cacert", [URL, "--cacert", noFile]),
            ("--cacert", [URL, "--cacert", empty]),
            ("--cacert", [URL, "--cacert", junk]),
            ("--insecure", [URL, "--insecure", "--cacert", junk]),
        ):
            self.assertIn(option, self.refused(*arguments), arguments)

    def test_noScheme(self) -> None:
        """
        A URL that only lacks its scheme is suggested with one.
        """
        for url in "localhost:8080", "localhost:8080/events?a=b", "example.com", "[::1]:8080/":
            self.assertIn(f"did you mean http://{url}?", self.refused(url))
        for url in ":8080", "/events", "ftp://localhost/", "http:/localhost", "a b":
            self.assertNotIn("did you mean", self.refused(url))

    def test_unknown(self) -> None:
        """
        An unknown or abbreviated option, or an unknown command, prints one line, and the exit
        status is 2.
        """
        for arguments in (["get", URL, "--cou", "1"], ["get", URL, "\x1b[2J"], ["fetch"], []):
            exit = self.assertRaises(SystemExit, parse, arguments)
            self.assertEqual(exit.code, 2)
            line = self.told()
            self.assertTrue(line.startswith("twisted-sse: "), line)
            self.assertIsNone(ACTIVE.search(line))


class ImportTests(SynchronousTestCase):
    """
    Tests for the cost of importing the command.
    """

    def test_light(self) -> None:
        """
        Importing the command imports no reactor and no extras, and needs none.
        """
        for missing in [], EXTRAS:
            result = run(
                "-c",
                f"import sys; sys.modules |= dict.fromkeys({missing}); import twisted_sse.cli;"
                f" print([name for name in {LATE} if sys.modules.get(name)])",
            )
            self.assertEqual((result.stdout.strip(), result.stderr), ("[]", ""))

    def test_interrupted(self) -> None:
        """
        A signal during the imports of a command ends it immediately and silently, for every
        command.
        """
        for number, status in (signal.SIGINT, 130), (signal.SIGTERM, 143):
            for module in "argparse", "twisted.internet.defer", "twisted_sse.cli.commands":
                for command in "get", "serve":
                    result = run("-c", INTERRUPTED.format(module, int(number), command))
                    self.assertEqual(
                        (result.returncode, result.stdout, result.stderr), (status, "", "")
                    )


class StatusTests(SynchronousTestCase):
    """
    Tests for the exit statuses.
    """

    def test_errors(self) -> None:
        """
        Each error has an exit status, and giving up after retries uses that of the last error.
        """
        statuses: dict[Exception, Status] = {
            StreamBroken("x"): Status.FAILED,
            ConnectionRefusedError(): Status.FAILED,
            DNSLookupError(): Status.FAILED,
            EventSourceError("x"): Status.FAILED,
            BadStatus(404, "Not Found", Headers()): Status.NO_STREAM,
            BadContentType("text/html"): Status.NO_STREAM,
            BadRedirect("x"): Status.NO_STREAM,
            EventTooLarge(1, []): Status.NO_STREAM,
            BadCertificate("x"): Status.CERTIFICATE,
            ReadTimeout("x"): Status.TIMEOUT,
        }
        for error, status in statuses.items():
            self.assertEqual(statusFor(error), status)
            self.assertEqual(statusFor(GaveUp(2, error)), status)


class DescriptorTests(SynchronousTestCase):
    """
    Tests for the output's descriptor.
    """

    def setUp(self) -> None:
        """
        Make a pipe.
        """
        self.closed: list[None] = []
        self.reactor = Selected()
        self.reader, self.writer = os.pipe()
        # The output must check for room before each write: otherwise this write fails.
        os.set_blocking(self.writer, False)
        self.addCleanup(os.close, self.writer)
        self.addCleanup(self.close)

    def output(self, fd: int | None = None) -> Output:
        """
        Make the output under test.
        """
        fd = self.writer if fd is None else fd
        return Output(self.reactor, fd, lambda: self.closed.append(None))

    def write(self, output: Output, text: str) -> Deferred[None]:
        """
        Start a write.
        """
        return Deferred.fromCoroutine(output.write(text))

    def close(self) -> None:
        """
        Close the reading end.
        """
        if self.reader != -1:
            os.close(self.reader)
            self.reader = -1

    def test_atOnce(self) -> None:
        """
        Text for which there is room is written immediately.
        """
        output = self.output()
        self.successResultOf(self.write(output, "Grüße\n"))
        self.assertEqual(os.read(self.reader, 100), "Grüße\n".encode())
        self.assertEqual(self.reactor.writers, set())

    def test_slowly(self) -> None:
        """
        Without room, writing continues when there is some, and never blocks.
        """
        output = self.output()
        text = "0123456789" * 20_000
        writing = self.write(output, text)
        came = b""
        while not writing.called:
            self.assertEqual(self.reactor.writers, {output})
            came += os.read(self.reader, 10_000)
            output.doWrite()
        self.successResultOf(writing)
        self.assertEqual(self.reactor.writers, set())
        came += os.read(self.reader, 2**20)
        self.assertEqual(came, text.encode())

    def test_watched(self) -> None:
        """
        A pipe is watched for its reader to close, until the output is stopped.
        """
        output = self.output()
        output.start()
        self.assertEqual(self.reactor.readers, {output})
        self.assertEqual((output.fileno(), output.logPrefix()), (self.writer, "stdout"))
        lost = output.doRead()
        self.assertIsInstance(lost, Exception)
        self.assertEqual(self.closed, [])
        output.connectionLost(Failure(lost))
        self.assertEqual(self.closed, [None])
        output.stop()
        self.assertEqual(self.reactor.readers, set())

    def test_notWatched(self) -> None:
        """
        A descriptor that may have input, such as a terminal, is not watched.
        """
        first, second = os.openpty()
        self.addCleanup(os.close, first)
        self.addCleanup(os.close, second)
        fifo = os.path.join(self.mktemp())
        os.mkfifo(fifo)
        both = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, both)
        for fd in second, both:
            self.output(fd).start()
        self.assertEqual(self.reactor.readers, set())

    def test_gone(self) -> None:
        """
        When the reader closes, writes fail, including a waiting one.
        """
        output = self.output()
        writing = self.write(output, "x" * 2**20)
        self.assertNoResult(writing)
        self.close()
        output.connectionLost(Failure(output.doRead()))
        failure = self.failureResultOf(writing, CannotPrint)
        self.assertIsInstance(failure.value.__cause__, BrokenPipeError)
        failure = self.failureResultOf(self.write(output, "x"), CannotPrint)
        self.assertIsInstance(failure.value.__cause__, BrokenPipeError)

    def test_withoutPoll(self) -> None:
        """
        Without C{poll}, output is not watched but still written.
        """
        self.patch(select, "poll", None)
        output = self.output()
        output.start()
        self.assertEqual(self.reactor.readers, set())
        self.successResultOf(self.write(output, "x" * 10_000))
        self.assertEqual(os.read(self.reader, 20_000), b"x" * 10_000)


#: Sends itself a signal when it imports a module.
INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "{}":
            os.kill(os.getpid(), {})

signal.signal(signal.SIGINT, signal.default_int_handler)
from twisted_sse.cli import main
sys.modules.pop("argparse", None)
sys.meta_path.insert(0, Interrupting())
main(["{}", "http://127.0.0.1:1/"])
"""


class MainTests(ErrorMixin):
    """
    Tests for the whole command, without a stream.
    """

    def setUp(self) -> None:
        """
        Replace the reactor, the signal handlers and standard output.
        """
        super().setUp()
        self.reactor = FakeReactor()
        patched = mock.patch.object(twisted.internet, "reactor", self.reactor, create=True)
        patched.start()
        self.addCleanup(patched.stop)
        self.handlers: dict[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: None}
        self.patch(signal, "getsignal", self.handlers.get)
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.stdout = io.StringIO()
        self.stdout.fileno = lambda: 17  # type: ignore[method-assign]
        self.patch(sys, "stdout", self.stdout)

    def following(self, result: Status | Exception) -> list[Any]:
        """
        Replace C{follow}.

        @return: a list of the arguments of each call.
        """
        calls: list[Any] = []

        async def follow(*arguments: object) -> Status:
            calls.append(arguments)
            if isinstance(result, Exception):
                raise result
            return result

        self.patch(get, "follow", follow)
        return calls

    def test_get(self) -> None:
        """
        C{get} follows a stream on a reactor without signal handlers, and returns the exit status.
        """
        calls = self.following(Status.NO_STREAM)
        self.assertEqual(main(["get", URL]), 3)
        ((options, reactor, fd),) = calls
        self.assertEqual((options.url, reactor, fd), (URL, self.reactor, 17))
        self.assertEqual(self.reactor.ran, [{"installSignalHandlers": False}])
        self.assertTrue(self.reactor.stopped)

    def test_ourMistake(self) -> None:
        """
        An unexpected exception is raised.
        """
        self.following(ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, main, ["get", URL])
        self.assertTrue(self.reactor.stopped)

    def test_signals(self) -> None:
        """
        SIGINT and SIGTERM end the process immediately, with the statuses that shells use for them.
        """
        self.following(Status.ENDED)
        main(["get", URL])
        exits: list[int] = []
        self.patch(os, "_exit", exits.append)
        for number in signal.SIGINT, signal.SIGTERM:
            self.handlers[number](number, None)
        self.assertEqual(exits, [130, 143])

    def test_ignoredSignals(self) -> None:
        """
        An ignored signal stays ignored.
        """
        self.handlers[signal.SIGINT] = signal.SIG_IGN
        self.following(Status.ENDED)
        main(["get", URL])
        self.assertEqual(self.handlers[signal.SIGINT], signal.SIG_IGN)

    def test_noOutput(self) -> None:
        """
        Without a standard output the command fails and follows nothing.
        """
        calls = self.following(Status.ENDED)
        self.patch(sys, "stdout", None)
        self.assertEqual(main(["get", URL]), 1)
        self.assertEqual(self.told(), "twisted-sse: standard output is closed")
        self.assertEqual(calls, [])

    def test_noErrors(self) -> None:
        """
        A closed or unread standard error is ignored.
        """
        self.patch(sys, "stderr", None)
        say("something")
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as stderr:
            self.patch(sys, "stderr", stderr)
            say("something")
            self.assertRaises(BrokenPipeError, stderr.close)

    def test_say(self) -> None:
        """
        A message is one line, whatever its text.
        """
        say("this\n\x1b[2Jand\tthat.")
        self.assertEqual(self.told(), "twisted-sse: this \\u001b[2Jand that")

    def help(self, *arguments: str) -> str:
        """
        @return: the output of an option that only prints something.
        """
        self.patch(os, "environ", {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"})
        exit = self.assertRaises(SystemExit, main, list(arguments))
        self.assertEqual(exit.code, 0)
        return self.stdout.getvalue()

    def test_version(self) -> None:
        """
        C{--version} prints the version, or a message that the package is not installed.
        """
        self.patch(release, "version", lambda name: f"1.2.3 of {name}")
        self.assertEqual(self.help("--version"), "twisted-sse 1.2.3 of twisted-sse\n")

        def version(name: str) -> str:
            raise PackageNotFoundError(name)

        self.patch(release, "version", version)
        self.assertIn("twisted-sse (not installed)\n", self.help("--version"))

    def test_help(self) -> None:
        """
        C{--help} lists the commands, and C{get --help} the exit statuses.
        """
        said = self.help("--help")
        self.assertRegex(said, r"(?m)^ +get +\w[^\n]*\n +publish +\w[^\n]*\n +serve +\w")
        said = self.help("get", "--help")
        listed = re.findall(r"(?m)^  (\d+) ", said.partition("exit status:")[2])
        self.assertEqual(listed, [*(str(int(each)) for each in Status), "130", "143"])

    def test_documentedOptions(self) -> None:
        """
        The documentation of the command lists exactly the options that C{get --help} shows.
        """
        said = self.help("get", "--help").partition("options:")[2].partition("exit status:")[0]
        options = set(re.findall(r"(?<![\w-])--?[a-z-]+(?=[\s,])", said, re.IGNORECASE))
        documented = {
            name
            for cell, *_ in tables("ref-get.md", "## Options")
            for name in re.findall(r"`(--?[\w-]+)`", cell)
        }
        self.assertEqual(documented, options - {"-h", "--help"})


class PageTests(Terminal, ErrorMixin):
    """
    Tests for the rest of the command's documentation.
    """

    def setUp(self) -> None:
        """
        Read the example sessions.
        """
        Terminal.setUp(self)
        ErrorMixin.setUp(self)
        pages = "ref-get.md", "howto-client.md"
        self.sessions = "".join("".join(blocks(page, "console")) for page in pages)

    def test_statuses(self) -> None:
        """
        The documented exit statuses are the actual ones.
        """
        rows = table("ref-get.md", "## Exit status")
        self.assertEqual(
            [row[0] for row in rows], [*(str(int(each)) for each in Status), "130", "143"]
        )

    def test_outputs(self) -> None:
        """
        The documented kinds of output are the actual ones.
        """
        rows = table("ref-get.md", "## Output formats")
        self.assertEqual([row[0].strip("`") for row in rows], list(OUTPUTS))

    def test_printed(self) -> None:
        """
        The documented output is the actual one.
        """
        event = MessageEvent("message", "hello", "1")
        for form in asText, asJSON, asData:
            printed = re.escape(form(event, False)).replace("12:30:00", r"\d\d:\d\d:\d\d")
            self.assertRegex(self.sessions, f"(?m)^{printed}$")

    def test_told(self) -> None:
        """
        The documented error messages are the actual ones.
        """
        command, *told = re.findall(r"(?m)^\$ (.* many .*)\n(.*)$", self.sessions)[0]
        self.assertRaises(SystemExit, parse, shlex.split(command)[1:])
        self.assertEqual([self.told()], told)
        tellTrying(ConnectionRefusedError(111, "Connection refused"))
        self.assertIn(f"\n{self.told()}\n", self.sessions)
        # There are no other messages.
        self.assertEqual(len(re.findall("(?m)^twisted-sse", self.sessions)), 2)

    def test_commands(self) -> None:
        """
        Each documented C{get} command is valid.
        """
        self.patch(options, "read", lambda name: b"{}")
        commands = re.findall(r"twisted-sse (get [^|\n]*)", self.sessions)
        self.assertEqual(len(commands), 11)
        for command in commands:
            if "many" not in command:
                parse(shlex.split(command))
