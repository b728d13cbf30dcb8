"""
Tests for C{publish} of L{twisted_sse.cli}, without sockets and processes.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import mock

import twisted.internet
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from tests.support.commands import ErrorMixin, FakeReactor, Selected
from tests.support.documents import table
from tests.support.memory_agent import MemoryAgent, MemoryRequest, MemoryResponse
from twisted_sse.cli import input as inputs
from twisted_sse.cli import main, publish
from twisted_sse.cli.input import LONGEST_LINE, MOST_BYTES, MOST_LINES, CannotRead, Input
from twisted_sse.cli.options import parsePublish
from twisted_sse.cli.output import CannotPrint
from twisted_sse.cli.publish import ANSWER_TIMEOUT, publishAll
from twisted_sse.cli.status import Status
from twisted_sse.client import BadCertificate

URL = "http://localhost/"


def stored(*ids: str | None) -> MemoryResponse:
    """
    @return: the response of a server that has stored events.
    """
    return answer(200, {"ids": list(ids)})


def answer(status: int, value: object, **headers: str) -> MemoryResponse:
    """
    @return: a response in JSON.
    """
    fields = {name.replace("_", "-").encode(): each.encode() for name, each in headers.items()}
    response = MemoryResponse(status, fields, f"{json.dumps(value)}\n".encode(), True)
    response.length = len(json.dumps(value)) + 1
    return response


class Lines:
    """
    An input of prepared lines.
    """

    def __init__(self, *batches: list[bytes] | Exception) -> None:
        self.batches = list(batches)

    async def lines(self) -> list[bytes]:
        """
        See L{Input}.
        """
        lines = self.batches.pop(0) if self.batches else []
        if isinstance(lines, Exception):
            raise lines
        return lines


class Printer:
    """
    An output.
    """

    def __init__(self) -> None:
        self.text = ""
        self.error: OSError | None = None

    async def write(self, text: str) -> None:
        """
        See L{Output<twisted_sse.cli.output.Output>}.
        """
        if self.error is not None:
            raise CannotPrint(self.error.strerror) from self.error
        self.text += text


class PublishTests(ErrorMixin):
    """
    Tests for requests and their results.
    """

    def setUp(self) -> None:
        """
        Make a clock, and let each wait be as long as possible.
        """
        super().setUp()
        self.clock = Clock()
        self.printer = Printer()
        patched = mock.patch("random.random", return_value=0.0)
        patched.start()
        self.addCleanup(patched.stop)

    def begin(
        self, *arguments: str, answers: list[Any], lines: Lines | None = None
    ) -> Deferred[Status]:
        """
        Run the command.

        @param answers: the responses of the server.
        """
        self.agent = MemoryAgent(*answers)
        self.patch(publish, "EventStreamAgent", lambda reactor, policy: self.agent)
        options = parsePublish(["publish", URL, *arguments])
        source, output = cast(Any, lines or Lines()), cast(Any, self.printer)
        return Deferred.fromCoroutine(publishAll(options, self.clock, source, output))

    def run_(
        self, *arguments: str, answers: list[Any], lines: Lines | None = None
    ) -> tuple[Status, str]:
        """
        Run the command to its end.

        @return: the exit status, and the messages.
        """
        running = self.begin(*arguments, answers=answers, lines=lines)
        while not running.called:
            (call, *_) = self.clock.getDelayedCalls()
            self.clock.advance(call.getTime() - self.clock.seconds())
        told = self.stderr.getvalue()
        self.stderr.truncate(0)
        self.stderr.seek(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return self.successResultOf(running), told

    def sent(self) -> list[list[dict[str, Any]]]:
        """
        @return: the events of each request.
        """
        return [
            [json.loads(line) for line in (request.body or b"").split(b"\n")]
            for request in self.agent.requests
        ]

    def test_large(self) -> None:
        """
        However the lines are written, no request is larger than what a server takes, and none is
        larger than necessary.
        """
        for letter in ("\u20ac".encode(), b"\x1b", b"\xff"):
            lines = [letter * (300_000 // len(letter)) for _ in range(3)]
            answers = [
                lambda request: stored(*map(str, range(1 + request.body.count(b"\n"))))
                for _ in lines
            ]
            status, told = self.run_("-", answers=answers, lines=Lines(lines))
            self.assertEqual((status, told), (Status.ENDED, ""))
            for request in self.agent.requests:
                isOne = b"\n" not in request.body
                self.assertTrue(isOne or len(request.body) <= 2**20)
            sent = [
                json.loads(each) for one in self.agent.requests for each in one.body.split(b"\n")
            ]
            texts = [line.decode("utf-8", "replace") for line in lines]
            self.assertEqual([each["data"] for each in sent], texts)

    def test_data(self) -> None:
        """
        One event is sent as a batch of one, with the given fields, and its own key.
        """
        status, told = self.run_(
            "a\n\u20ac", "--event", "e", "--id", "7", "--topic", "t", "--topic", "u", "-v",
            "-H", "X-Name: x", answers=[stored("7")],
        )  # fmt: skip
        self.assertEqual((status, told, self.printer.text), (Status.ENDED, "", "7\n"))
        self.assertEqual(
            self.sent(), [[{"data": "a\n\u20ac", "event": "e", "id": "7", "topics": ["t", "u"]}]]
        )
        (request,) = self.agent.requests
        self.assertEqual((request.method, request.uri), (b"POST", URL))
        self.assertEqual(request.field(b"Content-Type"), b"application/x-ndjson")
        self.assertEqual(request.field(b"X-Name"), b"x")
        self.assertEqual(request.field(b"Authorization"), None)
        self.assertRegex(request.field(b"Idempotency-Key") or b"", rb"^[0-9a-f-]{36}$")

    def test_key(self) -> None:
        """
        A given key is sent, and without C{--verbose} nothing is printed.
        """
        status, told = self.run_("x", "--idempotency-key", "k", answers=[stored("1")])
        self.assertEqual((status, told, self.printer.text), (Status.ENDED, "", ""))
        self.assertEqual(self.agent.requests[0].field(b"Idempotency-Key"), b"k")

    def test_lines(self) -> None:
        """
        Lines that arrive together are published together, each batch with another key, and only
        after the previous one is stored.
        """
        lines = Lines([b"1", b"", b"\xff"], [b"4"])
        running = self.begin("-", "--verbose", "--topic", "t", answers=[None, None], lines=lines)
        self.assertEqual(len(self.agent.requests), 1)
        self.agent.requests[0].responding.callback(stored("a", "b", "c"))
        self.assertNoResult(running)
        self.agent.requests[1].responding.callback(stored(None))
        self.assertEqual(self.successResultOf(running), Status.ENDED)
        topics = {"topics": ["t"]}
        self.assertEqual(
            self.sent(),
            [[{"data": data, **topics} for data in ("1", "", "\ufffd")], [{"data": "4", **topics}]],
        )
        keys = {request.field(b"Idempotency-Key") for request in self.agent.requests}
        self.assertEqual(len(keys), 2)
        self.assertEqual(self.printer.text, "a\nb\nc\n\n")

    def test_noLines(self) -> None:
        """
        Without lines, nothing is published.
        """
        self.assertEqual(self.run_(answers=[]), (Status.ENDED, ""))
        self.assertEqual(self.agent.requests, [])

    def test_json(self) -> None:
        """
        JSON is sent unchanged; the first invalid line ends the command, after the lines before it.
        """
        self.assertEqual(self.run_("--json", "[1.10]", answers=[stored("1")]), (Status.ENDED, ""))
        self.assertEqual(self.sent(), [[{"data": "[1.10]"}]])
        for wrong, why in (
            (b"{", "Expecting"),
            (b"NaN", "NaN is not a number"),
            (b"", "Expecting"),
        ):
            lines = Lines([b"1"], [b'"2"', b" [3] ", wrong, b"5"])
            status, told = self.run_("--json", answers=[stored("1"), stored("2", "3")], lines=lines)
            self.assertEqual(status, Status.REFUSED)
            self.assertRegex(told, f"^twisted-sse: line 4 of the input is not JSON: {why}[^\n]*\n$")
            self.assertIn("; the 3 lines before are stored", told)
            self.assertEqual(self.sent(), [[{"data": "1"}], [{"data": '"2"'}, {"data": " [3] "}]])
        status, told = self.run_("--json", answers=[], lines=Lines([b"[" * 100_000]))
        self.assertEqual(status, Status.REFUSED)
        self.assertIn("line 1 of the input is not JSON: it is nested too deeply\n", told)

    def test_again(self) -> None:
        """
        Temporary failures are retried, with the same key, and reported.
        """
        lost = ResponseNeverReceived([Failure(ConnectionLost())])
        brokenOff = answer(200, {"ids": ["1"]})
        brokenOff.length += 1
        for failure, why in (
            (ConnectionRefusedError(), "refused"),
            (DNSLookupError(), "DNS lookup failed"),
            (lost, "the server closed the connection"),
            (brokenOffAfter(b'{"ids": ["'), "was cut off"),
            (answer(503, {"error": "the disk is full"}), "answered 503: the disk is full"),
            (answer(500, {"error": "x"}), "answered 500"),
            (answer(429, "x"), "answered 429"),
            (MemoryResponse(502, {}, b"<title>Bad Gateway</title>", True), "answered 502"),
        ):
            status, told = self.run_("x", answers=[failure, stored("1")])
            self.assertEqual(status, Status.ENDED, failure)
            self.assertIn(why, told)
            self.assertTrue(told.endswith("; retrying\n"), told)
            first, second = self.agent.requests
            self.assertEqual(first.body, second.body)
            self.assertEqual(first.field(b"Idempotency-Key"), second.field(b"Idempotency-Key"))

    def test_quiet(self) -> None:
        """
        With C{--quiet} they are not reported.
        """
        answers = [ConnectionRefusedError(), stored("1")]
        self.assertEqual(self.run_("x", "-q", answers=answers), (Status.ENDED, ""))

    def test_retryAfter(self) -> None:
        """
        The server determines when to retry.
        """
        running = self.begin(
            "x", answers=[answer(503, {"error": "x"}, retry_after="7"), stored("1")]
        )
        self.clock.advance(6.9)
        self.assertEqual(len(self.agent.requests), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(running), Status.ENDED)

    def test_noAnswer(self) -> None:
        """
        A request without a response is retried.
        """
        running = self.begin("x", answers=[None, stored("1")])
        self.clock.advance(ANSWER_TIMEOUT)
        self.assertTrue(self.agent.requests[0].isCancelled)
        self.assertIn("did not answer within 20 seconds; retrying", self.told())
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(running), Status.ENDED)

    def test_givesUp(self) -> None:
        """
        After C{--timeout} seconds the command gives up, with the status of the last failure.
        """
        for failure, expected in (
            (ConnectionRefusedError(), Status.FAILED),
            (None, Status.TIMEOUT),
            (lambda request: answer(503, {"error": "x"}), Status.REFUSED),
        ):
            started = self.clock.seconds()
            status, told = self.run_("x", "--timeout", "30", answers=[failure] * 100)
            self.assertEqual(status, expected)
            self.assertRegex(told.splitlines()[-1], "^twisted-sse: gave up after [0-9]+ failures")
            self.assertTrue(20 < self.clock.seconds() - started <= 30)

    def test_refused(self) -> None:
        """
        Refused requests are not retried; the server's message is reported.
        """
        for response, why in (
            (answer(401, {"error": "publishing needs a token"}), "401: publishing needs a token"),
            (answer(422, {"error": "another key"}), "the server answered 422: another key"),
            (answer(404, ["x"]), '404 Phrase: ["x"]'),
            (answer(307, "x"), "307"),
            (MemoryResponse(405, {}, b"<html><title>No POST</title>", True), "405 Phrase: No POST"),
            (MemoryResponse(200, {}, b"ok\n", True), "this URL does not accept events"),
            (answer(200, {"id": "1"}), "this URL does not accept events"),
            (answer(200, {"ids": []}), "this URL does not accept events"),
            (answer(200, {"ids": ["1", "2"]}), "this URL does not accept events"),
            (MemoryResponse(204, {}, b"", True), "204"),
        ):
            status, told = self.run_("x", answers=[response])
            self.assertEqual(status, Status.REFUSED, why)
            self.assertTrue(told.startswith("twisted-sse: "), told)
            self.assertIn(why, told)
            self.assertEqual(told.count("\n"), 1)

    def test_storedBefore(self) -> None:
        """
        The amount of input that was stored before is reported.
        """
        for count, said in (
            (1, "; the line before is stored\n"),
            (2, "; the 2 lines before are stored\n"),
        ):
            lines = Lines([b"x"] * count, [b"y"])
            answers = [stored(*map(str, range(count))), answer(413, {"error": "too large"})]
            status, told = self.run_(answers=answers, lines=lines)
            self.assertEqual(status, Status.REFUSED)
            self.assertTrue(told.endswith(f"413: too large{said}"), told)

    def test_certificate(self) -> None:
        """
        After a bad certificate there is no retry, and the remedy is reported.
        """
        status, told = self.run_("x", answers=[BadCertificate("it is expired")])
        self.assertEqual(status, Status.CERTIFICATE)
        self.assertIn("it is expired; --cacert FILE", told)

    def test_token(self) -> None:
        """
        A token is sent as a bearer token, and a user in the URL by Basic authentication.
        """
        self.run_("x", "--token", "abc", "-H", "Authorization: x", answers=[stored("1")])
        self.assertEqual(self.agent.requests[0].field(b"Authorization"), b"Bearer abc")
        self.patch(sys.modules[__name__], "URL", "http://a:b@localhost/")
        self.run_("x", answers=[stored("1")])
        self.assertEqual(self.agent.requests[0].field(b"Authorization"), b"Basic YTpi")
        self.assertEqual(self.agent.requests[0].uri, "http://localhost/")

    def test_cannotRead(self) -> None:
        """
        An input that cannot be read ends the command.
        """
        lines = Lines([b"1"], CannotRead("Input/output error"))
        status, told = self.run_(answers=[stored("1")], lines=lines)
        self.assertEqual(status, Status.REFUSED)
        self.assertEqual(
            told,
            "twisted-sse: standard input: Input/output error; the line before is stored\n",
        )

    def test_cannotPrint(self) -> None:
        """
        If the IDs are not read, the rest is published without; if they cannot be written, the
        command ends.
        """
        self.printer.error = BrokenPipeError()
        lines = Lines([b"1"], [b"2"])
        answers = [stored("1"), stored("2")]
        self.assertEqual(self.run_("-v", answers=answers, lines=lines), (Status.ENDED, ""))
        self.assertEqual(len(self.agent.requests), 2)
        self.printer.error = OSError(28, "No space left on device")
        lines = Lines([b"1"], [b"2"])
        status, told = self.run_("-v", answers=[stored("1")], lines=lines)
        self.assertEqual((status, len(self.agent.requests)), (Status.FAILED, 1))
        self.assertIn("standard output: No space left on device; the line before is stored", told)

    def test_ourMistake(self) -> None:
        """
        Any other error is raised.
        """

        def fail(request: MemoryRequest) -> Any:
            raise ZeroDivisionError

        self.failureResultOf(self.begin("x", answers=[fail]), ZeroDivisionError)


def brokenOffAfter(body: bytes) -> MemoryResponse:
    """
    @return: a response whose body is not complete.
    """
    response = MemoryResponse(200, {}, body, ConnectionLost())
    response.length = len(body) + 10
    return response


class ParseTests(ErrorMixin):
    """
    Tests for the command line.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def refused(self, *arguments: str) -> str:
        """
        @return: the error message for a bad command line.
        """
        exit = self.assertRaises(SystemExit, parsePublish, ["publish", *arguments])
        self.assertEqual(exit.code, 2)
        line = self.told()
        self.assertTrue(line.startswith("twisted-sse publish: "), line)
        return line

    def test_input(self) -> None:
        """
        C{-} stands for standard input, and so does a missing C{DATA}; an empty C{DATA} is an event.
        """
        self.assertEqual(parsePublish(["publish", URL]).data, None)
        self.assertEqual(parsePublish(["publish", URL, "-"]).data, None)
        self.assertEqual(parsePublish(["publish", URL, ""]).data, "")

    def test_token(self) -> None:
        """
        A token may be in a file, with a line end.
        """
        path = self.directory / "token"
        path.write_text("s3cr.et==\n")
        for given in ("s3cr.et==", f"@{path}", f"file:{path}"):
            options = parsePublish(["publish", "--token", given, URL])
            self.assertEqual(options.token, b"s3cr.et==")

    def test_refused(self) -> None:
        """
        A wrong argument prints one line that names it, and never a token.
        """
        (self.directory / "empty").write_text(" \n")
        (self.directory / "two").write_text("secret secret")
        for name, arguments in (
            ("URL", []),
            ("URL", ["localhost:8080"]),
            ("--id", [URL, "--id", "7"]),
            ("--id", [URL, "-", "--id", "7"]),
            ("--idempotency-key", [URL, "--idempotency-key", "k"]),
            ("--idempotency-key", [URL, "x", "--idempotency-key", ""]),
            ("--idempotency-key", [URL, "x", "--idempotency-key", "\u20ac"]),
            ("--idempotency-key", [URL, "x", "--idempotency-key", "k" * 256]),
            ("--id", [URL, "x", "--id", ""]),
            ("--id", [URL, "x", "--id", "a\nb"]),
            ("--id", [URL, "x", "--id", "a\0b"]),
            ("--event", [URL, "x", "--event", ""]),
            ("--event", [URL, "--event", "a\nb"]),
            ("--topic", [URL, "x", "--topic", "a", "--topic", ""]),
            ("--topic", [URL, "x", "--topic", "\udcff"]),
            ("DATA", [URL, "\udcff"]),
            ("DATA", [URL, "--json", "{"]),
            ("DATA", [URL, "--json", "Infinity"]),
            ("--token", [URL, "x", "--token", ""]),
            ("--token", [URL, "x", "--token", "secret secret"]),
            ("--token", [URL, "x", "--token", f"@{self.directory}/none"]),
            ("--token", [URL, "x", "--token", f"@{self.directory}/empty"]),
            ("--token", [URL, "x", "--token", f"file:{self.directory}/two"]),
            ("--token", ["http://a@localhost/", "x", "--token", "secret"]),
            ("--timeout", [URL, "x", "--timeout", "0"]),
            ("--cacert", [URL, "x", "--cacert", f"{self.directory}/none"]),
        ):
            line = self.refused(*arguments)
            self.assertIn(name, line)
            self.assertNotIn("secret", line)


