"""
Tests for C{get} of L{twisted_sse.cli}, on real sockets, as a function.
"""

from __future__ import annotations

import io
import json
import os
import select
import sys
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.certificates import serverContext
from tests.support.getting import ONE, SOON, TWO, Certified, quiet, silent
from tests.support.live import freePort, reactor, until
from tests.support.requirements import needs
from tests.support.scripted import ScriptedServer, answer, chunk, stream
from twisted_sse.cli.get import follow
from twisted_sse.cli.options import parse
from twisted_sse.cli.status import Status
from twisted_sse.stream.options import END


@implementer(IReadDescriptor)
class Reader:
    """
    Reads from a file descriptor.

    @ivar data: the bytes read.
    """

    def __init__(self, fd: int) -> None:
        self.data = bytearray()
        self.fd = fd
        reactor.addReader(self)

    def fileno(self) -> int:
        """
        See L{IReadDescriptor}.
        """
        return self.fd

    def logPrefix(self) -> str:
        """
        See L{IReadDescriptor}.
        """
        return "reader"

    def doRead(self) -> None:
        """
        Read the available bytes, or the end.
        """
        data = os.read(self.fd, 2**16)
        self.data += data
        if not data:
            reactor.removeReader(self)

    def connectionLost(self, reason: Failure) -> None:
        """
        Read the end.
        """
        self.doRead()

    def close(self) -> None:
        """
        Stop reading.
        """
        reactor.removeReader(self)
        if self.fd != -1:
            os.close(self.fd)
            self.fd = -1


