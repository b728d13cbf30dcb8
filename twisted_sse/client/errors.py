"""
What goes wrong with a client.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers

__all__ = [
    "BadCertificate",
    "BadContentType",
    "BadRedirect",
    "BadStatus",
    "EventSourceError",
    "GaveUp",
    "ReadTimeout",
    "StreamBroken",
]


class EventSourceError(Exception):
    """
    There is no event stream, or no more of it.  The message says why.

    @since: 0.1
    """


class StreamBroken(EventSourceError):
    """
    The connection was lost before the stream came to its end.

    @since: 0.1
    """


class ReadTimeout(StreamBroken):
    """
    Nothing has come for too long.

    @since: 0.1
    """


class BadStatus(EventSourceError):
    """
    The answer is no stream, but something else.

    @ivar status: the response's status, a number.
    @ivar headers: its headers.
    @ivar body: its body, the first 64 KiB of it.

    @since: 0.1
    """

    def __init__(self, status: int, phrase: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(status, phrase, headers, body)
        self.status = status
        self.phrase = phrase
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """
        The body, parsed as JSON.

        @raise ValueError: if it is none.
        """
        return json.loads(self.body)

    def __str__(self) -> str:
        text = " ".join(self.body[:200].decode("utf-8", "replace").split())
        return f"the server answered {self.status} {self.phrase}" + (f": {text}" if text else "")


class BadContentType(EventSourceError):
    """
    The answer is of another type than C{text/event-stream}, or encoded so that it cannot be read.

    @ivar contentType: what type it says, as text; L{None} for nothing.

    @since: 0.1
    """

    def __init__(self, contentType: str | None, why: str | None = None) -> None:
        super().__init__(contentType, why)
        self.contentType = contentType
        self._why = why

    def __str__(self) -> str:
        if self._why is not None:
            return self._why
        says = "says no type" if self.contentType is None else f"is {self.contentType}"
        return f"the answer {says}: it must be text/event-stream"


class BadRedirect(EventSourceError):
    """
    The server sends us elsewhere, but not to where we can go.

    @since: 0.1
    """


class BadCertificate(EventSourceError):
    """
    The server is not the one that it should be, as far as its certificate says.

    @since: 0.1
    """


class GaveUp(EventSourceError):
    """
    It was tried as often, or for as long, as it was to be.

    @ivar lastError: what went wrong the last time.

    @since: 0.1
    """

    def __init__(self, failures: int, lastError: Exception) -> None:
        super().__init__(failures, lastError)
        self.failures = failures
        self.lastError = lastError

    def __str__(self) -> str:
        times = "failure" if self.failures == 1 else "failures"
        return f"given up after {self.failures} {times}; the last one: {self.lastError}"
