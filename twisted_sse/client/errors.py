"""
The errors of the client.
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
    There is no event stream, or it cannot go on.  The message says why.

    @since: 0.1
    """


class StreamBroken(EventSourceError):
    """
    The connection was lost before the stream came to its end.

    @since: 0.1
    """


class ReadTimeout(StreamBroken):
    """
    Nothing has arrived for too long.

    @since: 0.1
    """


class BadStatus(EventSourceError):
    """
    The response has a status other than 200.

    @ivar status: the status, a number.
    @ivar phrase: the reason phrase after it.
    @ivar headers: the headers of the response.
    @ivar body: the first 64 KiB of its body.

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
        Parse the body as JSON.

        @raise ValueError: if it is not JSON.
        """
        return json.loads(self.body)

    def __str__(self) -> str:
        text = " ".join(self.body[:200].decode("utf-8", "replace").split())
        return f"the server answered {self.status} {self.phrase}" + (f": {text}" if text else "")


class BadContentType(EventSourceError):
    """
    The response has another type than C{text/event-stream}, or an encoding that cannot be decoded.

    @ivar contentType: its C{Content-Type}, as text; L{None} if it has none, or if the encoding is
        to blame.

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
    The server redirects to a place that we cannot or must not go to.

    @since: 0.1
    """


class BadCertificate(EventSourceError):
    """
    The certificate of the server is not valid for it, or not trusted.

    @since: 0.1
    """


class GaveUp(EventSourceError):
    """
    All tries have failed: there were as many, or they took as long, as L{Backoff} allows.

    @ivar failures: how many tries have failed.
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
