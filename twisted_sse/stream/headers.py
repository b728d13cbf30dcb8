"""
The headers of an event stream, and what of a request is not needed once it is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.web.http_headers import Headers

if TYPE_CHECKING:
    from twisted.web.http import Request as HTTPRequest
    from twisted.web.server import Request

__all__ = ["forgetRequest", "removeEncoder", "setHeaders"]

#: The headers besides the type.  HTML standard, 9.2.7, on proxies; nginx buffers an answer
#: unless it is told not to.  "Connection" is the server's to set.
HEADERS = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)


def setHeaders(request: Request) -> None:
    """
    Set the headers of an event stream.  What the application has set wins, except for the
    type.
    """
    headers = request.responseHeaders
    headers.setRawHeaders(b"content-type", [b"text/event-stream"])
    # A length would cut the stream off.
    headers.removeHeader(b"content-length")
    for name, value in HEADERS:
        if not headers.hasHeader(name):
            headers.setRawHeaders(name, [value])


def removeEncoder(request: HTTPRequest) -> None:
    """
    Take off the encoder that a resource wrapper has put on a request.

    Twisted's gzip encoder passes on what it has compressed when its buffer is full, which is
    never for a stream of small events: the client would see the header of the gzip format
    and nothing else.
    """
    if getattr(request, "_encoder", None) is not None:
        cast(Any, request)._encoder = None
        request.responseHeaders.removeHeader(b"content-encoding")


def forgetRequest(request: Request) -> None:
    """
    Drop what has arrived in a request: 3 kB for one of a browser.
    """
    request.requestHeaders = Headers()
    request.received_cookies = {}
    request.args = {}
    if request.content is not None:
        request.content.close()
