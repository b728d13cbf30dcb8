"""
The daemon's site, which keeps no large request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.pages import errorPage
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from ..guard.bodies import LimitedRequest
from ..guard.site import GuardedSite
from ..hub.refused import Refused
from .connections import Connection, Connections
from .request import PlainRequest

__all__ = [
    "MOST_BODY",
    "MOST_PUBLISHED",
    "CountedRequest",
    "CountedSite",
    "PublishedRequest",
    "SmallRequest",
    "SmallSite",
]

#: The largest body of a request that is kept, in bytes.  Twisted reads the whole body before a
#: password is asked for.
MOST_BODY = 2**14

#: The largest body of one who may publish.
MOST_PUBLISHED = 2**20


class CountedRequest(Request):
    """
    A request that tells its connection when it is whole, and when it was answered.

    @ivar connection: L{None} while it is not whole, and if connections are not counted.

    @since: 0.2
    """

    connection: Connection | None = None

    def process(self) -> None:
        """
        See L{Request}.
        """
        connections = getattr(getattr(self.channel, "site", None), "connections", None)
        if connections is not None:
            self.connection = connections.of(self)
            if self.connection is not None:
                self.connection.began(self)
        super().process()  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """
        See L{Request}.
        """
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.ended(self)
        super().finish()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{Request}.
        """
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.ended(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class CountedSite(Site):
    """
    A site whose connections are limited.

    @ivar connections: the limits; L{None} for none.

    @since: 0.2
    """

    connections: Connections | None = None
    requestFactory = CountedRequest

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        See L{Site}.
        """
        protocol = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        return protocol if self.connections is None else self.connections.watch(protocol, addr)


class SmallRequest(CountedRequest, LimitedRequest, PlainRequest):
    """
    A request whose body is kept only if it is small.

    @since: 0.2
    """

    maxBody = MOST_BODY
    # PlainRequest reads none.
    readsForms = False

    def __repr__(self) -> str:
        """
        Name the request in Twisted's own log: without its query, which often contains tokens.
        """
        path = self.uri.partition(b"?")[0]
        return f"<{type(self).__name__} {self.method!r} {path!r}>"


class _Nothing(BytesIO):
    """
    Keeps nothing.
    """

    def write(self, data: Any) -> int:
        return len(data)


class _NotKept(_Nothing):
    """
    Keeps nothing, and says so to what reads it.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__()
        self._refused = refused

    def read(self, size: int | None = -1, /) -> bytes:
        raise self._refused


class PublishedRequest(SmallRequest):
    """
    A request whose body is kept only if it is small, or its sender may publish.

    @ivar refused: why a larger body was not kept.

    @since: 0.2
    """

    maxBody = MOST_PUBLISHED
    refused: Refused | None = None

    _received = 0

    def handleContentChunk(self, data: bytes) -> None:
        """
        See L{Request}.
        """
        before, self._received = self._received, self._received + len(data)
        # Not sooner: over HTTP/2 the length comes before other headers.
        if before <= MOST_BODY < self._received:
            self.readHead()
            try:
                checking = cast(Any, self.channel).site.check(self)
            except Refused as e:
                self.refused = e
                self.content = _Nothing()
            else:
                if checking is not None:
                    checking.addErrback(self._notKept)
        super().handleContentChunk(data)

    def _notKept(self, failure: Failure) -> None:
        """
        The sender may not publish.  The resource finds that out, too, and says so in its own way.
        """
        failure.trap(Refused)
        self.content = _NotKept(cast(Refused, failure.value))


class _RefusedPage(Resource):
    """
    Says why a body was not kept.
    """

    isLeaf = True

    def __init__(self, refused: Refused) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._refused = refused

    def render(self, request: Request) -> bytes:
        """
        Answer a request.
        """
        request.setResponseCode(self._refused.status)
        request.setHeader(b"content-type", b"application/json")
        for name, value in self._refused.headers.items():
            request.setHeader(name, value)
        return json.dumps({"error": self._refused.why}).encode("ascii") + b"\n"


class SmallSite(CountedSite, GuardedSite):
    """
    A site whose requests are small.

    @ivar check: raises L{Refused} if a request may not publish, or returns a L{Deferred
        <twisted.internet.defer.Deferred>} that fails with that; L{None} if nothing is published.

    @since: 0.2
    """

    requestFactory = SmallRequest
    displayTracebacks = False
    # Twisted would log the beginning and the end of the site beside those of its port.
    noisy = False
    check: Callable[[Request], object] | None = None

    def getResourceFor(self, request: Request) -> IResource:
        """
        See L{Site<twisted.web.server.Site>}.
        """
        if isinstance(request, PlainRequest) and request.refusal is not None:
            return errorPage(*request.refusal)
        if isinstance(request, PublishedRequest) and request.refused is not None:
            return _RefusedPage(request.refused)
        return super().getResourceFor(request)  # type: ignore[no-untyped-call,no-any-return]
