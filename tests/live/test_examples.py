"""
Tests for the examples as processes or on real sockets, started as in their docstrings.
"""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any, NamedTuple, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from tests.support.examples import ACCEPT, EXAMPLES, FORM, HELLO, example
from tests.support.live import LiveTestCase, freePort, reactor, until
from tests.support.many import ManyMixin
from tests.support.memory_agent import MemoryAgent, MemoryResponse, eventStream
from tests.support.patience import PATIENCE
from tests.support.python import TWISTD
from tests.support.requirements import ROOT, needs
from twisted_sse import Channel, EventStreamParser, EventStreamResource, MessageEvent
from twisted_sse.client import Backoff, EventSource

#: How to run the commands of the examples' docstrings.
COMMANDS = {
    "python": [sys.executable],
    "twistd": [sys.executable, "-c", TWISTD],
}


def command(name: str) -> list[str]:
    """
    Read the command from an example's docstring.

    @return: the command, on a port that the kernel chooses.
    """
    documentation = example(name).__doc__ or ""
    [line] = re.findall(r"^ +\$ ((?:python|twistd) .*)$", documentation, re.MULTILINE)
    first, *rest = shlex.split(line)
    return [*COMMANDS[first], *("0" if word == "8080" else word for word in rest)]


def environment() -> dict[str, str]:
    """
    @return: an environment in which the checkout can be imported.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def running(
    arguments: list[str], directory: Path, more: dict[str, str] | None = None
) -> Iterator[int]:
    """
    Run a server.

    @param more: more of its environment.
    @return: a context manager of its port.
    """
    process = subprocess.Popen(
        arguments,
        cwd=directory,
        env={**environment(), **(more or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            match = re.search(r"(?:127\.0\.0\.1:|[Ss]tarting on )(\d+)", line)
            if match:
                yield int(match[1])
                break
        else:
            raise AssertionError(f"{arguments} did not serve:\n{said}")
    finally:
        watchdog.cancel()
        process.terminate()
        process.communicate()


class Asked(NamedTuple):
    """
    A request to an example, and its first event.

    @ivar first: the expected event, whose ID may be anything but empty if it is C{"*"}, and so may
        its data.
    @ivar path: the path of the stream; L{None} if the response to the form has it.
    @ivar form: the path and the body of a form to post first.
    """

    name: str
    first: MessageEvent
    path: str | None = "/"
    form: tuple[str, str] | None = None


REQUESTS = [
    Asked("recipe", HELLO),
    Asked("hello_resource", HELLO),
    Asked("hello_klein", HELLO, "/hello"),
    Asked("hello_klein", MessageEvent("message", "1", "1"), "/count/3"),
    Asked("ticker_source", MessageEvent("tick", "tick 1", "1")),
    Asked("countdown", MessageEvent("count", "5", "5")),
    Asked(
        "flask_beside",
        MessageEvent("ordered", '"tea"', "*"),
        "/events",
        form=("/orders", "item=tea"),
    ),
    Asked(
        "upload_progress",
        MessageEvent("result", "*", "*"),
        "/uploads/mine",
        form=("/files", "hello"),
    ),
    Asked(
        "chat_klein",
        MessageEvent("line", '{"name":"Ada","text":"hi"}', "*"),
        "/rooms/lobby",
        form=("/rooms/lobby", "name=Ada&text=hi"),
    ),
    Asked("datastar_poll", MessageEvent("datastar-patch-elements", "*", ""), "/updates"),
    Asked("device_events", MessageEvent("ping", "*", ""), "/events"),
    Asked("dashboard", MessageEvent("waiting", "0", "")),
    Asked(
        "htmx_board",
        MessageEvent("message", "*", "*"),
        "/events",
        form=("/updates", "state=Monitoring&text=slow"),
    ),
    Asked(
        "notifications",
        MessageEvent("message", "ada is here", "*"),
        "/events",
        form=("/login", "user=ada"),
    ),
    Asked(
        "orders_hub",
        MessageEvent("message", '{"number": 1, "article": "tea", "state": "ordered"}', "*"),
        "/.well-known/mercure?topic=*&lastEventID=earliest",
        form=("/orders", "customer=ada&article=tea"),
    ),
    Asked("progress", MessageEvent("progress", "*", "*"), None, form=("/jobs", "")),
    Asked("react_answers", MessageEvent("readers", "1", "*"), "/news"),
    Asked("turbo_kitchen", MessageEvent("message", "*", ""), "/events"),
    Asked("tokens_klein", MessageEvent("token", "It ", ""), "/answer?question=why"),
]


def firstEvent(asked: Asked) -> MessageEvent | None:
    """
    Start an example, make a request, and wait for an event that it sends.
    """
    with TemporaryDirectory() as temporary:
        # Where twistd writes its PID file, and where the source's module is.
        directory = Path(temporary) if asked.name == "ticker_source" else ROOT
        if directory is not ROOT:
            shutil.copy(EXAMPLES / "ticker_source.py", directory)
        with (
            running(command(asked.name), directory) as port,
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection,
        ):
            headers, path = ACCEPT, asked.path
            if asked.form is not None:
                address, form = asked.form
                connection.request("POST", address, form, {**FORM, "Upload-ID": "mine"})
                with connection.getresponse() as response:
                    response.read()
                    path = path or response.getheader("Location")
                    cookie, _, _ = (response.getheader("Set-Cookie") or "").partition(";")
                    headers = {**ACCEPT, "Cookie": cookie}
            assert path is not None, "there is no stream"
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as response:
                parser = EventStreamParser()
                while chunk := response.read1():
                    for event in parser.feed(chunk):
                        if event.type == "stream-position":
                            continue
                        data = "*" if asked.first.data == "*" else event.data
                        known = asked.first.lastEventID == "*" and event.lastEventID
                        return MessageEvent(event.type, data, "*" if known else event.lastEventID)
    return None


@needs("network")
class TokensTests(LiveTestCase):
    """
    Tests for the language model and its relay.
    """

    async def test_whole(self) -> None:
        """
        All words arrive before the end, and a client that disconnects early stops the model.
        """
        tokens = example("tokens_klein")
        port = tokens.listen(reactor, 0)
        self.addCleanup(port.stopListening)
        url = f"http://127.0.0.1:{port.getHost().port}/answer?question=why"
        async with EventSource(url) as source:
            events = [event async for event in source]
        data = [event.data for event in events if event.type == "token"]
        self.assertEqual("".join(data), f"{tokens.WORDS} ")
        self.assertEqual(events[-1].type, "end")
        async with EventSource(url) as source:
            await source.__anext__()
            self.assertEqual(len(tokens.model.resource.streams), 1)
        await until(lambda: not tokens.model.resource.streams, "the model has stopped")


@needs("network")
class MirrorTests(LiveTestCase):
    """
    Tests for the mirror.
    """

    async def test_resumes(self) -> None:
        """
        When either server is restarted, a client of the mirror gets each event once, in order.
        """
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name, "mirror.jsonl")
        upstream = Channel()
        servers = {name: freePort() for name in ("upstream", "mirror")}

        def serve(name: str, resource: EventStreamResource) -> Any:
            site = Site(resource)
            return reactor.listenTCP(servers[name], site, interface="127.0.0.1")

        async def stop(port: Any, resource: EventStreamResource) -> None:
            await port.stopListening()
            for stream in tuple(resource.streams):
                stream.abort()

        def begin() -> tuple[Any, Any]:
            mirror = example("mirror").Mirror(reactor, url("upstream"), path)
            # The default backoff would be too slow for a test.
            mirror.source._backoff = Backoff(initial=0.05, maximum=0.05)
            return mirror, serve("mirror", mirror.resource)

        def url(name: str) -> str:
            return f"http://127.0.0.1:{servers[name]}/"

        resource = EventStreamResource(upstream.subscribe)
        port = serve("upstream", resource)
        mirror, mirrorPort = begin()
        await until(lambda: resource.streams, "the mirror is connected")
        told: list[str] = []
        client = EventSource(url("mirror"), backoff=Backoff(initial=0.05, maximum=0.05))
        following = client.listen(
            lambda event: told.append(event.data) if event.type == "message" else None
        )
        await until(lambda: mirror.resource.streams, "the client is connected")
        sent = [str(number) for number in range(50)]
        for number in sent:
            upstream.publish(number)
            if number == "10":
                await until(lambda: told[-1:] == ["10"], "it has arrived")
                await stop(port, resource)
            if number == "20":
                resource = EventStreamResource(upstream.subscribe)
                port = serve("upstream", resource)
                await until(lambda: told[-1:] == ["20"], "it has arrived")
                await stop(mirrorPort, mirror.resource)
                await mirror.stop()
                # A line that was not written completely.
                path.write_text(path.read_text() + '{"data": "half')
            if number == "30":
                mirror, mirrorPort = begin()
                await until(lambda: told[-1:] == ["30"], "it has arrived")
        await until(lambda: told[-1:] == sent[-1:], "all have arrived")
        self.assertEqual(told, sent)
        await client.close()
        await following
        await stop(mirrorPort, mirror.resource)
        await mirror.stop()
        await stop(port, resource)


class Terminal(ProcessProtocol):
    """
    A process in a terminal.

    @ivar shown: all its output.
    @ivar status: its exit status; L{None} until it ends.
    """

    transport: Any
    status: int | None = None

    def __init__(self, test: LiveTestCase, *arguments: str) -> None:
        """
        @param test: the test whose cleanup kills the process.
        """
        self.shown = b""
        process = [sys.executable, *arguments]
        wide = {**environment(), "COLUMNS": "120", "LINES": "20"}
        reactor.spawnProcess(self, process[0], process, wide, str(ROOT), usePTY=True)
        test.addCleanup(lambda: Deferred.fromCoroutine(self._kill()))

    def outReceived(self, data: bytes) -> None:
        """
        Record output.
        """
        self.shown += data

    def processEnded(self, reason: Failure) -> None:
        """
        Record the exit status.
        """
        self.status = cast(Any, reason.value).exitCode

    async def end(self) -> int | None:
        """
        @return: its exit status, once it has ended.
        """
        await until(lambda: self.transport.pid is None, "it has ended")
        return self.status

    async def _kill(self) -> None:
        if self.transport.pid is not None:
            self.transport.signalProcess("KILL")
            await self.end()


@needs("network")
class TerminalDashboardTests(LiveTestCase):
    """
    Tests for the dashboard in the terminal.
    """

    def row(self, *answers: Any) -> Any:
        """
        @return: a row for an agent with these responses.
        """
        options = {"agent": MemoryAgent(*answers), "reactor": Clock()}
        return example("terminal_dashboard").Row("http://sse.example/", **options)

    def test_rate(self) -> None:
        """
        A row shows the number of events, the rates of the last seconds and the newest event.
        """
        response = eventStream()
        row = self.row(response)
        for count in 7, 0, 3:
            response.write(b"event: tick\ndata: of \x1b[2J the clock\n\n" * count)
            row.tick()
        words = row.line(200).split()
        self.assertEqual(words[:3], ["sse.example/", "10", "3/s"])
        self.assertIn("█ ▄  tick: of  [2J the clock", row.line(200))
        self.assertEqual(row.line(40), row.line(200)[:40])

    def test_states(self) -> None:
        """
        A row shows an error, the end, or that it is connecting.
        """
        for answer, state in (
            (ConnectionRefusedError("nobody there"), "nobody there"),
            (MemoryResponse(404, end=True), "404 Phrase"),
            (MemoryResponse(204), "it has ended"),
            (eventStream(), ""),
            (None, "connecting"),
        ):
            self.assertIn(state, self.row(answer).state)

    async def test_terminal(self) -> None:
        """
        The dashboard uses the alternate screen, and Ctrl-C restores the other one and prints the
        last state.
        """
        resource = EventStreamResource(lambda stream: stream.every(0.05, lambda: "hello"))
        port = reactor.listenTCP(0, Site(resource), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        urls = [f"http://127.0.0.1:{port.getHost().port}/", f"http://127.0.0.1:{freePort()}/"]
        terminal = Terminal(self, str(EXAMPLES / "terminal_dashboard.py"), *urls)
        await until(lambda: terminal.shown.count(b"message: hello") > 1, "events are shown")
        self.assertTrue(terminal.shown.startswith(b"\x1b[?1049h"))
        terminal.transport.write(b"\x03")
        self.assertEqual(await terminal.end(), 0)
        after = terminal.shown.partition(b"\x1b[?1049l")[2].decode()
        self.assertRegex(after, r"(?s)message: hello\s+127.*refused")
        await until(lambda: not resource.streams, "the stream has ended")

    async def test_wrong(self) -> None:
        """
        Without a valid URL the dashboard prints one line and fails.
        """
        for arguments, said in ([], b"usage"), (["ftp://sse.example/"], b"http://"):
            terminal = Terminal(self, str(EXAMPLES / "terminal_dashboard.py"), *arguments)
            self.assertEqual((await terminal.end(), terminal.shown.count(b"\n")), (1, 1))
            self.assertIn(said, terminal.shown)


@needs("network")
class StartedTests(SynchronousTestCase):
    """
    Tests for the examples as processes.
    """

    def test_firstEvents(self) -> None:
        """
        The command in each example's docstring starts a server that sends the expected event.
        """
        with ThreadPoolExecutor(len(REQUESTS)) as pool:
            came = list(pool.map(firstEvent, REQUESTS))
        self.assertEqual(came, [asked.first for asked in REQUESTS])

    def test_allAreStarted(self) -> None:
        """
        Every example is tested here.
        """
        names = {path.stem for path in EXAMPLES.glob("*.py")}
        elsewhere = {
            *("chat_redis", "django_hub", "fastapi_beside", "list_store", "mcp_server", "mirror"),
            *("presence_chat", "pytest_hello", "relay_llm", "terminal_dashboard", "trial_hello"),
        }
        self.assertEqual(names, {asked.name for asked in REQUESTS} | elsewhere)


@needs("network", "redis")
class ChatRedisTests(ManyMixin):
    """
    Tests for the chat with Redis.
    """

    def say(self, port: int, text: str, **headers: str) -> int:
        """
        @return: the status of the response.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            headers = {**FORM, **headers}
            connection.request("POST", "/rooms/lobby", f"name=Ada&text={text}", headers)
            return connection.getresponse().status

    def test_processes(self) -> None:
        """
        A line posted to one process reaches the clients of another, and clients of a process that
        ends continue with another; a line that is posted again, to any process, is delivered once.
        Other programs may post, too.
        """
        more = {"REDIS_URL": self.redisURL}
        with running(command("chat_redis"), ROOT, more) as there:
            with running(command("chat_redis"), ROOT, more) as here:
                reader = self.subscribe(here, "/rooms/lobby")
                key = {"Idempotency-Key": "k"}
                statuses = [self.say(here, "1", **key), self.say(there, "1", **key)]
                statuses += [self.say(there, "2"), self.say(here, "3")]
                self.assertEqual(statuses, [204] * 4)
                lines = reader.until('{"name":"Ada","text":"3"}')
                self.assertEqual([event.json()["text"] for event in lines], ["1", "2"])
            self.say(there, "4")
            documentation = example("chat_redis").__doc__ or ""
            [line] = re.findall(r"^ +\$ redis-cli (.*)$", documentation, re.MULTILINE)
            self.redis.cli(*shlex.split(line))
            reader = self.subscribe(there, "/rooms/lobby", reader.position)
            lines = reader.until('{"name":"Redis","text":"hello"}')
            self.assertEqual([event.json()["text"] for event in lines], ["4"])


class RunnerTests(SynchronousTestCase):
    """
    Tests for the examples that are tests.
    """

    def run_(self, name: str) -> str:
        """
        Run an example as its docstring says.

        @return: its output.
        """
        with TemporaryDirectory() as temporary:
            first, *rest = command(name)
            # Without the settings of this project, and leaving nothing in its directory.
            rest = [str(ROOT / word) if word.startswith("examples/") else word for word in rest]
            done = subprocess.run(
                [first, *rest],
                cwd=temporary,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_trial(self) -> None:
        """
        trial runs the tests of the documentation's example.
        """
        self.assertIn("PASSED (successes=2)", self.run_("trial_hello"))

    def test_store(self) -> None:
        """
        trial runs the tests of the documentation's store.
        """
        self.assertRegex(self.run_("list_store"), r"PASSED \(successes=\d\d\)")

    def test_pytest(self) -> None:
        """
        pytest runs the tests of the documentation's example.
        """
        self.assertIn("3 passed", self.run_("pytest_hello"))
