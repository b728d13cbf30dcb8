"""
Tests for the types that users see: the code of the documentation, the examples and more, under mypy
and pyright.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkers import extract, mypy, pyright
from tests.support.requirements import ROOT, needs
from tests.support.tutorials import TUTORIALS, snapshots

#: Errors that mypy finds in Twisted itself.
OF_TWISTED = [
    # A Site is not a factory of protocols that have the attribute "factory".
    r'Argument \d to "(listenTCP|adoptStreamPort)" .* incompatible type "Site"',
    # The getHost() of a port returns an IAddress, and that has no port.
    r'"IAddress" has no attribute "port"',
]

#: Errors that mypy finds without mypy-zope: a class that implements an interface is not of its
#: type, and the methods of an interface lack their first argument.
OF_INTERFACES = [
    *OF_TWISTED,
    r"Invalid self argument",
    r"does not accept self argument",
    r'Argument \d to "(listenTCP|adoptStreamPort)" of "IReactor',
    r'Too many arguments for "(IReactorSocket|adoptStreamPort)"',
    r'"addBoth" .* "Callable\[\[Any\], None\]"',  # of reactor.stop()
    r'Argument 2 to "putChild" of "Resource"',
    r'"KleinRouteHandlerT" .* "Callable\[\[(\w+, )?IRequest\], (EventStreamResource|Hub|KleinResource)\]"',
    r'Argument 1 to "CookieAgent"',
]

#: The same for pyright, which has no plugins.
OF_PYRIGHT = [
    r'attribute "(listenTCP|run|stop|adoptStreamPort|callFromThread)" for class "_?IReactor',
    r"howto_redis_python.py:\d+: Expected 0 positional arguments",  # IReactorSocket(reactor)
    r'parameter "child" of type "IResource" in function "putChild"',
    r'-> (EventStreamResource|Hub|KleinResource)" .* "KleinRouteHandlerT@route"',
    r'parameter "agent" of type "IAgent" in function',  # of CookieAgent
]

#: Code that users write, besides the documentation, with the types that each expression must have.
CODE = """
from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.client import Agent, ProxyAgent
from twisted.web.iweb import IAgent, IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from twisted.web.static import Data

from twisted_sse import Channel, CloseReason, Event, EventStream, EventStreamResource, History
from twisted_sse.aio import AsyncioIterator, fromAsyncio
from twisted_sse.client import EventSource
from twisted_sse.klein import EventStreamRoute, eventStream
from twisted_sse.testing import MemoryClient, MemoryClock

app = Klein()


@app.route("/generator")
@eventStream
def generator(request: IRequest) -> Iterator[Event]:
    yield Event("x")


@app.route("/generator/<int:last>")
@eventStream(heartbeat=5, maxStreams=10)
def numbers(request: Request, last: int) -> Generator[str, None, None]:
    yield str(last)


@app.route("/iterable")
@eventStream()
def iterable(request: IRequest) -> Iterable[Event]:
    yield Event("x")


@app.route("/asyncGenerator")
@eventStream
async def asyncGenerator(request: IRequest) -> AsyncIterator[Event | str]:
    yield "x"


@app.route("/coroutine")
@eventStream
async def coroutine(request: IRequest) -> None:
    stream = EventStream.of(request)
    stream.key = "ada", 7
    sent: bool = stream.send(json={"a": 1}, event="x")


@app.route("/coroutineOfEvents")
@eventStream(once=True)
async def coroutineOfEvents(request: Request) -> list[Event]:
    EventStream.of(request).every(1, lambda: Event("x"))
    return [Event("x")]


class Shop:
    app = Klein()

    @app.route("/news")
    @eventStream
    async def news(self, request: IRequest) -> AsyncIterator[str]:
        yield "news"


route: EventStreamRoute[[Request, int]] = numbers
resource: EventStreamResource = numbers.resource
also: EventStreamResource = Shop().news.resource
ended: int = generator.resource.disconnect("ada", retry=5000)
drained: Deferred[None] = Shop.news.resource.drain(5)

client = MemoryClient(EventStreamResource(lambda stream: None))
others = MemoryClient(app.resource(), clock=client.clock), MemoryClient(Resource())
text: str = client.get("/", headers={"Accept": "text/event-stream"}).text


def given(any: IResource, request: IRequest) -> tuple[MemoryClient, EventStreamResource]:
    EventStream.of(request).end()
    return MemoryClient(any), EventStreamResource(lambda stream: None, fallback=any)


def connected(stream: EventStream) -> None:
    cookie: bytes | None = stream.request.getCookie(b"session")
    kept: int = len(channel.history)
    known: bool = stream.lastEventID in channel.history
    stream.whenClosed().addCallback(closed)


def closed(reason: CloseReason) -> None:
    print(reason.value)


