"""
A server of the live page, whose streams the test controls: each request receives the next prepared
response.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.support.browsers import Browsing
from tests.support.live import PATIENCE, Server, reactor
from twisted_sse.daemon.pages import AllPage, Greeting, Shown, SourceList, pageFiles

__all__ = [
    "AXE",
    "LATER",
    "Answer",
    "PageCase",
    "PageServer",
    "Source",
    "opens",
    "refuses",
    "vanishes",
]

#: Where npm puts axe-core.
AXE = "node_modules/axe-core/axe.min.js"

#: A script that sets the clock of a page ahead: C{ahead} is in milliseconds.  Its timers are not
#: changed.
LATER = """
window.ahead = 0;
const now = Date.now.bind(Date);
Date.now = () => now() + window.ahead;
"""

#: A function that answers a request for a stream.
Answer = Callable[[Request], None]


def opens(text: str = "") -> Answer:
    """
    Make a response that is a stream, and stays open.

    @param text: the text it sends first.
    """

    def answer(request: Request) -> None:
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(text.encode() or b":\n\n")

    return answer


def refuses(
    status: int, headers: Mapping[str, str] = {}, body: bytes = b"", type: str = "text/plain"
) -> Answer:
    """
    Make a response that is not a stream.
    """

    def answer(request: Request) -> None:
        request.setResponseCode(status)
        request.setHeader(b"content-type", type.encode())
        for name, value in headers.items():
            request.setHeader(name.encode(), value.encode())
        if body:
            request.write(body)
        request.finish()

    return answer


def vanishes(request: Request) -> None:
    """
    Cut the connection off without an answer.
    """
    request.transport.abortConnection()  # type: ignore[union-attr]


class Source(Resource):
    """
    A page with its stream.

    @ivar answers: the responses to the next requests for the stream; later requests receive
        C{otherwise}.
    @ivar requests: the requests for the stream, in the order of their arrival.
    @ivar open: the requests that have not ended.
    """

    isLeaf = True

    def __init__(self, page: Greeting, otherwise: Answer | None = None) -> None:
        super().__init__()
        self.page = page
        self.answers: deque[Answer] = deque()
        self.otherwise = opens() if otherwise is None else otherwise
        self.requests: list[Request] = []
        self.open: list[Request] = []

    def render(self, request: Request) -> Any:
        """
        Respond with the page, or as the test prescribes.
        """
        if b"text/event-stream" not in (request.getHeader(b"accept") or b""):
            return self.page.render(request)
        self.requests.append(request)
        self.open.append(request)
        request.notifyFinish().addBoth(lambda _: self.open.remove(request))
        (self.answers.popleft() if self.answers else self.otherwise)(request)
        return NOT_DONE_YET

    def send(self, text: str) -> None:
        """
        Send text on the streams that are open.
        """
        for request in self.open:
            request.write(text.encode())

    def cut(self) -> None:
        """
        Cut the streams off.
        """
        for request in list(self.open):
            request.transport.abortConnection()  # type: ignore[union-attr]

    def end(self) -> None:
        """
        End the streams properly.
        """
        for request in list(self.open):
            request.finish()


class _Sources(Resource):
    """
    C{page/sources}: the data of the index.

    @ivar told: an item for each source.
    @ivar status: the status of the response.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, Any]] = []
        self.status = 200

    def render_GET(self, request: Request) -> bytes:
        """
        Respond.
        """
        request.setResponseCode(self.status)
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(self.told).encode()


class _Frame(Resource):
    """
    A page of another origin, that shows another page in a frame.
    """

    isLeaf = True

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def render_GET(self, request: Request) -> bytes:
        """
        Respond.
        """
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        return (
            "<!doctype html><title>Dashboard</title>"
            f'<iframe id="live" src="{self._address}" width="640" height="400"></iframe>'
        ).encode()


class PageServer:
    """
    The page of one source at C{/}, or of several, with an index and C{/all}.

    @ivar sources: by path.
    @ivar told: the data of the index, see L{_Sources}.
    """

    def __init__(
        self,
        test: PageCase,
        shown: Mapping[str, Shown],
        *,
        heartbeat: float | None = 15,
        embedders: tuple[str, ...] = (),
    ) -> None:
        self.sources: dict[str, Source] = {}
        self.told = _Sources()
        root = Resource()
        files = pageFiles()
        files.putChild(b"sources", self.told)  # type: ignore[attr-defined]
        root.putChild(b"page", files)
        for path, each in shown.items():
            index = None if len(shown) == 1 else "/"
            greeting = Greeting(each, len(shown), index, heartbeat, embedders)
            self.sources[path] = source = Source(greeting)
            root.putChild(path[1:].encode(), source)
            activity = {"lines": 0, "last": None, "lastAt": None, "rates": [0] * 60}
            self.told.told.append(
                {"path": path, "kind": each.kind, "label": each.label, **activity}
            )
        if len(shown) > 1:
            everything = Shown("/all", "all", "All sources")
            root.putChild(b"all", AllPage(everything, len(shown), "/", heartbeat, embedders))
            labels = {path: each.label for path, each in shown.items()}
            root.putChild(b"", SourceList(labels, embedders=embedders))
        self._test = test
        self._root = root
        self.server = Server(test, root)
        self.url = self.server.url

    @property
    def source(self) -> Source:
        """
        The only source.
        """
        [source] = self.sources.values()
        return source

    def frame(self, address: str) -> str:
        """
        Serve a page that shows another one, at another origin.

        @return: its address.
        """
        return Server(self._test, _Frame(address)).url

    async def stop(self) -> None:
        """
        Stop listening, and cut off all connections.
        """
        await self.server.port.stopListening()
        for connection in self.server.connections:
            connection.abortConnection()

    def start(self) -> None:
        """
        Listen again, on the same port.
        """
        self.server.port = reactor.listenTCP(
            self.server.address[1], self.server.site, 256, "127.0.0.1"
        )


