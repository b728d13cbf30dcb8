"""
Tests for C{get} and C{serve} of L{twisted_sse.cli}, on real sockets, as processes.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.certificates import serverContext
from tests.support.command_processes import COMMAND, Process
from tests.support.getting import ONE, SOON, TWO, Certified, quiet, silent
from tests.support.live import LiveTestCase, freePort, until
from tests.support.requirements import needs
from tests.support.scripted import ScriptedServer, answer, chunk, stream
from twisted_sse.cli.status import Status

#: The same, with the inherited handling of SIGINT.
INHERITING = re.sub(" signal.signal.*?;", "", COMMAND)

#: The same, without TLS installed.
WITHOUT_TLS = (
    f"import sys; sys.modules |= dict.fromkeys(['OpenSSL', 'service_identity']); {COMMAND}"
)


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
        A closed pipe ends the process even if standard error goes there, too.
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
            ('exec "$@" >&-', 1, b"twisted-sse: standard output is closed\n"),
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
        await until(lambda: b"serving ticks at" in server.errors)
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
        C{serve} prints the same help and errors as C{twist sse}, with the same status, except for
        the name of the program.
        """
        twist = "import sys; sys.argv[0] = 'twist'; from twisted.application.twist._twist import *;"
        twist += " Twist.main(sys.argv)"
        for arguments, status in (["--help"], 0), (["--port", "none"], 64), (["--none"], 64):
            ours = Process(self, "serve", *arguments)
            theirs = Process(self, "sse", *arguments, code=twist)
            self.assertEqual((await ours.end(), await theirs.end()), (status, status))
            said, expected = ours.out + ours.errors, theirs.out + theirs.errors
            self.assertIn(b" serve [OPTIONS]" if status == 0 else b" serve: ", said)
            theirName = b"twist sse" if status == 0 else b"sse"
            ourName = said.partition(b" serve")[0].removeprefix(b"Usage: ") + b" serve"
            self.assertEqual(said, expected.replace(theirName, ourName))