@needs("network")
class FollowTests(Certified):
    """
    Tests for following a stream in this process.
    """

    def setUp(self) -> None:
        """
        Make a pipe, and replace standard error.
        """
        super().setUp()
        reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.writer)
        # The output must check for room before each write: otherwise this write fails.
        os.set_blocking(self.writer, False)
        self.reader = Reader(reader)
        self.addCleanup(self.reader.close)
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)

    def begin(self, server: ScriptedServer | str, *arguments: str) -> Deferred[Status]:
        """
        Start to follow a stream.
        """
        url = server if isinstance(server, str) else server.url
        options = parse(["get", "-o", "data", *arguments, url])
        following = Deferred.fromCoroutine(follow(options, reactor, self.writer))
        self.addCleanup(following.cancel)
        return following

    async def end(self, server: ScriptedServer | str, *arguments: str) -> tuple[Status, str]:
        """
        Follow a stream to its end.

        @return: the exit status, and the text on standard error.
        """
        status = await self.begin(server, *arguments)
        told = self.stderr.getvalue()
        self.stderr.seek(0)
        self.stderr.truncate()
        return status, told

    async def printed(self, text: str) -> None:
        """
        Wait until this text is printed.
        """
        await until(lambda: len(self.reader.data) >= len(text), text)
        self.assertEqual(self.reader.data.decode(), text)

    async def test_reconnects(self) -> None:
        """
        C{get} reconnects with its last event ID until a 204, and reports failures unless C{--quiet}
        is given.
        """
        for arguments in [], ["--quiet"]:
            self.reader.data.clear()
            server = ScriptedServer(
                self, stream(SOON + ONE), stream(TWO, end=False), answer("503 Busy"), stream(ONE)
            )
            with mock.patch("random.random", return_value=1):
                status, told = await self.end(server, *arguments)
            self.assertEqual(status, Status.ENDED)
            await self.printed("one\ntwo\none\n")
            sent = [request.headers.get("last-event-id") for request in server.requests]
            self.assertEqual(sent, [None, "1", "2", "2", "1"])
            if arguments:
                self.assertEqual(told, "")
            else:
                broken, busy = told.splitlines()
                self.assertRegex(broken, "^twisted-sse: the stream was cut off: .*; retrying$")
                self.assertRegex(busy, "^twisted-sse: the server answered 503 Busy; retrying$")

    async def test_request(self) -> None:
        """
        The request follows the options.
        """
        server = ScriptedServer(self, stream(ONE), stream(ONE))
        status, told = await self.end(
            server,
            "-H",
            "X-Name: ä",
            "-H",
            "X-Name:b",
            "-X",
            "put",
            "-d",
            "ö",
            "--last-event-id",
            "é",
        )
        (asked,) = server.requests
        self.assertEqual((status, told), (0, ""))
        self.assertEqual((asked.method, asked.body), ("PUT", "ö".encode()))
        names = [value for name, value in asked.fields if name.lower() == "x-name"]
        self.assertEqual([name.encode("latin-1").decode() for name in names], ["ä", "b"])
        self.assertEqual(asked.headers["last-event-id"].encode("latin-1").decode(), "é")
        self.assertEqual(asked.headers["accept"], "text/event-stream")

    async def test_types(self) -> None:
        """
        C{--type} selects which events are printed and counted.
        """
        server = ScriptedServer(self, stream(ONE, TWO, b"event: x\n" + ONE, ONE, TWO))
        status, _ = await self.end(server, "--type", "order", "--type", "x", "--count", "2")
        self.assertEqual(status, Status.ENDED)
        await self.printed("two\none\n")
        self.assertEqual(len(server.requests), 1)
        await until(lambda: not server.open, "no connection")

    async def test_finite(self) -> None:
        """
        The last event of a finite stream ends the command, is not printed, and no further request
        is made; another event of that type is printed like any other.
        """
        server = ScriptedServer(self, stream(ONE + TWO + END.encode() + b"data: late\n\n"))
        self.assertEqual(await self.end(server), (Status.ENDED, ""))
        await self.printed("one\ntwo\n")
        self.assertEqual(len(server.requests), 1)
        others = b"event: end\ndata: here\n\nevent: other\nid: end\ndata: there\n\n"
        server = ScriptedServer(self, stream(SOON + others))
        self.reader.data.clear()
        self.assertEqual(await self.end(server), (Status.ENDED, ""))
        await self.printed("here\nthere\n")
        self.assertEqual(len(server.requests), 2)

    async def test_position(self) -> None:
        """
        The event with the client's position is printed only on request.
        """
        position = b"event: stream-position\nid: 0\ndata: {}\n\n"
        for arguments, printed in ([], "one\n"), (["--type", "stream-position"], "{}\n"):
            server = ScriptedServer(self, stream(SOON + position + ONE))
            self.reader.data.clear()
            self.assertEqual(await self.end(server, *arguments), (Status.ENDED, ""))
            await self.printed(printed)

    async def test_schemes(self) -> None:
        """
        If the scheme of the URL or the certificate is wrong, the message suggests a remedy.
        """
        secure = ScriptedServer(self, context=serverContext())
        status, told = await self.end(
            secure.url.replace("https:", "http:"), "--no-reconnect", "--timeout", "20"
        )
        self.assertEqual(status, Status.FAILED)
        self.assertRegex(told, "^twisted-sse: .* perhaps it expects https://\n$")
        status, told = await self.end(secure)
        self.assertEqual(status, Status.CERTIFICATE)
        self.assertRegex(told, "^twisted-sse: .*certificate.* --cacert FILE .* --insecure .*\n$")

        def answered(connection: Any) -> None:
            connection.transport.write(answer("400 Bad Request"))
            connection.transport.loseConnection()

        class Plain(ScriptedServer):
            def buildProtocol(self, address: Any) -> Any:
                protocol: Any = super().buildProtocol(address)
                protocol.dataReceived = lambda data: answered(protocol)
                return protocol

        plain = Plain(self)
        status, told = await self.end(plain.url.replace("http:", "https:"), "--no-reconnect")
        self.assertEqual(status, Status.FAILED)
        self.assertRegex(told, "^twisted-sse: .* perhaps it expects http://\n$")

    async def test_page(self) -> None:
        """
        For a page that is not a stream, the title is reported.
        """
        page = b"<!DOCTYPE html>\n<html><head>\n<title>404\n Nothing</title><style>a {} </style>"
        for response in (
            answer("404 Not Found", body=page),
            answer("200 OK", "Content-Type: text/html", body=page),
        ):
            status, told = await self.end(ScriptedServer(self, response))
            self.assertEqual(status, Status.NO_STREAM)
            self.assertRegex(told, "^twisted-sse: [^<]*: 404 Nothing\n$")

    async def test_refusals(self) -> None:
        """
        A response that is not an event stream is reported, and sets the exit status.
        """
        large = stream(b"data: " + 2**20 * b"x", *(16 * [2**20 * b"x"]))
        for response, arguments, says in (
            (
                answer("404 Not Found", body=b"no\n\x1b[2Jway"),
                [],
                r"404 Not Found: no \\u001b\[2Jway",
            ),
            (answer("503 Busy"), ["--strict"], "503 Busy"),
            (answer("503 Busy"), ["--no-reconnect"], "503 Busy"),
            (answer("503 Busy"), ["--max-tries", "1"], "gave up after 1 failure; .* 503 Busy"),
            (answer("200 OK", "Content-Type: text/html"), [], "the response is text/html"),
            (answer("302 Found", "Location: ftp://x/"), [], "the server redirects to"),
            (large, [], "larger"),
        ):
            status, told = await self.end(ScriptedServer(self, response), *arguments)
            self.assertEqual(status, Status.NO_STREAM)
            self.assertRegex(told, f"^twisted-sse: .*{says}.*\n$")

    async def test_failures(self) -> None:
        """
        A failed or broken connection is reported, and sets the exit status.
        """
        nobody = f"http://127.0.0.1:{freePort()}/"
        for server, arguments, says in (
            (nobody, ["--no-reconnect"], "Connection was refused"),
            (nobody, ["--max-tries", "1"], "gave up after 1 failure; .*Connection was refused"),
            ("http://nosuch.invalid/", ["--no-reconnect"], "DNS lookup failed"),
            (ScriptedServer(self, stream(ONE, end=False)), ["-d", ""], "cut off"),
            (
                ScriptedServer(self, b"HTTP/1.1 200"),
                ["--no-reconnect"],
                "no valid response was received",
            ),
        ):
            status, told = await self.end(server, *arguments)
            self.assertEqual(status, Status.FAILED)
            self.assertRegex(told, f"^twisted-sse: .*{says}.*\n$")

    async def test_timeout(self) -> None:
        """
        A timeout is reported, and sets the exit status.
        """
        for step in silent, quiet:
            server = ScriptedServer(self, step)
            status, told = await self.end(server, "--timeout", "0.1", "--no-reconnect")
            self.assertEqual(status, Status.TIMEOUT)
            self.assertRegex(told, "^twisted-sse: .* 0.1 seconds\n$")

    async def test_reconnectsPost(self) -> None:
        """
        A POST reconnects with C{--reconnect}.
        """
        server = ScriptedServer(self, stream(SOON + ONE), stream(TWO))
        status, _ = await self.end(server, "--reconnect", "-d", "body")
        self.assertEqual(status, Status.ENDED)
        self.assertEqual([asked.body for asked in server.requests], 3 * [b"body"])

    async def test_certificates(self) -> None:
        """
        An untrusted certificate is refused unless C{--cacert} or C{--insecure} is given, and one
        for another name is accepted only with the latter.
        """
        context = serverContext()
        other = serverContext("other.example")
        for theirs, arguments, expected in (
            (context, [], Status.CERTIFICATE),
            (context, ["--cacert", self.certificate(context)], Status.ENDED),
            (context, ["--insecure"], Status.ENDED),
            (other, ["--cacert", self.certificate(context)], Status.CERTIFICATE),
            (other, ["--insecure"], Status.ENDED),
        ):
            server = ScriptedServer(self, stream(ONE), context=theirs)
            for url in server.url, server.url.replace("127.0.0.1", "localhost"):
                server.script = [stream(ONE)]
                self.reader.data.clear()
                status, told = await self.end(url, "--no-reconnect", *arguments)
                self.assertEqual(status, expected, told)
                if expected == Status.ENDED:
                    await self.printed("one\n")
                else:
                    self.assertRegex(told, "^twisted-sse: .*certificate.*\n$")

    async def test_serverName(self) -> None:
        """
        With C{--insecure} the server still receives its name (SNI), if that is not an address.
        """
        names: list[bytes | None] = []
        context = serverContext()
        context.getContext().set_tlsext_servername_callback(
            lambda connection: names.append(connection.get_servername())
        )
        server = ScriptedServer(self, context=context)
        await self.end(server.url.replace("127.0.0.1", "localhost"), "--insecure")
        await self.end(server, "--insecure")
        self.assertEqual(names[:1], [b"localhost"])
        self.assertEqual({*names[1:]} - {None}, set())

    async def test_slowReader(self) -> None:
        """
        While the output is not read, the client stops reading from the server, and nothing is lost.
        """
        reactor.removeReader(self.reader)
        server = ScriptedServer(self, close=False)
        produced: list[int] = []
        # More than the kernel accepts.
        events = 20_000

        class Producer:
            def __init__(self, transport: Any) -> None:
                self.transport = transport

            def resumeProducing(self) -> None:
                number = len(produced)
                if number == events:
                    self.transport.write(chunk(b""))
                    self.transport.unregisterProducer()
                    return
                produced.append(number)
                self.transport.write(chunk(b"data: %d %s\n\n" % (number, 2000 * b"x")))

            def stopProducing(self) -> None:
                pass

        def produce(connection: Any) -> None:
            connection.transport.write(stream(end=False))
            connection.transport.registerProducer(Producer(connection.transport), False)

        server.script = [produce]
        following = self.begin(server, "--no-reconnect")
        counts = [0]

        def isStuck() -> bool:
            counts.append(len(produced))
            return counts[-1] > 0 and counts[-50:] == 50 * counts[-1:]

        await until(isStuck, "no more is produced")
        self.assertLess(len(produced), events)
        self.assertFalse(following.called)
        reactor.addReader(self.reader)
        self.assertEqual(await following, Status.ENDED)
        lines = "".join(f"{number} {2000 * 'x'}\n" for number in range(events))
        await until(lambda: len(self.reader.data) >= len(lines))
        self.assertTrue(self.reader.data.decode() == lines)

    async def test_readerGone(self) -> None:
        """
        C{get} ends immediately when its output is closed, even while no event arrives or a write
        waits.
        """
        server = ScriptedServer(self, quiet)
        following = self.begin(server)
        await self.printed("one\n")
        self.reader.close()
        self.assertEqual(await following, Status.ENDED)
        await until(lambda: not server.open, "no connection")

        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        self.writer = writer
        large = stream(b"data: " + 2**20 * b"x" + b"\n\n", end=False)
        server = ScriptedServer(self, large, close=False)
        following = self.begin(server)
        await until(lambda: not select.select([], [writer], [], 0)[1], "the pipe is full")
        os.close(reader)
        self.assertEqual(await following, Status.ENDED)
        self.assertEqual(self.stderr.getvalue(), "")

    async def test_fullDevice(self) -> None:
        """
        C{get} reports a failed write and ends.
        """
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        self.writer = full
        status, told = await self.end(ScriptedServer(self, stream(ONE)))
        self.assertEqual(status, Status.FAILED)
        self.assertEqual(told, "twisted-sse: standard output: No space left on device\n")

    if not os.path.exists("/dev/full"):
        test_fullDevice.skip = "there is no /dev/full"  # type: ignore[attr-defined]

    async def test_file(self) -> None:
        """
        C{get} can print to a file.
        """
        path = self.directory / "events"
        with open(path, "wb") as file:
            self.writer = os.dup(file.fileno())
            self.addCleanup(os.close, self.writer)
            await self.end(ScriptedServer(self, stream(ONE, TWO)), "-o", "json", "--no-reconnect")
        self.assertEqual(
            [json.loads(line) for line in path.read_text().splitlines()],
            [
                {"type": "message", "data": "one", "lastEventID": "1"},
                {"type": "order", "data": "two", "lastEventID": "2"},
            ],
        )
