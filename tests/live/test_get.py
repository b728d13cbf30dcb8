"""
Tests for C{get} and C{serve} of L{twisted_sse.cli}, on real sockets, as functions and as processes.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.live import LiveTestCase, freePort, reactor, serverContext, until
from tests.support.requirements import ROOT, needs
from tests.support.scripted import ScriptedServer, answer, chunk, stream
from twisted_sse.cli.get import follow
from twisted_sse.cli.options import parse
from twisted_sse.cli.status import Status

ONE = b"id: 1\ndata: one\n\n"
TWO = b"event: order\nid: 2\ndata: two\n\n"

#: A short C{retry}, so that the tests are fast.
SOON = b"retry: 100\n"

#: The console script, wherever pip put it. It restores SIGINT: a command that a shell runs in the
#: background inherits it as ignored.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " sys.argv[0] = 'twisted-sse'; from twisted_sse.cli import main; sys.exit(main())"
)

#: The same, with the inherited handling of SIGINT.
INHERITING = re.sub(" signal.signal.*?;", "", COMMAND)

#: The same, without TLS installed.
WITHOUT_TLS = (
    f"import sys; sys.modules |= dict.fromkeys(['OpenSSL', 'service_identity']); {COMMAND}"
)


def quiet(connection: Any) -> None:
    """
    Send an event, and then nothing.
    """
    connection.transport.write(stream(ONE, end=False))


def silent(connection: Any) -> None:
    """
    Send nothing.
    """


@implementer(IReadDescriptor)
class Reader:
    """
    Reads from a file descriptor.

    @ivar data: what was read.
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
        Read what there is, or the end.
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


class Certified(LiveTestCase):
    """
    Has a file for a server's certificate.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def certificate(self, context: Any) -> str:
        """
        @return: the path of a file with a server's certificate.
        """
        from twisted.internet.ssl import Certificate

        path = self.directory / "ca.pem"
        # After text and another certificate, as in real files.
        other = Certificate(serverContext("other.example").certificate).dumpPEM()
        path.write_bytes(b"# mine\n" + other + Certificate(context.certificate).dumpPEM())
        return str(path)


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

        @return: the exit status, and what was printed on standard error.
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
                self.assertRegex(
                    broken, "^twisted-sse: the stream was broken off: .*; trying again$"
                )
                self.assertRegex(busy, "^twisted-sse: the server answered 503 Busy; trying again$")

    async def test_request(self) -> None:
        """
        The request is made as the options say.
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
        The last event of a finite stream ends the command, is not printed, and nothing is asked for
        again; another event of that type is printed as any other.
        """
        for last in b"event: end\nid: end\ndata: \n\n", b"event: end\nid: end\ndata\n\n":
            server = ScriptedServer(self, stream(ONE + TWO + last + b"data: late\n\n"))
            self.reader.data.clear()
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
        The event that tells a client its position is printed only if it is asked for.
        """
        position = b"event: stream-position\nid: 0\ndata: {}\n\n"
        for arguments, printed in ([], "one\n"), (["--type", "stream-position"], "{}\n"):
            server = ScriptedServer(self, stream(SOON + position + ONE))
            self.reader.data.clear()
            self.assertEqual(await self.end(server, *arguments), (Status.ENDED, ""))
            await self.printed(printed)

    async def test_schemes(self) -> None:
        """
        Where the scheme of the URL is wrong, or the certificate is, the message says what may help.
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
        Of a page that is no stream, the title is told.
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
            (answer("503 Busy"), ["--max-tries", "1"], "given up after 1 failure; .* 503 Busy"),
            (answer("200 OK", "Content-Type: text/html"), [], "the answer is text/html"),
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
            (nobody, ["--max-tries", "1"], "given up after 1 failure; .*Connection was refused"),
            ("http://nosuch.invalid/", ["--no-reconnect"], "DNS lookup failed"),
            (ScriptedServer(self, stream(ONE, end=False)), ["-d", ""], "broken off"),
            (
                ScriptedServer(self, b"HTTP/1.1 200"),
                ["--no-reconnect"],
                "there was no answer that can be read",
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
        With C{--insecure} the server is still sent its name, if that is not an address.
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
        When nobody reads the output, the server is not read any further, and nothing is lost.
        """
        reactor.removeReader(self.reader)
        server = ScriptedServer(self, close=False)
        produced: list[int] = []
        # More than the kernel takes.
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
        C{get} ends at once when its output is closed, even while no event arrives or a write waits.
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


