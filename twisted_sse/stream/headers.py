"""
The headers of an event stream, and the parts of a request that are not needed after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.web.http_headers import Headers

if TYPE_CHECKING:
    from twisted.web.http import Request as HTTPRequest
    from twisted.web.server import Request

__all__ = ["forgetRequest", "removeEncoder", "setHeaders"]

#: The type.  HTML standard, 9.2.1: it is always UTF-8, and the parameter is allowed.  Without it
#: clients that know nothing of this type, such as C{requests}, take text for Latin-1, and a browser
#: that shows the response as a page guesses.
CONTENT_TYPE = b"text/event-stream; charset=utf-8"

#: The headers besides the type.  See the HTML standard, 9.2.7, on proxies; nginx buffers a
#: response unless told not to.  C{Connection} is for the server to set.
HEADERS = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)


def setHeaders(request: Request) -> None:
    """
    Set the headers of an event stream.  Those that the application has set are kept, except
    for a type other than an event stream's.
    """
    headers = request.responseHeaders
    given = headers.getRawHeaders(b"content-type", [b""])[-1]
    same = given.partition(b";")[0].strip().lower() == b"text/event-stream"
    headers.setRawHeaders(b"content-type", [given if same else CONTENT_TYPE])
    # A length would end the stream early.
    headers.removeHeader(b"content-length")
    for name, value in HEADERS:
        if not headers.hasHeader(name):
            headers.setRawHeaders(name, [value])


def removeEncoder(request: HTTPRequest) -> None:
    """
    Remove the encoder that a resource wrapper has put on a request.

    Twisted's gzip encoder passes on compressed data only when its buffer is full, which hardly
    ever happens with small events: the client would see the gzip header and nothing else.
    """
    if getattr(request, "_encoder", None) is not None:
        cast(Any, request)._encoder = None
        request.responseHeaders.removeHeader(b"content-encoding")


def forgetRequest(request: Request) -> None:
    """
    Drop what the request brought: 3 kB for a browser's.
    """
    request.requestHeaders = Headers()
    request.received_cookies = {}
    request.args = {}
    if request.content is not None:
        request.content.close()
