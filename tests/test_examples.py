"""
The examples, started as their first lines say, and in memory; and the recipe's wrong versions,
each with what is wrong with it.
"""

from __future__ import annotations

import gc
import http.client
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from types import ModuleType
from typing import Any, NamedTuple, cast
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.support.live import LiveTestCase, freePort, reactor, until
from tests.support.memory_agent import MemoryAgent, MemoryResponse, eventStream
from tests.support.requirements import ROOT, needs
from twisted_sse import Channel, EventStreamParser, EventStreamResource, MessageEvent
from twisted_sse.client import Backoff, EventSource
from twisted_sse.testing import MemoryClient

EXAMPLES = ROOT / "examples"

ACCEPT = {"Accept": "text/event-stream"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

#: The console script C{twistd}, wherever pip put it.
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"

#: What a command of an example's docstring is here.
COMMANDS = {
    "python": [sys.executable],
    "twistd": [sys.executable, "-c", TWISTD],
}

#: What nothing should ever take, in seconds.
PATIENCE = 60

HELLO = MessageEvent("message", "hello", "1")


def load(path: Path) -> ModuleType:
    """
    Import a file that is in no package.
    """
    spec = spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(name: str) -> ModuleType:
    """
    Import an example.
    """
    return load(EXAMPLES / f"{name}.py")


def command(name: str) -> list[str]:
    """
    Read from an example's docstring how it is started.

    @return: the command, on a port that the kernel chooses.
    """
    documentation = example(name).__doc__ or ""
    [line] = re.findall(r"^ +\$ ((?:python|twistd) .*)$", documentation, re.MULTILINE)
    first, *rest = shlex.split(line)
    return [*COMMANDS[first], *("0" if word == "8080" else word for word in rest)]


def environment() -> dict[str, str]:
    """
    @return: one in which the checkout can be imported.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def running(arguments: list[str], directory: Path) -> Iterator[int]:
    """
    Run a server.

    @return: a context manager that gives its port.
    """
    process = subprocess.Popen(
        arguments,
        cwd=directory,
        env=environment(),
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
    A request to an example, and the first event that comes.

    @ivar first: of its ID no more is known than that there is one, if it is C{"*"}.
    @ivar path: where the stream is; L{None} where the answer to the form says.
    @ivar form: what is posted before that, and where.
    """

    name: str
    first: MessageEvent
    path: str | None = "/"
    body: bytes | None = None
    form: tuple[str, str] | None = None


REQUESTS = [
    Asked("recipe", HELLO),
    Asked("hello_resource", HELLO),
    Asked("hello_klein", HELLO, "/hello"),
    Asked("hello_klein", MessageEvent("message", "1", "1"), "/count/3"),
    Asked("ticker_source", MessageEvent("tick", "tick 1", "1")),
    Asked("countdown", MessageEvent("count", "5", "5")),
    Asked(
        "upload_progress", MessageEvent("progress", '{"done":1,"of":2}', ""), "/check", b"a b\nc\n"
    ),
    Asked(
        "chat_klein",
        MessageEvent("line", '{"name":"Ada","text":"hi"}', "*"),
        "/rooms/lobby",
        form=("/rooms/lobby", "name=Ada&text=hi"),
    ),
    Asked("dashboard", MessageEvent("waiting", "0", "")),
    Asked(
        "notifications",
        MessageEvent("message", "ada is here", "*"),
        "/events",
        form=("/login", "user=ada"),
    ),
    Asked("progress", MessageEvent("progress", "0", "*"), None, form=("/jobs", "")),
    Asked("tokens_klein", MessageEvent("token", "It ", ""), "/answer?question=why"),
]


def firstEvent(asked: Asked) -> MessageEvent | None:
    """
    Start an example, make a request of it, and wait for an event.
    """
    with TemporaryDirectory() as temporary:
        # Where twistd writes the number of its process, and where the source's module is.
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
                connection.request("POST", address, form, FORM)
                with connection.getresponse() as response:
                    response.read()
                    path = path or response.getheader("Location")
                    cookie, _, _ = (response.getheader("Set-Cookie") or "").partition(";")
                    headers = {**ACCEPT, "Cookie": cookie}
            assert path is not None, "there is no stream"
            connection.request("GET" if asked.body is None else "POST", path, asked.body, headers)
            with connection.getresponse() as response:
                parser = EventStreamParser()
                while data := response.read1():
                    for event in parser.feed(data):
                        if event.lastEventID and asked.first.lastEventID == "*":
                            return MessageEvent(event.type, event.data, "*")
                        return event
    return None


@needs("network")
class TokensTests(LiveTestCase):
    """
    The language model and its relay.
    """

    async def test_whole(self) -> None:
        """
        All words come, and then the end; whoever leaves before stops the model.
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
    The mirror.
    """

    async def test_resumes(self) -> None:
        """
        Whichever of the two servers is started again, a client of the mirror gets each event
        once, in order.
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
            # They are used to being called by a browser's patience.
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
        following = client.listen(lambda event: told.append(event.data))
        await until(lambda: mirror.resource.streams, "the client is connected")
        sent = [str(number) for number in range(50)]
        for number in sent:
            upstream.publish(number)
            if number == "10":
                await until(lambda: told[-1:] == ["10"], "it has come")
                await stop(port, resource)
            if number == "20":
                resource = EventStreamResource(upstream.subscribe)
                port = serve("upstream", resource)
                await until(lambda: told[-1:] == ["20"], "it has come")
                await stop(mirrorPort, mirror.resource)
                await mirror.stop()
                # A line that was not written to its end.
                path.write_text(path.read_text() + '{"data": "half')
            if number == "30":
                mirror, mirrorPort = begin()
                await until(lambda: told[-1:] == ["30"], "it has come")
        await until(lambda: told[-1:] == sent[-1:], "all have come")
        self.assertEqual(told, sent)
        await client.close()
        await following
        await stop(mirrorPort, mirror.resource)
        await mirror.stop()
        await stop(port, resource)


class Terminal(ProcessProtocol):
    """
    A process in a terminal.

    @ivar shown: all that it has written.
    @ivar status: its exit status; L{None} until then.
    """

    transport: Any
    status: int | None = None

    def __init__(self, test: LiveTestCase, *arguments: str) -> None:
        """
        @param test: when it ends, so does the process.
        """
        self.shown = b""
        process = [sys.executable, *arguments]
        wide = {**environment(), "COLUMNS": "120", "LINES": "20"}
        reactor.spawnProcess(self, process[0], process, wide, str(ROOT), usePTY=True)
        test.addCleanup(lambda: Deferred.fromCoroutine(self._kill()))

    def outReceived(self, data: bytes) -> None:
        """
        It shows something.
        """
        self.shown += data

    def processEnded(self, reason: Failure) -> None:
        """
        It has ended.
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
    The dashboard in the terminal.
    """

    def row(self, *answers: Any) -> Any:
        """
        @return: a line of it, for what an agent answers.
        """
        options = {"agent": MemoryAgent(*answers), "reactor": Clock()}
        return example("terminal_dashboard").Row("http://sse.example/", **options)

    def test_rate(self) -> None:
        """
        A line counts the events, in all and in each of the last seconds, and shows the newest.
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
        A line says what is wrong, that it goes on, and how it has ended.
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
        It has a screen of its own, and when Ctrl-C ends it that is as it was before, with the last
        state below.
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
        Without a URL, or with what is none, it says so in a line.
        """
        for arguments, said in ([], b"usage"), (["ftp://sse.example/"], b"http://"):
            terminal = Terminal(self, str(EXAMPLES / "terminal_dashboard.py"), *arguments)
            self.assertEqual((await terminal.end(), terminal.shown.count(b"\n")), (1, 1))
            self.assertIn(said, terminal.shown)


@needs("network")
class StartedTests(SynchronousTestCase):
    """
    The examples, each as a process of its own.
    """

    def test_firstEvents(self) -> None:
        """
        The command at the head of each example starts a server that sends what it should.
        """
        with ThreadPoolExecutor(len(REQUESTS)) as pool:
            came = list(pool.map(firstEvent, REQUESTS))
        self.assertEqual(came, [asked.first for asked in REQUESTS])

    def test_allAreStarted(self) -> None:
        """
        No example is forgotten here.
        """
        names = {path.stem for path in EXAMPLES.glob("*.py")}
        elsewhere = {"mirror", "pytest_hello", "terminal_dashboard", "trial_hello"}
        self.assertEqual(names, {asked.name for asked in REQUESTS} | elsewhere)


class RunnerTests(SynchronousTestCase):
    """
    The examples that are tests.
    """

    def run_(self, name: str) -> str:
        """
        Run an example as it says.

        @return: what it printed.
        """
        with TemporaryDirectory() as temporary:
            first, *rest = command(name)
            # Not the settings of this project, and nothing left in its directory.
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
        trial runs the tests that the documentation shows for it.
        """
        self.assertIn("PASSED (successes=2)", self.run_("trial_hello"))

    def test_pytest(self) -> None:
        """
        pytest runs those for it.
        """
        self.assertIn("3 passed", self.run_("pytest_hello"))


class MemoryTests(SynchronousTestCase):
    """
    The examples, in memory.
    """

    def test_helloResource(self) -> None:
        """
        Who wants events gets C{hello} every two seconds, who does not gets C{ok}.
        """
        client = MemoryClient(example("hello_resource").resource)
        stream = client.get("/", headers=ACCEPT)
        client.clock.advance(4)
        self.assertEqual(stream.events, [HELLO, HELLO])
        self.assertEqual(client.get("/").text, "ok\n")
        stream.disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_helloKlein(self) -> None:
        """
        One route ticks for ever, the other counts and ends.
        """
        client = MemoryClient(example("hello_klein").app.resource())
        hello, count = client.get("/hello"), client.get("/count/3")
        client.clock.advance(2)
        self.assertEqual(hello.events, [HELLO])
        self.assertEqual([event.data for event in count.events], ["1", "2", "3"])
        self.assertTrue(count.complete)
        hello.disconnect()

    def test_countdown(self) -> None:
        """
        It counts, says that this was all, and sends nobody through it twice.
        """
        client = MemoryClient(example("countdown").resource)
        stream = client.get("/")
        client.clock.advance(5)
        data = [event.data for event in stream.events]
        self.assertEqual(data, ["5", "4", "3", "2", "1", "lift-off", ""])
        self.assertEqual(stream.events[-1], MessageEvent("end", "", "end"))
        self.assertTrue(stream.complete)
        again = client.get("/", headers={"Last-Event-ID": stream.events[-1].lastEventID})
        self.assertEqual(again.status, 204)

    def test_countdownResumed(self) -> None:
        """
        Who was cut off is told what is left.
        """
        client = MemoryClient(example("countdown").resource)
        stream = client.get("/", headers={"Last-Event-ID": "3"})
        self.assertEqual([event.data for event in stream.events], ["2"])
        stream.disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_tickerSource(self) -> None:
        """
        It begins with one, or behind what the client has.
        """
        resource = EventStreamResource(example("ticker_source").connected)
        client = MemoryClient(resource)
        for lastEventID, first in ("", "tick 1"), ("41", "tick 42"):
            stream = client.get("/", headers={"Last-Event-ID": lastEventID})
            self.assertEqual([event.data for event in stream.events], [first])
            stream.disconnect()

    def test_uploadProgress(self) -> None:
        """
        Each line is told when it is done, and the result at the end.
        """
        client = MemoryClient(example("upload_progress").app.resource())
        stream = client.post("/check", body="one two\nthree\n")
        client.clock.advance(0.3)
        self.assertEqual([event.type for event in stream.events], ["progress"])
        client.clock.advance(0.1)
        self.assertEqual(
            [event.type for event in stream.events], ["progress", "progress", "result", "end"]
        )
        self.assertEqual(stream.events[2].json(), {"words": 3})

    def test_uploadNothing(self) -> None:
        """
        An empty upload is an HTTP error, since nothing has been sent yet.
        """
        client = MemoryClient(example("upload_progress").app.resource())
        self.assertEqual(client.post("/check").status, 400)

    def test_chat(self) -> None:
        """
        What is said in a room is heard there, by those who are there, those who were, and those
        who come later; and what is no line is refused.
        """
        client = MemoryClient(example("chat_klein").app.resource())
        lobby, kitchen = client.get("/rooms/lobby"), client.get("/rooms/kitchen")
        said = client.post("/rooms/lobby", FORM, "name=Ada&text=%3Cb%3E hello%00")
        self.assertEqual(said.status, 204)
        line = {"name": "Ada", "text": "<b> hello\0"}
        self.assertEqual([event.json() for event in lobby.events], [line])
        self.assertEqual(kitchen.events, [])
        lobby.disconnect()
        client.post("/rooms/lobby", FORM, "name=Ada&text=2")
        lastEventID = lobby.events[-1].lastEventID
        again = client.get("/rooms/lobby", headers={"Last-Event-ID": lastEventID})
        self.assertEqual([event.json()["text"] for event in again.events], ["2"])
        self.assertEqual(len(client.get("/rooms/lobby").events), 2)
        for form in "", "name=Ada", "text=2", "name=%20&text=%20":
            self.assertEqual(client.post("/rooms/lobby", FORM, form).status, 400)
        client.close()

    def test_dashboard(self) -> None:
        """
        Who comes is sent all values, then each at its rate; who does not read, the newest of
        each, and how many it was not sent.
        """
        dashboard = example("dashboard")
        client = MemoryClient(dashboard.resource)
        dashboard.begin(client.clock)
        stream = client.get("/", headers=ACCEPT)
        types = [event.type for event in stream.events]
        self.assertEqual(sorted(types), sorted(dashboard.gauges))
        client.clock.advance(10)
        counts = Counter(event.type for event in stream.events)
        self.assertEqual(counts["cpu"], 3)
        self.assertGreater(counts["uptime"], 90)
        stream.stopReading(kernelBuffer=0)
        # More than the transport holds.
        dashboard.show("uptime", lambda: 100_000 * "x")
        client.clock.advance(50)
        stream.resumeReading()
        types = [event.type for event in stream.events]
        gap = types.index("stream-gap")
        self.assertGreater(int(stream.events[gap].data), 300)
        self.assertEqual(types[gap - 1], "uptime")
        self.assertLess(len(types[gap:]), 150)
        self.assertIn(
            "text/html",
            client.get("/", headers={"Accept": "text/html"}).headers.get("Content-Type") or "",
        )
        client.close()

    def test_notifications(self) -> None:
        """
        Each user gets what is for that user, for as long as the session lasts.
        """
        notifications = example("notifications")
        client = MemoryClient(notifications.app.resource())

        def logIn(user: str) -> dict[str, str]:
            answer = client.post("/login", FORM, f"user={user}")
            cookie, _, attributes = (answer.headers.get("Set-Cookie") or "").partition(";")
            self.assertEqual(bool(cookie), "HttpOnly" in attributes)
            return {"Cookie": cookie}

        ada, eve, nobody = map(logIn, ["ada", "eve", "nobody"])
        statuses = [client.get("/events", headers).status for headers in (ada, eve, nobody, {})]
        self.assertEqual(statuses, [200, 403, 401, 401])
        stream, others = client.get("/events", ada), client.get("/events", logIn("grace"))
        notifications.channel.publish("for ada", topics=["user:ada"])
        self.assertEqual(stream.events[-1].data, "for ada")
        self.assertEqual(others.events[-1].data, "grace is here")
        self.assertEqual(client.post("/logout", ada).status, 302)
        self.assertEqual((stream.complete, others.ended), (True, False))
        self.assertEqual(client.get("/events", ada).status, 401)
        client.close()

    def test_progress(self) -> None:
        """
        Who comes is told how far the job is, who comes back what it has missed, and both the
        result, also when the job is done.
        """
        client = MemoryClient(example("progress").root)
        started = client.post("/jobs")
        self.assertEqual(started.status, 201)
        path = started.headers["Location"]
        stream = client.get(path)
        client.clock.advance(0.5)
        self.assertEqual([event.data for event in stream.events], ["0", "2", "4"])
        stream.disconnect()
        client.clock.advance(0.4)
        lastEventID = stream.events[-1].lastEventID
        again = client.get(path, headers={"Last-Event-ID": lastEventID})
        new = client.get(path)
        self.assertEqual([event.data for event in again.events], ["6", "8"])
        self.assertEqual([event.data for event in new.events], ["8"])
        client.clock.advance(60)
        later = client.get(path)
        for each in again, new, later:
            self.assertEqual(
                [event.type for event in each.events[-2:]], ["result", "end"], each.events
            )
            self.assertTrue(each.complete)
        self.assertEqual(later.events[0].data, "It is done.")
        back = client.get(path, headers={"Last-Event-ID": lastEventID})
        self.assertEqual([event.data for event in back.events[-3:]], ["98", "It is done.", ""])
        self.assertEqual(client.get(path, headers={"Last-Event-ID": "end"}).status, 204)
        client.clock.advance(3600)
        self.assertEqual(client.get(path).status, 404)

    def test_progressFails(self) -> None:
        """
        The failure of a job is a result, too, and logged.
        """
        progress = example("progress")
        client = MemoryClient(progress.root)
        self.patch(progress, "deferLater", mock.Mock(side_effect=[ZeroDivisionError, Deferred()]))
        client.post("/jobs")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RecipeTests(SynchronousTestCase):
    """
    Twelve lines of plain Twisted.
    """

    def setUp(self) -> None:
        """
        Serve the recipe.
        """
        self.client = MemoryClient(example("recipe").Hello())

    def test_events(self) -> None:
        """
        The headers come at once, an event comes every two seconds.
        """
        stream = self.client.get("/")
        self.assertEqual((stream.status, stream.events), (200, []))
        self.client.clock.advance(4)
        self.assertEqual(stream.events, [HELLO, HELLO])

    def test_disconnect(self) -> None:
        """
        The loop goes with its client, and no other does.
        """
        one, other = self.client.get("/"), self.client.get("/")
        one.disconnect()
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        self.client.clock.advance(2)
        self.assertEqual(other.events, [HELLO])
        other.disconnect()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """
        A loop that fails is logged, and ends the response.
        """
        write = Request.write

        def writeNoEvent(request: Request, data: bytes) -> None:
            if data.startswith(b"event"):
                raise ZeroDivisionError
            write(request, data)

        self.patch(Request, "write", writeNoEvent)
        stream = self.client.get("/")
        self.client.clock.advance(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((stream.ended, stream.complete), (True, False))
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_head(self) -> None:
        """
        HEAD ends, so that the request behind it is answered.
        """
        self.assertEqual(answersToHeadAndGet(example("recipe").Hello()), 2)


def answersToHeadAndGet(resource: Resource) -> int:
    """
    Make a HEAD and a GET request on one connection.

    @return: how many of them are answered.
    """
    protocol: Any = Site(resource, reactor=Clock()).buildProtocol(None)
    transport: Any = StringTransport()
    protocol.makeConnection(transport)
    for method in b"HEAD", b"GET":
        protocol.dataReceived(method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return cast(int, transport.value().count(b"HTTP/1.1 200 OK"))


class WrongVersionTests(SynchronousTestCase):
    """
    What the documentation says of the recipe's wrong versions.
    """

    def setUp(self) -> None:
        """
        Load them.
        """
        self.wrong = load(ROOT / "docs" / "wrong.py")

    def test_neverRemoved(self) -> None:
        """
        C{notifyFinish().addBoth(self.remove)} removes nothing: the requests of all clients that
        ever came are kept.
        """
        resource = self.wrong.NeverRemoved()
        client = MemoryClient(resource)
        for _ in range(3):
            client.get("/").disconnect()
        self.assertEqual(len(resource.requests), 3)
        resource.publish(b"data: to nobody\n\n")

    def test_neverStopped(self) -> None:
        """
        A loop that nobody stops runs on after its client has gone, and nothing is logged.
        """
        client = MemoryClient(self.wrong.NeverStopped())
        client.get("/").disconnect()
        client.clock.advance(1000)
        self.assertEqual(len(client.clock.getDelayedCalls()), 1)

    def test_diesSilently(self) -> None:
        """
        A loop whose Deferred is kept fails without a word; the client waits; and to stop the loop
        is one more error.
        """
        measurements = iter([20, 21])
        client = MemoryClient(self.wrong.DiesSilently(lambda: next(measurements)))
        stream = client.get("/")
        client.clock.advance(1000)
        self.assertEqual([event.data for event in stream.events], ["20", "21"])
        self.assertEqual((stream.ended, client.clock.getDelayedCalls()), (False, []))
        self.assertEqual(self.flushLoggedErrors(), [])
        stream.disconnect()
        del stream, client
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)
        self.flushLoggedErrors(StopIteration)

    def test_headNeverEnds(self) -> None:
        """
        What follows a HEAD that is held open is not answered.
        """
        self.assertEqual(answersToHeadAndGet(self.wrong.HeadNeverEnds()), 1)

    def test_noFirstByte(self) -> None:
        """
        Before the first event there is no response.
        """
        client = MemoryClient(self.wrong.NoFirstByte())
        stream = client.get("/")
        client.clock.advance(59)
        self.assertIs(stream.status, None)
        client.clock.advance(1)
        self.assertEqual(stream.status, 200)
        stream.disconnect()

    def test_unescaped(self) -> None:
        """
        Text with a newline is more than data.
        """
        data = self.wrong.unescaped("hi\n\nevent: logout\ndata: now")
        self.assertEqual(
            [event.type for event in EventStreamParser().feed(data)], ["message", "logout"]
        )

    def test_nobodyPauses(self) -> None:
        """
        What a client does not read grows in the server's memory.
        """
        client = MemoryClient(self.wrong.NobodyPauses())
        stream = client.get("/")
        stream.stopReading(kernelBuffer=0)
        client.clock.advance(100)
        stream.resumeReading()
        self.assertGreater(len(stream.body), 9_000_000)
        stream.disconnect()
