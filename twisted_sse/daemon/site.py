"""
The daemon's site, which keeps no large request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

from twisted.web.pages import errorPage
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from ..guard.bodies import LimitedRequest
from ..guard.site import GuardedSite
from ..hub.refused import Refused
from .connections import CountedRequest, CountedSite
from .request import PlainRequest

__all__ = ["PublishedRequest", "SmallRequest", "SmallSite"]

#: The largest body of a request that is kept, in bytes.  Twisted reads the whole body before a
#: password is asked for.
MOST_BODY = 2**14

#: The largest body of one who may publish.
MOST_PUBLISHED = 2**20


class SmallRequest(CountedRequest, LimitedRequest, PlainRequest):
    """
    A request whose body is kept only if it is small.

    @since: 0.1
    """

    maxBody = MOST_BODY

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


class PublishedRequest(SmallRequest):
    """
    A request whose body is kept only if it is small, or its sender may publish.

    @ivar refused: why a larger body was not kept.

    @since: 0.1
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
            try:
                cast(Any, self.channel).site.check(self)
            except Refused as e:
                self.refused = e
                self.content = _Nothing()
        super().handleContentChunk(data)


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

    @ivar check: raises L{Refused} if a request may not publish; L{None} if nothing is published.

    @since: 0.1
    """

    requestFactory = SmallRequest
    displayTracebacks = False
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
