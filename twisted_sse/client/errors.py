"""
The errors of the client.
"""

from __future__ import annotations

import json
import re
from typing import Any

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


#: How much of a text from the server is in a message, in characters.
MOST_SHOWN = 200

#: How a page begins.
_PAGE = re.compile(r"\s*(?:<!doctype html|<html)", re.IGNORECASE)


class EventSourceError(Exception):
    """
    There is no event stream, or it cannot go on.  The message says why.

    @since: 0.2
    """


class StreamBroken(EventSourceError):
    """
    The connection was lost before the stream came to its end.

    @since: 0.2
    """


class ReadTimeout(StreamBroken):
    """
    Nothing has arrived for too long.

    @since: 0.2
    """


class BadStatus(EventSourceError):
    """
    The response has a status that no event stream has: any but 200, or for another method than
    GET, any but 2xx.

    @ivar status: the status, a number.
    @ivar phrase: the reason phrase after it.
    @ivar headers: the headers of the response.
    @ivar body: the first 64 KiB of its body.

    @since: 0.2
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
        answer = f"{self.status} {self.phrase[:MOST_SHOWN]}".rstrip()
        return f"the server answered {answer}{_excerpt(self.body)}"


class BadContentType(EventSourceError):
    """
    The response has another type than C{text/event-stream}, or an encoding that cannot be decoded.

    @ivar contentType: its C{Content-Type}, as text; L{None} if it has none, or if the encoding is
        to blame.
    @ivar status: its status, a number: 2xx.
    @ivar headers: its headers.
    @ivar body: the first 64 KiB of its body.  Where a language model is asked for a stream, this
        may be the JSON that says what is wrong.

    @since: 0.2
    """

    def __init__(
        self,
        contentType: str | None,
        why: str | None = None,
        status: int = 200,
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(contentType, why, status, headers, body)
        self.contentType = contentType
        self.status = status
        self.headers = Headers() if headers is None else headers
        self.body = body
        self._why = why

    def json(self) -> Any:
        """
        Parse the body as JSON.

        @raise ValueError: if it is not JSON.
        """
        return json.loads(self.body)

    def __str__(self) -> str:
        if self._why is not None:
            return self._why
        contentType = self.contentType
        says = "has no content type" if contentType is None else f"is {contentType[:MOST_SHOWN]}"
        return f"the response {says}: it must be text/event-stream{_excerpt(self.body)}"


class BadRedirect(EventSourceError):
    """
    The server redirects to a place that we cannot or must not go to.

    @since: 0.2
    """


class BadCertificate(EventSourceError):
    """
    The certificate of the server is not valid for it, or not trusted.

    @since: 0.2
    """


class GaveUp(EventSourceError):
    """
    All tries have failed: there were as many, or they took as long, as L{Backoff} allows.

    @ivar failures: how many tries have failed.
    @ivar lastError: what went wrong the last time.

    @since: 0.2
    """

    def __init__(self, failures: int, lastError: Exception) -> None:
        super().__init__(failures, lastError)
        self.failures = failures
        self.lastError = lastError

    def __str__(self) -> str:
        times = "failure" if self.failures == 1 else "failures"
        return f"gave up after {self.failures} {times}; the last one: {self.lastError}"


def _excerpt(body: bytes) -> str:
    """
    Make a line of the start of a body, for people.

    @return: at most 200 characters after a colon; of a page, its title; C{""} if there is nothing
        to show.
    """
    text = body[:4096].decode("utf-8", "replace")
    if _PAGE.match(text):
        # In lower case, text may have another length.  That moves the title by a character or two.
        text = text[text.lower().find("<title") :].partition(">")[2].partition("<")[0]
    text = " ".join(text[:MOST_SHOWN].split())
    return f": {text}" if text else ""