class Process(ProcessProtocol):
    """
    The command as a process.

    @ivar out: its standard output.
    @ivar errors: its standard error.
    @ivar status: its exit status, or minus the signal that ended it; L{None} while it runs.
    """

    transport: Any

    def __init__(
        self, test: LiveTestCase, *arguments: str, code: str = COMMAND, **options: Any
    ) -> None:
        """
        @param test: the test whose cleanup stops the process.
        @param arguments: the arguments of the command.
        @param code: the Python code to run.
        @param options: the options of C{spawnProcess}.
        """
        self.out = b""
        self.errors = b""
        self.status: int | None = None
        self._ended: Deferred[None] = Deferred()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        environment.pop("NO_COLOR", None)
        self.spawn(
            [sys.executable, "-c", code, *arguments], environment | options.pop("env", {}), options
        )
        test.addCleanup(self.stop)

    def spawn(
        self, command: list[str], environment: Mapping[str, str], options: dict[str, Any]
    ) -> None:
        """
        Start the process.
        """
        reactor.spawnProcess(self, command[0], command, env=environment, **options)

    def outReceived(self, data: bytes) -> None:
        """
        Record standard output.
        """
        self.out += data

    def errReceived(self, data: bytes) -> None:
        """
        Record standard error.
        """
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        """
        Record the exit status.
        """
        reason.trap(ProcessDone, ProcessTerminated)
        value: Any = reason.value
        self.status = value.exitCode if value.signal is None else -value.signal
        self._ended.callback(None)

    async def printing(self, server: ScriptedServer, asking: bool = False) -> None:
        """
        Wait until the process prints, or with C{asking} until it has made a request.
        """
        await until(lambda: server.requests if asking else self.out, "it prints")

    async def end(self) -> int | None:
        """
        Wait for the process to end.

        @return: its exit status.
        """
        await until(lambda: self.status is not None, "it ends")
        return self.status

    def stop(self) -> Deferred[None]:
        """
        Kill the process if it is running.
        """
        if self.status is None:
            self.transport.resumeProducing()
            self.transport.signalProcess("KILL")
        return self._ended


class Unread(Process):
    """
    A command whose output is not read any further once it has printed.
    """

    def outReceived(self, data: bytes) -> None:
        """
        Record standard output, and stop reading.
        """
        if not self.out:
            self.transport.pauseProducing()
        super().outReceived(data)


class Shell(Process):
    """
    A shell command line with the command as C{"$@"}.
    """

    def __init__(self, test: LiveTestCase, line: str, *arguments: str, **options: Any) -> None:
        self._line = line
        super().__init__(test, *arguments, **options)

    def spawn(
        self, command: list[str], environment: Mapping[str, str], options: dict[str, Any]
    ) -> None:
        """
        See L{Process}.
        """
        super().spawn(["/bin/sh", "-c", self._line, "sh", *command], environment, options)


