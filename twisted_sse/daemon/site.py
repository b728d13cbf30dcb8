"""
The site of the daemon: whoever may ask, and however, a request is small.
"""

from __future__ import annotations

from io import BytesIO

from twisted.web.pages import errorPage
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

__all__ = ["SmallRequest", "SmallSite"]

#: How much of a request's body is kept, in bytes.  Nothing here needs one; and Twisted reads all
#: of it before anybody is asked for a password, and parses what came from a form.
MOST_BODY = 2**14

#: How much is read of one that is larger, in bytes, so that its client reads the answer.
MOST_READ = 2**20


class SmallRequest(Request):
    """
    A request whose body is kept only if it is small.

    @since: 0.1
    """

    _size = 0

    @property
    def isTooLarge(self) -> bool:
        """
        Whether its body is not kept.
        """
        return self._size > MOST_BODY

    def gotLength(self, length: int | None) -> None:
        """
        See L{Request}, which would make a file for a long one.
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
        # Nothing of it is to be parsed.
        self.content = BytesIO()
        if self._size > MOST_READ:
            self.loseConnection()  # type: ignore[no-untyped-call]


class SmallSite(Site):
    """
    A site whose requests are small.

    @since: 0.1
    """

    requestFactory = SmallRequest
    displayTracebacks = False

    def getResourceFor(self, request: Request) -> IResource:
        """
        See L{Site}.
        """
        if isinstance(request, SmallRequest) and request.isTooLarge:
            what = f"The body of a request must not have more than {MOST_BODY} bytes"
            return errorPage(413, "Content Too Large", what)
        return super().getResourceFor(request)  # type: ignore[no-untyped-call,no-any-return]