channel = Channel(History(maxEvents=5), reactor=MemoryClock())
plain = Channel(history=None, name="plain", reactor=Clock())
event: Event = channel.publish("x", topics=["a"])
EventStreamResource(connected, fallback=Data(b"ok", "text/plain"), reactor=Clock())
EventStreamResource(channel.subscribe, origins="*", allowHeaders=["X-A"], exposeHeaders=("X-B",))


async def letters() -> AsyncIterator[str]:
    yield "a"


@asynccontextmanager
async def managed() -> AsyncIterator[AsyncIterator[str]]:
    yield letters()


async def length(word: str) -> int:
    return len(word)


@app.route("/relayed")
@eventStream
async def relayed(request: IRequest) -> AsyncIterator[str]:
    items: AsyncioIterator[str] = fromAsyncio(letters())
    others: AsyncioIterator[str] = fromAsyncio(managed())
    result: Deferred[int] = fromAsyncio(length("word"))
    number: int = await fromAsyncio(length("word"))
    async for letter in others:
        print(letter.upper())
    return await items.whenStarted()


EventStreamResource(lambda stream: fromAsyncio(letters()))


def sources(reactor: Any, any: IAgent, proxy: ProxyAgent) -> list[EventSource]:
    agents: list[IAgent | Agent | ProxyAgent] = [any, Agent(reactor), proxy]
    return [EventSource("http://localhost", agent=agent) for agent in agents]
"""

#: Errors that must be found.  Each wrong line has a comment.
WRONG = """
from __future__ import annotations

from twisted.web.iweb import IRequest

from twisted_sse import Channel, Event, EventStream, EventStreamResource
from twisted_sse.klein import eventStream
from twisted_sse.testing import MemoryClient


@eventStream
async def route(request: IRequest, name: str) -> None:
    EventStream.of(name)  # wrong
    EventStream.of(request).nothing()  # wrong
    EventStream.of(request).request.nothing()  # wrong


@eventStream  # wrong
def plain(request: IRequest) -> int:
    return 5


route.resource.nothing()  # wrong
route("request", "name")  # wrong
MemoryClient("/")  # wrong
EventStreamResource(print, fallback="ok")  # wrong
Channel().publish(5)  # wrong
Channel(reactor=5)  # wrong
Event(5)  # wrong
"""


def unexplained(found: list[str], excuses: list[str]) -> list[str]:
    """
    @return: the findings without an excuse, and the excuses without a finding.
    """
    rest = [each for each in found if not any(re.search(excuse, each) for excuse in excuses)]
    needless = [
        f"not needed: {excuse}"
        for excuse in excuses
        if not any(re.search(excuse, each) for each in found)
    ]
    return rest + needless


@needs("docs")
class CheckerTests(SynchronousTestCase):
    """
    Tests for the code of the documentation and the examples.
    """

    maxDiff = None

    def setUp(self) -> None:
        """
        Write the code to files.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.good, self.wrong = Path(temporary.name, "good"), Path(temporary.name, "wrong")
        self.good.mkdir()
        self.wrong.mkdir()
        extract(self.good)
        for example in (ROOT / "examples").glob("*.py"):
            # Django has no annotations.
            if example.stem != "django_hub":
                shutil.copy(example, self.good)
        for page in TUTORIALS:
            for name, text in snapshots(page):
                self.assertFalse((self.good / name).exists(), name)
                (self.good / name).write_text(text, encoding="utf-8")
        (self.good / "users.py").write_text(CODE, encoding="utf-8")
        (self.wrong / "wrong.py").write_text(WRONG, encoding="utf-8")

    def assertFound(self, good: list[str], excuses: list[str], wrong: list[str]) -> None:
        """
        Assert that every wrong line is found, and otherwise only excused findings.
        """
        self.assertEqual(unexplained(good, excuses), [])
        lines = {
            f"wrong.py:{number}"
            for number, line in enumerate(WRONG.splitlines(), 1)
            if line.endswith("# wrong")
        }
        self.assertEqual({":".join(each.split(":")[:2]) for each in wrong}, lines, wrong)

    def test_mypyZope(self) -> None:
        """
        The code passes mypy in strict mode with mypy-zope.
        """
        good, wrong = mypy(self.good, plugin=True), mypy(self.wrong, plugin=True)
        self.assertFound(good, OF_TWISTED, wrong)

    def test_mypy(self) -> None:
        """
        The code passes mypy in strict mode without a plugin, except where Twisted lacks types.
        """
        good, wrong = mypy(self.good, plugin=False), mypy(self.wrong, plugin=False)
        self.assertFound(good, OF_INTERFACES, wrong)

    def test_pyright(self) -> None:
        """
        The code passes pyright in basic mode, except where Twisted lacks types.
        """
        self.assertFound(pyright(self.good), OF_PYRIGHT, pyright(self.wrong))
