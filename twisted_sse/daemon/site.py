"""
The daemon's site, which keeps no large request.
"""

from __future__ import annotations

from io import BytesIO

from twisted.web.pages import errorPage
from twisted.web.resource import IResource
from twisted.web.server import Request

from ..guard.site import GuardedSite
from .connections import CountedRequest, CountedSite
from .request import PlainRequest

__all__ = ["SmallRequest", "SmallSite"]

#: The largest body of a request that is kept, in bytes.  The daemon needs no bodies, but Twisted
#: reads the whole body before a password is asked for.
MOST_BODY = 2**14

#: How much of a larger body is read, in bytes, so that its client reads the answer.
MOST_READ = 2**20


class SmallRequest(CountedRequest, PlainRequest):
    """
    A request whose body is kept only if it is small.

    @since: 0.1
    """

    _size = 0

    @property
    def isTooLarge(self) -> bool:
        """
        Whether its body was too large to be kept.
        """
        return self._size > MOST_BODY

    def __repr__(self) -> str:
        """
        Name the request in Twisted's own log: without its query, which often contains tokens.
        """
        path = self.uri.partition(b"?")[0]
        return f"<{type(self).__name__} {self.method!r} {path!r}>"

    def gotLength(self, length: int | None) -> None:
        """
        See L{Request}, which would make a temporary file for a large body.
        """
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        See L{Request}.
        """
        self._size += len(data)
        if not self.isTooLarge:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]
            return
        self.content = BytesIO()
        if self._size > MOST_READ:
            self.loseConnection()  # type: ignore[no-untyped-call]


class SmallSite(CountedSite, GuardedSite):
    """
    A site whose requests are small.

    @since: 0.1
    """

    requestFactory = SmallRequest
    displayTracebacks = False

    def getResourceFor(self, request: Request) -> IResource:
        """
        See L{Site<twisted.web.server.Site>}.
        """
        if isinstance(request, PlainRequest) and request.refusal is not None:
            return errorPage(*request.refusal)
        if isinstance(request, SmallRequest) and request.isTooLarge:
            what = f"The body of a request must not have more than {MOST_BODY} bytes"
            return errorPage(413, "Content Too Large", what)
        return super().getResourceFor(request)  # type: ignore[no-untyped-call,no-any-return]