@needs("network")
class ProcessTests(Certified):
    """
    Tests for following a stream in a process.
    """

    timeout = 120

    async def test_module(self) -> None:
        """
        C{python -m twisted_sse} prints events until a 204.
        """
        server = ScriptedServer(self, stream(SOON + ONE), stream(TWO))
        process = Shell(self, f'exec {sys.executable} -m twisted_sse get "$4"', server.url)
        self.assertEqual(await process.end(), 0)
        self.assertRegex(
            process.out.decode(),
            r"^\d\d:\d\d:\d\d  message  id 1\n    one\n\d\d:\d\d:\d\d  order  id 2\n    two\n$",
        )
        self.assertEqual(process.errors, b"")
        self.assertEqual(server.requests[1].headers["last-event-id"], "1")

    async def test_statuses(self) -> None:
        """
        The exit statuses are as documented.
        """
        url = f"http://127.0.0.1:{freePort()}/"
        secure = ScriptedServer(self, context=serverContext())
        for expected, arguments in (
            (Status.ENDED, [ScriptedServer(self, quiet).url, "--count", "1"]),
            (Status.FAILED, [url, "--no-reconnect"]),
            (Status.USAGE, [url, "--count", "none"]),
            (Status.NO_STREAM, [ScriptedServer(self, answer("404 No")).url]),
            (Status.CERTIFICATE, [secure.url]),
            (Status.TIMEOUT, [ScriptedServer(self, silent).url, "--timeout=.1", "--max-tries=1"]),
        ):
            process = Process(self, "get", *arguments)
            self.assertEqual(await process.end(), expected)
            self.assertEqual(process.errors.count(b"\n"), int(expected > 0), process.errors)

    async def test_signals(self) -> None:
        """
        SIGINT and SIGTERM end the process silently while it waits for events, a response or its
        reader.
        """
        large = stream(b"data: " + 2**20 * b"x" + b"\n\n", end=False)
        for name, status in ("INT", 130), ("TERM", 143):
            for kind, step in (Process, quiet), (Process, silent), (Unread, large):
                server = ScriptedServer(self, step, close=False)
                process = kind(self, "get", server.url)
                await process.printing(server, step is silent)
                process.transport.signalProcess(name)
                process.transport.resumeProducing()
                self.assertEqual((await process.end(), process.errors), (status, b""))

    async def test_head(self) -> None:
        """
        A closed pipe ends the process silently, even while no event arrives.
        """
        server = ScriptedServer(self, quiet)
        shell = Shell(self, '{ "$@"; echo $? >&2; } | head -n 1', "get", server.url)
        self.assertEqual(await shell.end(), 0)
        self.assertRegex(shell.out, rb"^\d\d:\d\d:\d\d  message  id 1\n$")
        self.assertEqual(shell.errors, b"0\n")

    async def test_errorsToHead(self) -> None:
        """
        A closed pipe ends the process even if standard error goes there too.
        """
        server = ScriptedServer(self, stream(ONE, end=False), quiet)
        shell = Shell(self, '{ "$@" 2>&1; echo $? >&2; } | head -n 1', "get", server.url)
        self.assertEqual(await shell.end(), 0)
        self.assertEqual(shell.errors, b"0\n")

    async def test_terminal(self) -> None:
        """
        Output on a terminal is coloured unless C{NO_COLOR} is set, and control characters are
        escaped.
        """
        evil = stream(b"event: a\x1b[2Jb\ndata: \xc2\x9b2J\n\n")
        for environment, colours in ({}, 2), ({"NO_COLOR": "1"}, 0):
            server = ScriptedServer(self, evil)
            process = Process(self, "get", "-n", "1", server.url, usePTY=True, env=environment)
            self.assertEqual(await process.end(), 0)
            self.assertEqual(process.out.count(b"\x1b[0m"), colours)
            seen = re.sub(rb"\x1b\[\d+m", b"", process.out).replace(b"\r\n", b"\n")
            self.assertRegex(seen, rb"^[\d:]+  a\\u001b\[2Jb\n    \\u009b2J\n$")

    async def test_interruptedTerminal(self) -> None:
        """
        Ctrl-C ends the process, even after Ctrl-S has stopped its terminal.
        """
        for keys in b"\x03", b"\x13\x03":
            server = ScriptedServer(self, quiet)
            process = Process(self, "get", server.url, usePTY=True)
            await process.printing(server)
            process.transport.write(keys)
            self.assertEqual(await process.end(), 130)
            self.assertRegex(process.out.partition(b"one\r\n")[2], rb"^(\^[SC])*$")

    async def test_standardInput(self) -> None:
        """
        The body can be read from standard input.
        """
        server = ScriptedServer(self, stream(ONE))
        process = Process(self, "get", "-o", "data", "-d", "@-", server.url)
        process.transport.write(b"\xff\n")
        process.transport.closeStdin()
        self.assertEqual((await process.end(), process.out), (0, b"one\n"))
        self.assertEqual((server.requests[0].method, server.requests[0].body), ("POST", b"\xff\n"))

    async def test_nothingOpen(self) -> None:
        """
        A closed standard stream is reported in one line, if possible, and no request is made.
        """
        server = ScriptedServer(self, quiet, quiet)
        for line, status, says in (
            ('exec "$@" <&-', 2, b"-: Bad file descriptor\n"),
            ('exec "$@" >&-', 1, b"twisted-sse: there is no standard output\n"),
            ('exec "$@" >&- 2>&-', 1, b""),
        ):
            arguments = ["-d", "@-"] if status == 2 else []
            shell = Shell(self, line, "get", *arguments, server.url)
            self.assertEqual(await shell.end(), status)
            self.assertEqual((shell.out, shell.errors[-len(says) :]), (b"", says))
            self.assertLess(shell.errors.count(b"\n"), 2)
        self.assertEqual(server.requests, [])

    async def test_withoutTLS(self) -> None:
        """
        Without TLS installed an https URL fails with a message, whatever certificates are trusted.
        """
        certificate = self.certificate(serverContext())
        for arguments in [], ["--insecure"], ["--cacert", certificate]:
            process = Process(self, "get", "https://localhost/", *arguments, code=WITHOUT_TLS)
            self.assertEqual(await process.end(), 1)
            self.assertRegex(process.errors, rb"^twisted-sse: https needs TLS .*\n$")

    async def test_ignoredSignal(self) -> None:
        """
        A signal that is ignored at the start does not end the process.
        """
        server = ScriptedServer(self, quiet)
        shell = Shell(self, 'trap "" INT; exec "$@"', "get", server.url, code=INHERITING)
        await shell.printing(server)
        shell.transport.signalProcess("INT")
        server.connections[0].transport.write(chunk(TWO))
        await until(lambda: b"two" in shell.out)
        self.assertIsNone(shell.status)