class InputTests(SynchronousTestCase):
    """
    Tests for reading lines.
    """

    def setUp(self) -> None:
        """
        Make a pipe, and a directory.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.reactor = Selected()
        reader, self.writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(self.end)
        self.input = Input(self.reactor, reader)

    def end(self) -> None:
        """
        Close the writing end.
        """
        if self.writer != -1:
            os.close(self.writer)
            self.writer = -1

    def lines(self) -> Deferred[list[bytes]]:
        """
        Read lines.
        """
        return Deferred.fromCoroutine(self.input.lines())

    def test_together(self) -> None:
        """
        All available lines are read together, without their ends.
        """
        os.write(self.writer, b"1\n\n2\r\n3\r4\nst")
        self.assertEqual(self.successResultOf(self.lines()), [b"1", b"", b"2", b"3\r4"])
        os.write(self.writer, b"art\n")
        self.assertEqual(self.successResultOf(self.lines()), [b"start"])

    def test_end(self) -> None:
        """
        The last line may have no end; after it there are none.
        """
        os.write(self.writer, b"1\n2")
        self.end()
        self.assertEqual(self.successResultOf(self.lines()), [b"1"])
        self.assertEqual(self.successResultOf(self.lines()), [b"2"])
        for _ in range(2):
            self.assertEqual(self.successResultOf(self.lines()), [])

    def test_waits(self) -> None:
        """
        Without a whole line, reading waits for one, without blocking.
        """
        os.write(self.writer, b"a")
        lines = self.lines()
        self.assertNoResult(lines)
        self.assertEqual(self.reactor.readers, {self.input})
        os.write(self.writer, b"b")
        self.input.doRead()
        self.assertNoResult(lines)
        os.write(self.writer, b"\n")
        self.input.doRead()
        self.assertEqual(self.successResultOf(lines), [b"ab"])
        self.assertEqual(self.reactor.readers, set())
        lines = self.lines()
        self.end()
        self.input.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.successResultOf(lines), [])

    def test_bounded(self) -> None:
        """
        No more lines are read than can be published together, and none are lost.
        """
        path = self.directory / "lines"
        many = [b"%d" % number for number in range(3 * MOST_LINES)]
        large = [b"x" * 2**15] * 20
        path.write_bytes(b"\n".join([*many, *large]))
        with open(path, "rb") as file:
            self.input = Input(self.reactor, file.fileno())
            batches = list(iter(lambda: self.successResultOf(self.lines()), []))
        self.assertEqual([line for batch in batches for line in batch], [*many, *large])
        self.assertTrue(all(len(batch) <= MOST_LINES for batch in batches))
        self.assertTrue(all(sum(map(len, batch)) <= MOST_BYTES + inputs.CHUNK for batch in batches))
        self.assertEqual([len(batch) for batch in batches[:3]], [MOST_LINES] * 3)

    def test_longLine(self) -> None:
        """
        A line that is too long is an error, after the lines before it.
        """
        path = self.directory / "lines"
        path.write_bytes(b"1\n" + b"x" * (LONGEST_LINE + inputs.CHUNK + 1))
        with open(path, "rb") as file:
            self.input = Input(self.reactor, file.fileno())
            self.assertEqual(self.successResultOf(self.lines()), [b"1"])
            error = self.failureResultOf(self.lines(), CannotRead)
        self.assertIn("a line is longer than 1048576 bytes", str(error.value))

    def test_cannotRead(self) -> None:
        """
        A descriptor that cannot be read is an error; one without data is not.
        """
        directory = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, directory)
        self.input = Input(self.reactor, directory)
        error = self.failureResultOf(self.lines(), CannotRead)
        self.assertEqual(str(error.value), "Is a directory")

    def test_taken(self) -> None:
        """
        If another program reads the data first, reading waits again.
        """
        os.set_blocking(self.input.fileno(), False)
        lines = self.lines()
        self.input.doRead()
        self.assertNoResult(lines)
        os.write(self.writer, b"1\n")
        self.input.doRead()
        self.assertEqual(self.successResultOf(lines), [b"1"])
        self.assertEqual(self.input.logPrefix(), "stdin")


class MainTests(ErrorMixin):
    """
    Tests for the whole command.
    """

    def setUp(self) -> None:
        """
        Replace the reactor, the signal handlers and the standard files.
        """
        super().setUp()
        self.reactor = FakeReactor()
        patched = mock.patch.object(twisted.internet, "reactor", self.reactor, create=True)
        patched.start()
        self.addCleanup(patched.stop)
        self.patch(signal, "signal", lambda *_: None)
        self.stdout = io.StringIO()
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stdin", io.StringIO())
        self.calls: list[Any] = []

        async def publishAll(*arguments: object) -> Status:
            self.calls.append(arguments)
            return Status.REFUSED

        self.patch(publish, "publishAll", publishAll)

    def test_main(self) -> None:
        """
        C{publish} runs on a reactor, and returns the exit status.
        """
        self.assertEqual(main(["publish", URL, "x"]), 3)
        ((options, reactor, source, output),) = self.calls
        self.assertEqual((options.data, reactor), ("x", self.reactor))
        self.assertEqual((source.fileno(), output.fileno()), (0, 1))
        self.assertTrue(self.reactor.stopped)

    def test_noFiles(self) -> None:
        """
        Without standard input there are no lines, and without standard output no IDs can be
        printed; if unneeded, they may be missing.
        """
        self.patch(sys, "stdin", None)
        self.patch(sys, "stdout", None)
        self.assertEqual(main(["publish", URL]), 1)
        self.assertEqual(self.told(), "twisted-sse: standard input is closed")
        self.assertEqual(main(["publish", "-v", URL, "x"]), 1)
        self.assertEqual(self.told(), "twisted-sse: standard output is closed")
        self.assertEqual(self.calls, [])
        self.assertEqual(main(["publish", URL, "x"]), 3)

    def help(self) -> str:
        """
        @return: the output of C{--help}.
        """
        self.patch(os, "environ", {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"})
        self.assertRaises(SystemExit, main, ["publish", "--help"])
        return self.stdout.getvalue()

    def test_help(self) -> None:
        """
        C{--help} lists the exit statuses.
        """
        listed = re.findall(r"(?m)^  (\d+) ", self.help().partition("exit status:")[2])
        self.assertEqual(listed, [*(str(int(each)) for each in Status), "130", "143"])

    def test_documented(self) -> None:
        """
        The documentation lists exactly the existing options and exit statuses.
        """
        said = self.help().partition("options:")[2].partition("exit status:")[0]
        options = set(re.findall(r"(?<![\w-])--?[a-z-]+(?=[\s,])", said, re.IGNORECASE))
        documented = {
            name
            for cell, *_ in table("ref-publish.md", "### Options of publish")
            for name in re.findall(r"`(--?[\w-]+)`", cell)
        }
        self.assertEqual(documented, options - {"-h", "--help"})
        rows = table("ref-publish.md", "### Exit status of publish")
        self.assertEqual(
            [row[0] for row in rows], [*(str(int(each)) for each in Status), "130", "143"]
        )
