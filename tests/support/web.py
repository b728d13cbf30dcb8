"""
Examples in Chromium, with the scripts that their pages load from a CDN; here npm has installed
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from twisted.web.static import File

from tests.support.live import Server, reactor
from tests.support.page_server import PageCase
from tests.support.requirements import ROOT

__all__ = ["CDN", "DATASTAR", "MODULES", "WebCase", "local", "packageFile"]

#: The address of the CDN in the examples and the documentation.
CDN = "https://cdn.jsdelivr.net/"

#: Where npm installs.
MODULES = ROOT / "node_modules"

#: Where C{.ci/provide} puts the script of Datastar 1, which npm lacks.
DATASTAR = ROOT / ".datastar" / "starhtml" / "static" / "js" / "datastar-core.js"

#: A package on the CDN: its name, version and file.
_PACKAGE = re.compile(r"npm/((?:@[\w.-]+/)?[\w.-]+)@([\d.]+)/([\w./-]+)")


def _installed() -> Iterator[tuple[str, str, Path]]:
    """
    List the packages that npm has installed: a package may be in a folder of another name.
    """
    for pattern in "*/package.json", "@*/*/package.json":
        for path in MODULES.glob(pattern):
            told = json.loads(path.read_text(encoding="utf-8"))
            yield told["name"], told["version"], path.parent


def packageFile(path: str) -> Path | None:
    """
    Find a file of the CDN on this machine.

    @param path: its path on the CDN, with the version: another version with the same major number
        may be installed.
    """
    if re.fullmatch(r"gh/starfederation/datastar@v1\.[\d.]+/bundles/datastar\.js", path):
        return DATASTAR
    match = _PACKAGE.fullmatch(path)
    if match is None:
        return None
    name, version, file = match.groups()
    for installed, itsVersion, folder in _installed():
        if installed == name and itsVersion.partition(".")[0] == version.partition(".")[0]:
            return folder / file
    return None


def local(page: str) -> str:
    """
    Make a page load its scripts from L{Site}.
    """
    return page.replace(CDN, "/cdn/")


class _CDN(Resource):
    """
    The files of the CDN.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> Any:
        """
        Respond.
        """
        path = packageFile(b"/".join(request.postpath or []).decode())
        if path is None or not path.is_file():
            request.setResponseCode(404)
            return b""
        return File(str(path), "text/javascript; charset=utf-8").render(request)


class _Whole(Resource):
    """
    An application, and the files of the CDN at C{/cdn}.

    @ivar refuse: the number of next requests for event streams that get a 502, as from a proxy
        whose server is being restarted.
    @ivar asked: the last event ID of each request for an event stream that reached the application.
    """

    def __init__(self, application: IResource) -> None:
        super().__init__()
        self.application = application
        self.refuse = 0
        self.asked: list[str] = []
        self.putChild(b"cdn", _CDN())

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """
        Find the resource that responds.
        """
        if path == b"cdn":
            return self.children[path]
        if b"text/event-stream" in (request.getHeader(b"accept") or b""):
            if self.refuse:
                self.refuse -= 1
                return _Refusal()
            query: dict[bytes, list[bytes]] = request.args or {}
            header = request.getHeader(b"last-event-id")
            self.asked.append((header or query.get(b"lastEventID", [b""])[-1]).decode())
        # As if this resource were not here.
        assert request.postpath is not None and request.prepath is not None
        request.postpath.insert(0, request.prepath.pop())
        if self.application.isLeaf:
            return self.application
        return self.application.getChildWithDefault(request.postpath.pop(0), request)


class _Refusal(Resource):
    """
    The response of a proxy without a server.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """
        Respond.
        """
        request.setResponseCode(502)
        return b"bad gateway"


class WebCase(PageCase):
    """
    Has the page of an example in Chromium.
    """

    async def visit(self, application: IResource, path: str = "", refuse: int = 0) -> None:
        """
        Serve an application, and open its page.

        @param refuse: the number of requests for event streams that first get a 502.
        """
        self.whole = _Whole(application)
        self.whole.refuse = refuse
        self.server = Server(self, self.whole)
        await self.start()
        await self.open(self.server.url + path)

    def useLocal(self, module: ModuleType, *names: str) -> None:
        """
        Make an example load its scripts from here.

        @param names: the pages, or parts of them.
        """
        for name in names:
            page = local(getattr(module, name))
            assert CDN not in page and "/cdn/" in page, name
            self.patch(module, name, page)

    def cut(self) -> None:
        """
        Cut off all connections.
        """
        for connection in self.server.connections:
            connection.abortConnection()

    async def stopServer(self) -> None:
        """
        Stop listening, and cut off all connections, as when a server is killed.
        """
        await self.server.port.stopListening()
        self.cut()

    def startServer(self, application: IResource) -> None:
        """
        Serve another application at the same port.
        """
        self.whole.application = application
        self.server.port = reactor.listenTCP(
            self.server.address[1], self.server.site, 256, "127.0.0.1"
        )

    async def texts(self, selector: str) -> list[str]:
        """
        List the texts of elements.
        """
        found = "return [...document.querySelectorAll(arguments[0])].map((it) => it.textContent)"
        return list(await self.run_(found, selector))

    async def hide(self, hidden: bool) -> None:
        """
        Make the page believe that its tab is hidden, or shown again.
        """
        await self.run_(
            "Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true });"
            "document.dispatchEvent(new Event('visibilitychange'));",
            hidden,
        )