@needs("network")
class ServeTests(LiveTestCase):
    """
    Tests for C{serve}.
    """

    timeout = 120

    async def test_followed(self) -> None:
        """
        C{get} follows C{serve} across a restart, and SIGTERM ends C{serve} with status 0.
        """
        port = freePort()
        arguments = ["serve", "--port", str(port), "--interval", "0.1", "--retry", "500"]
        server = Process(self, *arguments)
        url = f"http://127.0.0.1:{port}/"
        await until(lambda: b"the page for browsers" in server.out)
        client = Process(self, "get", "-o", "data", url)
        await until(lambda: client.out.count(b"hello\n") > 1)
        server.transport.signalProcess("TERM")
        self.assertEqual(await server.end(), 0)
        before = client.out
        Process(self, *arguments)
        await until(lambda: client.out.count(b"hello\n") > before.count(b"hello\n") + 1)
        client.transport.signalProcess("INT")
        self.assertEqual(await client.end(), 128 + signal.SIGINT)

    async def test_same(self) -> None:
        """
        C{serve} prints the same help and errors as C{twist sse}, with the same status.
        """
        twist = "import sys; sys.argv[0] = 'twist'; from twisted.application.twist._twist import *;"
        twist += " Twist.main(sys.argv)"
        for arguments, status in (["--help"], 0), (["--port", "none"], 64), (["--none"], 64):
            ours = Process(self, "serve", *arguments)
            theirs = Process(self, "sse", *arguments, code=twist)
            self.assertEqual((await ours.end(), await theirs.end()), (status, status))
            self.assertEqual((ours.out, ours.errors), (theirs.out, theirs.errors))
            self.assertIn(b"--port" if status == 0 else b"sse: ", ours.out + ours.errors)
