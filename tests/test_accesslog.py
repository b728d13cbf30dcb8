"""
Tests for L{twisted_sse.accesslog}: a line when a stream opens, and one when it closes.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.interfaces import IReactorCore
from twisted.logger import LogLevel, capturedLogs
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import Error
from zope.interface import alsoProvides

from tests.support.documents import blocks, table
from twisted_sse import CloseReason, EventStream, EventStreamResource, accesslog
from twisted_sse.accesslog import CACHED, LONGEST, AccessLog, formatRequest
from twisted_sse.observe import Observer, Observers
from twisted_sse.testing import MemoryClient
from twisted_sse.timing import ticker

#: 22 November 2025, 20:15:01.25 UTC.
NOW = 1763842501.25

#: A line as log analysers parse it: like their patterns, this one is strict about quotes and does
#: not treat a backslash as an escape.
COMBINED = re.compile(
    r"(?P<host>[^ ]+) - (?P<user>[^/\[]+) \[(?P<time>[^ ]+ [^ ]+)\]"
    r' "(?P<method>[^ ]+) (?P<path>[^ ]+) [^"]+" (?P<status>\d+) (?P<size>\d+|-)'
    r' "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"(?P<more>.*)'
)

#: What a client may send to attack a log: quotes, a backslash, terminal control sequences, a tab,
#: and characters outside ASCII.
NASTY = '"] \\ \x1b[31m\t\x7fé\N{LINE SEPARATOR}'


class FullDisk(StringIO):
    """
    A file on a disk that is sometimes full.
    """

    full = False

    def write(self, text: str) -> int:
        """
        Write, if there is room.
        """
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


class AccessLogTestCase(SynchronousTestCase):
    """
    Has a log in memory.
    """

    format = "combined"

    def setUp(self) -> None:
        """
        Make the log.
        """
        self.file = FullDisk()
        self.log = self.newLog(self.file)
        self.stream: Any = None

    def newLog(self, file: Any) -> AccessLog:
        """
        Make a log whose time is always L{NOW}.
        """
        log = AccessLog(file, self.format)
        log._seconds = lambda: NOW
        return log

    def client(
        self, connected: Callable[[EventStream], object] = lambda stream: None, **options: Any
    ) -> MemoryClient:
        """
        Make a client of a resource.
        """

        def remember(stream: EventStream) -> object:
            self.stream = stream
            return connected(stream)

        options = {"name": "ticks", "observer": self.log, **options}
        client = MemoryClient(EventStreamResource(remember, **options))
        self.addCleanup(client.close)
        return client

    def lines(self) -> list[str]:
        """
        List the lines logged.
        """
        text = self.file.getvalue()
        self.assertTrue(text.isascii())
        self.assertTrue(text.endswith("\n") or not text)
        return text.split("\n")[:-1]


class CombinedTests(AccessLogTestCase):
    """
    Tests for the combined format.
    """

    def parsed(self, line: str) -> dict[str, str]:
        """
        Parse a line.
        """
        match = COMBINED.fullmatch(line)
        assert match is not None, line
        return match.groupdict()

    def test_lines(self) -> None:
        """
        A line is logged when the stream opens, and another when it closes.
        """
        client = self.client(lambda stream: stream.send("one") and stream.send("two") and None)
        headers = {"User-Agent": "curl/8.5.0", "Referer": "http://localhost/page"}
        browser = client.get("/events", headers, address="192.0.2.1")
        start = (
            '192.0.2.1 - - [22/Nov/2025:20:15:01 +0000] "GET /events HTTP/1.1" 200 {size}'
            ' "http://localhost/page" "curl/8.5.0" "ticks" '
        )
        self.assertEqual(self.lines(), [start.format(size="-") + "open"])
        client.clock.advance(12.3456)
        browser.disconnect()
        self.assertEqual(
            self.lines()[1:],
            [start.format(size=len(browser.body)) + "close reason=client seconds=12.346 events=2"],
        )

    def test_nothingSaid(self) -> None:
        """
        An unknown value is a hyphen.
        """
        self.client(name=None).request("GET", "/", version="HTTP/1.0")
        self.assertEqual(
            self.lines(),
            ['127.0.0.1 - - [22/Nov/2025:20:15:01 +0000] "GET / HTTP/1.0" 200 - "-" "-" "-" open'],
        )

    def test_nasty(self) -> None:
        """
        No client input can forge part of a line or control a terminal, and the escapes are
        unambiguous.
        """
        escaped = r"\x22] \x5C \x1B[31m\x09\x7F\xC3\xA9\xE2\x80\xA8"
        headers = {"User-Agent": NASTY, "Referer": NASTY}

        def say(stream: EventStream) -> None:
            # Some versions of Twisted refuse some of these characters, and all refuse a space.
            assert stream.request is not None
            stream.request.uri = f"/{NASTY.replace(' ', '')}".encode()

        self.client(say, name=NASTY).get(headers=headers).disconnect()
        for line, what in zip(self.lines(), ("open", "close"), strict=True):
            parts = self.parsed(line)
            self.assertEqual(parts["agent"], escaped)
            self.assertEqual(parts["referer"], escaped)
            self.assertEqual(parts["path"], "/" + escaped.replace(" ", ""))
            self.assertTrue(parts["more"].startswith(f' "{escaped}" {what}'), line)

    def test_user(self) -> None:
        """
        The user is that of Basic authentication, with separators escaped.
        """
        for user, logged in (
            ("ada", "ada"),
            ("", "-"),
            ("a b/[x]", r"a\x20b\x2F\x5Bx\x5D"),
            (NASTY, r"\x22\x5D\x20\x5C\x20\x1B\x5B31m\x09\x7F\xC3\xA9\xE2\x80\xA8"),
        ):
            password = b64encode(f"{user}:secret".encode()).decode()
            self.client().get(headers={"Authorization": f"Basic {password}"})
            parts = self.parsed(self.lines()[-1])
            self.assertEqual(parts["user"], logged)
        self.assertNotIn("secret", self.file.getvalue())

    def test_otherAuthorization(self) -> None:
        """
        Other kinds of authorization are not logged.
        """
        for authorization in ("Bearer dG9rZW46", "Basic", "Basic !", "Digest a b c"):
            self.client().get(headers={"Authorization": authorization})
            self.assertEqual(self.parsed(self.lines()[-1])["user"], "-")

    def test_usersOfApplications(self) -> None:
        """
        A user name that the application set on the request is logged, and any other value is not.
        """
        for user, logged in (("ada", "ada"), (b"bob", "bob"), (5, "-"), (None, "-")):

            def login(stream: EventStream, user: Any = user) -> None:
                request: Any = stream.request
                request.user = user

            self.client(login).get()
            self.assertEqual(self.parsed(self.lines()[-1])["user"], logged)

    def test_hosts(self) -> None:
        """
        The host is the address of the client, also behind a trusted proxy.
        """
        self.client().get(address="2001:db8::1")
        headers = {"X-Forwarded-For": "192.0.2.7"}
        self.client(trustedProxies=["127.0.0.1"]).get(headers=headers)
        hosts = [self.parsed(line)["host"] for line in self.lines()]
        self.assertEqual(hosts, ["2001:db8::1", "192.0.2.7"])

    def test_documented(self) -> None:
        """
        The documented lines have the format of the logged ones.
        """
        [block] = blocks("ref-metrics.md", "text")
        for line, what in zip(block.splitlines(), ("open", "close"), strict=True):
            self.assertIn(f' "news" {what}', self.parsed(line)["more"])
        self.client(lambda stream: stream.send("x") and None).get().disconnect()
        shown, written = (
            re.sub(r"\d+", "0", self.parsed(lines[1])["more"].replace("news", "ticks"))
            for lines in (block.splitlines(), self.lines())
        )
        self.assertEqual(shown, written)

    def test_bytes(self) -> None:
        """
        The size is that of the body as handed to the connection.
        """
        browser = self.client(lambda stream: iter(["x" * 10_000] * 3)).get()
        self.assertTrue(browser.complete)
        self.assertEqual(self.parsed(self.lines()[1])["size"], str(len(browser.body)))


class JSONTests(AccessLogTestCase):
    """
    Tests for the JSON format.
    """

    format = "json"

    def objects(self) -> list[dict[str, Any]]:
        """
        List the objects logged.
        """
        return [json.loads(line) for line in self.lines()]

    def test_lines(self) -> None:
        """
        An object is logged when the stream opens, and another when it closes.
        """
        client = self.client(lambda stream: stream.send("one") and None)
        authorization = f"Basic {b64encode(b'ada:secret').decode()}"
        headers = {"User-Agent": "curl/8.5.0", "Authorization": authorization}
        browser = client.get("/events", headers, address="192.0.2.1")
        opened = {
            "time": "2025-11-22T20:15:01.250+00:00",
            "stream": "open",
            "resource": "ticks",
            "address": "192.0.2.1",
            "user": "ada",
            "method": "GET",
            "path": "/events",
            "protocol": "HTTP/1.1",
            "status": 200,
            "referer": None,
            "agent": "curl/8.5.0",
        }
        self.assertEqual(self.objects(), [opened])
        client.clock.advance(12.3456)
        browser.disconnect()
        closed = {"stream": "close", "reason": "client", "seconds": 12.346, "events": 1}
        self.assertEqual(
            self.objects()[1], {**opened, **closed, "bytes": len(b":\nretry: 3000\ndata: one\n\n")}
        )

    def test_nothingSaid(self) -> None:
        """
        An unknown value is null.
        """
        self.client(name=None).get()
        [line] = self.objects()
        unknown = {key for key, value in line.items() if value is None}
        self.assertEqual(unknown, {"resource", "user", "referer", "agent"})

    def test_nasty(self) -> None:
        """
        What a client sends is decoded unchanged.
        """
        self.client(name=NASTY).get(headers={"User-Agent": NASTY})
        [line] = self.objects()
        self.assertEqual((line["agent"], line["resource"]), (NASTY, NASTY))

    def test_noText(self) -> None:
        """
        Bytes that are not UTF-8 are logged as escapes.
        """

        def say(stream: EventStream) -> None:
            assert stream.request is not None
            stream.request.requestHeaders.setRawHeaders(b"user-agent", [b"a\xff\xe9b"])

        self.client(say).get()
        self.assertEqual(self.objects()[0]["agent"], r"a\xff\xe9b")

    def test_documented(self) -> None:
        """
        The documentation lists all keys.
        """
        self.client().get().disconnect()
        keys = [row[0].strip("`") for row in table("ref-metrics.md", "### JSON")]
        self.assertEqual(keys, list(self.objects()[1]))


class StreamTests(AccessLogTestCase):
    """
    Tests for both formats.
    """

    def test_query(self) -> None:
        """
        Queries are not logged, neither the request's nor the referring page's.
        """
        headers = {"Referer": "http://localhost/page?token=secret#there"}
        self.client().get("/events?access_token=secret&lastEventID=7", headers).disconnect()
        for line in self.lines():
            self.assertIn('"GET /events HTTP/1.1"', line)
            self.assertIn('"http://localhost/page"', line)
        self.assertNotIn("secret", self.file.getvalue())
        self.assertNotIn("?", self.file.getvalue())

    def test_long(self) -> None:
        """
        Excessively long values are cut.
        """
        long = "x" * (LONGEST + 1)
        self.client().get("/" + long, {"User-Agent": long, "Referer": long}).disconnect()
        for line in self.lines():
            self.assertEqual(line.count("x" * LONGEST), 2)
            self.assertNotIn(long, line)

    def test_slim(self) -> None:
        """
        For a slim stream the headers are logged both when it opens and when it closes.
        """
        headers = {"User-Agent": "curl/8.5.0", "Referer": "http://localhost/page"}
        self.client(slim=True).get("/events", headers).disconnect()
        self.assertEqual(len(self.lines()), 2)
        for line in self.lines():
            self.assertIn('"GET /events HTTP/1.1" 200 ', line)
            self.assertIn('"http://localhost/page" "curl/8.5.0"', line)

    def test_reasons(self) -> None:
        """
        The logged reason is that of the stream.
        """
        for act, reason in (
            (lambda browser: browser.disconnect(), CloseReason.CLIENT),
            (lambda browser: self.stream.end(), CloseReason.ENDED),
            (lambda browser: self.stream.abort(), CloseReason.ENDED),
        ):
            client = self.client()
            act(client.get())
            client.clock.advance(1)
            self.assertIn(f" close reason={reason.value} ", self.lines()[-1])

    def test_limit(self) -> None:
        """
        A stream beyond the limit is logged, too.
        """
        client = self.client(maxStreams=1)
        client.get()
        client.get(address="192.0.2.2")
        opened, *refused = self.lines()
        self.assertEqual([line.split()[0] for line in refused], ["192.0.2.2"] * 2)
        self.assertIn(" close reason=limit ", refused[1])
        self.assertTrue(opened.endswith(" open"))

    def test_neverOpened(self) -> None:
        """
        A request that gets no stream is not logged here, because Twisted logs it.
        """

        def refuse(stream: EventStream) -> None:
            raise Error(403)

        client = self.client(refuse)
        self.assertEqual(client.get().status, 403)
        self.assertEqual(self.lines(), [])

    def test_many(self) -> None:
        """
        Each line is about its own stream.
        """
        client = self.client(lambda stream: stream.send("x") and None)
        first = client.get("/first", {"User-Agent": "a"})
        client.clock.advance(5)
        second = client.get("/second", {"User-Agent": "b"})
        second.disconnect()
        client.clock.advance(5)
        first.disconnect()
        told = [
            re.findall(r"/(\w+) .* \"(\w)\" .*?(open|seconds=\S+)", line) for line in self.lines()
        ]
        self.assertEqual(
            told,
            [
                [("first", "a", "open")],
                [("second", "b", "open")],
                [("second", "b", "seconds=0.000")],
                [("first", "a", "seconds=10.000")],
            ],
        )

    def test_nothingIsKept(self) -> None:
        """
        A closed stream is forgotten.
        """
        browser = self.client().get(headers={"User-Agent": "curl"})
        self.assertEqual(list(self.log._entries), [self.stream])
        browser.disconnect()
        self.assertEqual(self.log._entries, {})

    def test_littleIsKept(self) -> None:
        """
        Equal values from many clients are stored once, and the cache is limited.
        """
        client = self.client()
        for _ in range(2):
            client.get(headers={"User-Agent": "the same"})
        first, second = self.log._entries.values()
        self.assertIs(first.agent, second.agent)
        for number in range(2 * CACHED):
            client.get(headers={"User-Agent": str(number)}).disconnect()
        self.assertLessEqual(self.log._text.cache_info().currsize, CACHED)

    def test_endedByAnother(self) -> None:
        """
        A stream that another observer ends when it opens is not remembered.
        """

        class Ender(Observer):
            def opened(self, stream: EventStream) -> None:
                stream.abort()

        self.client(observer=Observers(Ender(), self.log)).get()
        self.assertTrue(self.stream.closed)
        self.assertEqual(self.lines(), [])
        self.assertEqual(self.log._entries, {})

    def test_steadyClock(self) -> None:
        """
        The duration is measured with the monotonic clock when the stream's clock is a reactor's.
        """
        client = self.client()
        alsoProvides(client.clock, IReactorCore)
        now = [5.0]
        self.patch(ticker, "time", SimpleNamespace(monotonic=lambda: now[-1]))
        browser = client.get()
        now.append(7.5)
        client.clock.advance(1000)
        browser.disconnect()
        self.assertIn(" seconds=2.500 ", self.lines()[1])

    def test_wallClock(self) -> None:
        """
        The time of a line is wall-clock time, whatever the stream's clock.
        """
        self.patch(accesslog, "time", SimpleNamespace(time=lambda: NOW))
        self.client(observer=AccessLog(self.file)).get()
        self.assertIn("[22/Nov/2025:20:15:01 +0000]", self.lines()[0])


class FileTests(AccessLogTestCase):
    """
    Tests for the file that the log is written to.
    """

    def directory(self) -> Path:
        """
        Make a temporary directory.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        return Path(temporary.name)

    def test_fullDisk(self) -> None:
        """
        A line that cannot be written does not affect streams and is reported once, and the next
        line is tried.
        """
        client = self.client(lambda stream: stream.every(1, lambda: "tick"))
        self.file.full = True
        with capturedLogs() as logged:
            browsers = [client.get() for _ in range(3)]
            client.clock.advance(2)
            self.assertEqual([len(browser.events) for browser in browsers], [2, 2, 2])
            self.assertEqual(self.log.linesFailed, 3)
            browsers[0].disconnect()
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
            self.file.full = False
            browsers[1].disconnect()
            browsers[2].disconnect()
        self.assertEqual(len(self.lines()), 2)
        self.assertEqual(self.log.linesFailed, 4)
        [again] = [event for event in logged if event["log_level"] is LogLevel.info]
        self.assertEqual(again["missing"], 4)
        # The next failure is reported again.
        self.file.full = True
        client.get()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_closedFile(self) -> None:
        """
        A closed file does not affect streams, and is reported once.
        """
        self.file.close()
        browser = self.client(lambda stream: stream.send("x") and None).get()
        self.assertEqual([event.data for event in browser.events], ["x"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_flush(self) -> None:
        """
        Each line is flushed immediately.
        """
        path = self.directory() / "access.log"
        with open(path, "a", encoding="ascii") as file:
            browser = self.client(observer=self.newLog(file)).get()
            self.assertTrue(path.read_text("ascii").endswith(" open\n"))
            browser.disconnect()

    def test_onlyWrite(self) -> None:
        """
        The file needs only a C{write} method.
        """
        lines: list[str] = []
        self.client(observer=self.newLog(SimpleNamespace(write=lines.append))).get()
        self.assertEqual([line.split()[-1] for line in lines], ["open"])
        self.assertTrue(lines[0].endswith("\n"))

    def test_rotation(self) -> None:
        """
        Twisted's L{LogFile} rotates between two lines.
        """
        directory = self.directory()
        file = LogFile("access.log", str(directory), rotateLength=300)
        self.addCleanup(file.close)
        client = self.client(observer=self.newLog(file))
        for _ in range(5):
            client.get().disconnect()
        paths = sorted(directory.iterdir())
        self.assertGreater(len(paths), 2)
        lines = [line for path in paths for line in path.read_text("ascii").splitlines(True)]
        self.assertEqual(len(lines), 10)
        for line in lines:
            self.assertIsNotNone(COMBINED.fullmatch(line.rstrip("\n")))

    def test_reopen(self) -> None:
        """
        A log file that was renamed can be reopened.
        """
        directory = self.directory()
        file = LogFile("access.log", str(directory), rotateLength=None)
        self.addCleanup(file.close)
        browser = self.client(observer=self.newLog(file)).get()
        (directory / "access.log").rename(directory / "old.log")
        file.reopen()
        browser.disconnect()
        self.assertTrue((directory / "old.log").read_text("ascii").endswith(" open\n"))
        self.assertIn(" close ", (directory / "access.log").read_text("ascii"))

    def test_arguments(self) -> None:
        """
        A binary file, something that is not a file, and an unknown format are refused with an error
        that names them.
        """
        for bad in (BytesIO(), "access.log", None):
            error = self.assertRaises(TypeError, AccessLog, bad)
            self.assertEqual(str(error), f"file is {bad!r}: it must be a text file")
        error = self.assertRaises(ValueError, AccessLog, StringIO(), "common")
        self.assertEqual(str(error), 'format is \'common\': it must be "combined" or "json"')


class RequestTests(SynchronousTestCase):
    """
    Tests for L{formatRequest}, for the log of a site.
    """

    def line(self, **fields: Any) -> str:
        """
        @return: the line of a request with these attributes.
        """
        headers = fields.pop("headers", {})
        request = SimpleNamespace(
            **{
                "method": b"GET",
                "uri": b"/events?token=a",
                "clientproto": b"HTTP/1.1",
                "code": 200,
                "sentLength": 17,
                "getClientAddress": lambda: SimpleNamespace(host="192.0.2.1"),
                "getHeader": headers.get,
                **fields,
            }
        )
        self.patch(accesslog, "time", SimpleNamespace(time=lambda: NOW))
        return formatRequest("late", cast(Any, request))

    def test_line(self) -> None:
        """
        A line has Twisted's format, with the time of day and without queries.
        """
        headers = {b"referer": b"http://a/b?token=c", b"user-agent": b"curl"}
        self.assertEqual(
            self.line(headers=headers),
            '"192.0.2.1" - - [22/Nov/2025:20:15:01 +0000] "GET /events HTTP/1.1" 200 17'
            ' "http://a/b" "curl"',
        )
        self.assertEqual(
            self.line(sentLength=0, getClientAddress=lambda: None),
            '"-" - - [22/Nov/2025:20:15:01 +0000] "GET /events HTTP/1.1" 200 - "-" "-"',
        )

    def test_nasty(self) -> None:
        """
        A line is printable ASCII, and its quotes cannot be closed, whatever a client sends.
        """
        nasty = NASTY.encode()
        line = self.line(uri=nasty, method=nasty, headers={b"referer": nasty, b"user-agent": nasty})
        self.assertTrue(line.isascii() and line.isprintable())
        self.assertEqual(line.count('"'), 8)
