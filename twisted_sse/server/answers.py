"""
Responses that are not event streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.web.http import NO_BODY_CODES, RESPONSES

from ..stream.headers import removeEncoder

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["allow", "answer", "vary"]


def answer(request: Request, status: int, text: str | None = None) -> None:
    """
    Answer with a status and a line of text.

    @param text: the text; if not given, the status's own.
    """
    request.setResponseCode(status)
    if status in NO_BODY_CODES:
        removeEncoder(request)
        request.finish()
        return
    message = text or RESPONSES.get(status, b"Error").decode("ascii")
    body = message.encode("utf-8", "replace") + b"\n"
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


def allow(request: Request, methods: tuple[bytes, ...]) -> None:
    """
    Set the C{Allow} header: RFC 9110, 10.2.1.

    @param methods: the methods that the resource answers with a stream.
    """
    heads = (b"HEAD",) if b"GET" in methods else ()
    request.setHeader(b"allow", b", ".join(dict.fromkeys((*methods, *heads, b"OPTIONS"))))


def vary(request: Request, name: bytes) -> None:
    """
    Tell caches that the response also depends on this header of the request: RFC 9110, 12.5.5.
    """
    values = request.responseHeaders.getRawHeaders(b"vary", [])
    named = [each.strip() for value in values for each in value.split(b",")]
    if name not in named:
        request.setHeader(b"vary", b", ".join([*named, name]))
