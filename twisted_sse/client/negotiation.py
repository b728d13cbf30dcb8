"""
Whether a response is an event stream, and closing one that is not.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from .decoding import Decoder, makeDecoder
from .errors import BadContentType, BadStatus, StreamBroken

__all__ = ["checkResponse", "cutOff", "discard", "fieldValue", "readStart"]

#: How much of the body of an error is read, in bytes, and for how long, in seconds.
MOST_START = 2**16
START_PATIENCE = 5.0

#: How many steps are taken to decode it.  Each may give nothing.
MOST_STEPS = 64

#: The longest header that is looked at closely, in characters.
MOST_VALUE = 4096

#: A part of a header: a string in quotes, which may lack its end; a comma; or the text between
#: them.  Written so that it never has to try twice: a server could make us work for a long time.
_PARTS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*\\?"?|,|[^",]+', re.DOTALL)

#: A media type (RFC 9110, 8.3.1).
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def cutOff(response: IResponse, transport: Any) -> None:
    """
    Close the connection of a response, at once if possible.

    @param transport: the transport of the protocol that reads the body; L{None} if it has none.
    """
    # Twisted's own response has no abort(), and its transport has no abortConnection().
    abort = getattr(response, "abort", None) or getattr(transport, "abortConnection", None)
    if abort is not None:
        abort()
    elif transport is not None:
        transport.loseConnection()


class _Start(Protocol):
    """
    Reads the start of a body.

    @ivar done: fires with at most 64 KiB.  Cancel it to close the connection.
    """

    def __init__(self, response: IResponse) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._cutOff())
        self._response = response
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        """
        See L{Protocol}.
        """
        self._data += data
        if len(self._data) >= MOST_START:
            self.stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{Protocol}.
        """
        if not self.done.called:
            self.done.callback(self._data)

    def stop(self) -> None:
        """
        Return what has arrived, and close the connection.
        """
        if not self.done.called:
            # In this order: closing the connection may call connectionLost() at once.
            self.done.callback(self._data[:MOST_START])
            self._cutOff()

    def _cutOff(self) -> None:
        cutOff(self._response, self.transport)


def readStart(response: IResponse, reactor: Any) -> Deferred[bytes]:
    """
    Read the start of a body that is not an event stream, and drop the rest.

    @return: a L{Deferred} of what arrives within 5 seconds, at most 64 KiB.
    """
    start = _Start(response)
    response.deliverBody(start)
    if start.done.called:
        return start.done
    call = reactor.callLater(START_PATIENCE, start.stop)

    def cancelCall(result: Any) -> Any:
        if call.active():
            call.cancel()
        return result

    return start.done.addBoth(cancelCall)


def discard(response: IResponse) -> None:
    """
    Close the connection of a response whose body is not wanted.
    """
    start = _Start(response)
    response.deliverBody(start)
    start.stop()


async def checkResponse(
    response: IResponse, reactor: Any, anySuccess: bool, requireType: bool
) -> Decoder:
    """
    Check that a response is an event stream (HTML standard, 9.2.2, step 15 of the constructor).
    If it is not, its connection is closed.

    @param anySuccess: whether any status 2xx will do, except those that say that there is nothing.
    @param requireType: whether its type must be C{text/event-stream}.
    @return: what decodes its body.
    @raise BadStatus: if its status is not 200.
    @raise BadContentType: if it has another type, or an encoding that we cannot decode.
    """
    code = response.code
    isGood = code == 200 or (anySuccess and 200 <= code < 300 and code not in (204, 205))
    contentType = fieldValue(response.headers, b"content-type")
    coding = fieldValue(response.headers, b"content-encoding") or ""
    why = None
    if isGood and (not requireType or _essence(contentType or "") == "text/event-stream"):
        try:
            return makeDecoder(coding)
        except ValueError as e:
            contentType, why = None, str(e)
    body = _decoded(await readStart(response, reactor), coding)
    if isGood:
        raise BadContentType(contentType, why, code, response.headers, body)
    raise BadStatus(code, response.phrase.decode("latin-1"), response.headers, body)


def _decoded(start: bytes, contentEncoding: str) -> bytes:
    """
    Decode the start of a body, as far as possible.

    @return: at most 64 KiB; C{start} as it is if nothing of it can be decoded.
    """
    body = b""
    try:
        decoder = makeDecoder(contentEncoding)
        decoder.feed(start)
        for _ in range(MOST_STEPS):
            piece = decoder.read(MOST_START)
            if piece is None or len(body) >= MOST_START:
                break
            body += piece
    except (ValueError, StreamBroken):
        return body or start
    return body[:MOST_START]


def fieldValue(headers: Headers, name: bytes) -> str | None:
    """
    Combine the lines of a header (RFC 9110, 5.2), whatever bytes they contain.

    @return: L{None} if there are none.
    """
    values = headers.getRawHeaders(name)
    return None if values is None else b", ".join(values).decode("latin-1")


def _essence(contentType: str) -> str | None:
    """
    Find the type of a body (Fetch standard, 2.2.2, "get, decode, and split", and 2.2.5, "extract a
    MIME type").

    @return: the last valid type, without its parameters; L{None} if there is none.
    """
    essence = None
    if len(contentType) > MOST_VALUE:
        return None
    candidates = [""]
    for part in _PARTS.findall(contentType):
        if part == ",":
            candidates.append("")
        else:
            candidates[-1] += part
    for each in candidates:
        candidate = each.partition(";")[0].strip(" \t").lower()
        if _TYPE.fullmatch(candidate) and candidate != "*/*":
            essence = candidate
    return essence