class PageCase(Browsing):
    """
    Opens the page in Chromium.
    """

    #: The subject of a page with one source.
    shown = Shown("/", "file", "app.log", "/srv/shop/app.log")

    def page(self, *shown: Shown, **options: Any) -> PageServer:
        """
        Serve the page.

        @param shown: the sources; L{shown} by default.
        @param options: see L{PageServer}.
        """
        return PageServer(self, {each.path: each for each in shown or [self.shown]}, **options)

    async def start(self, *more: str) -> None:
        """
        Start the browser.

        @param more: more arguments for it.
        """
        self.browser = await self.browse(*more)
        await deferToThread(self.browser.set_script_timeout, PATIENCE)

    async def command(self, name: str, **arguments: Any) -> Any:
        """
        Send the browser a DevTools command.
        """
        return await deferToThread(self.browser.execute_cdp_cmd, name, arguments)

    async def theme(self, name: str) -> None:
        """
        Use the light theme, or the dark one.
        """
        features = [{"name": "prefers-color-scheme", "value": name}]
        await self.command("Emulation.setEmulatedMedia", features=features)

    async def resize(self, width: int, height: int) -> None:
        """
        Resize the page.
        """
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        await self.command("Emulation.setDeviceMetricsOverride", **size, mobile=width < 768)

    async def open(self, url: str) -> None:
        """
        Open a page, after another one, so that no state of the previous page is left.
        """
        await deferToThread(self.browser.get, "about:blank")
        await deferToThread(self.browser.get, url)

    async def run_(self, script: str, *arguments: Any) -> Any:
        """
        Run JavaScript in the page.
        """
        return await deferToThread(self.browser.execute_script, script, *arguments)

    async def until(self, script: str, *arguments: Any, why: object = "") -> Any:
        """
        Wait until an expression is true.

        @return: its value.
        """
        deadline = reactor.seconds() + PATIENCE
        while not (value := await self.run_(f"return {script}", *arguments)):
            if reactor.seconds() > deadline:
                seen = await self.run_("return document.body.innerText")
                self.fail(f"never: {script} {arguments} {why}\n{seen[:500]}")
            await deferLater(reactor, 0.05)
        return value

    async def says(self, selector: str, text: str) -> None:
        """
        Wait until an element has a text.
        """
        await self.until(
            "document.querySelector(arguments[0])?.textContent === arguments[1]", selector, text
        )

    async def matches(self, selector: str, pattern: str) -> None:
        """
        Wait until the text of an element matches a regular expression.
        """
        await self.until(
            "new RegExp(`^(?:${arguments[1]})$`)"
            ".test(document.querySelector(arguments[0])?.textContent)",
            selector,
            pattern,
        )

    async def text(self, selector: str) -> str:
        """
        Read the text of an element; empty if it is hidden.
        """
        return str(
            await self.run_(
                "const it = document.querySelector(arguments[0]);"
                "return it === null || it.hidden ? '' : it.textContent",
                selector,
            )
        )

    async def markers(self) -> list[str]:
        """
        List the markers in the list.
        """
        found = "return [...document.querySelectorAll('#list > .marker')].map((it) => it.innerText)"
        return list(await self.run_(found))

    async def messages(self) -> list[str]:
        """
        List the messages of the rows.
        """
        found = "[...document.querySelectorAll('#list .message')].map((it) => it.textContent)"
        return list(await self.run_(f"return {found}"))

    async def press(self, keys: str) -> None:
        """
        Press keys, wherever the focus is.
        """
        from selenium.webdriver import ActionChains

        def do() -> None:
            ActionChains(self.browser, duration=0).send_keys(keys).perform()

        await deferToThread(do)

    async def click(self, selector: str) -> None:
        """
        Click on an element.
        """
        from selenium.webdriver.common.by import By

        element = await deferToThread(self.browser.find_element, By.CSS_SELECTOR, selector)
        await deferToThread(element.click)
