"""
Which pages may read an event stream: CORS (Fetch standard, 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..checks import InvalidOption, checkFlag, checkList
from .answers import allow, answer, vary

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Origins"]

#: The headers that a page may send.  The first three are for resuming, for POST and for tokens;
#: the others are what polyfills and libraries of old send with each request.
ALLOWED = ("Last-Event-ID", "Content-Type", "Authorization", "Cache-Control", "X-Requested-With")

#: The name of a header: RFC 9110, 5.1 and 5.6.2.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+|null", re.ASCII)


class Origins:
    """
    The origins whose pages may read a resource's responses.
    """

    def __init__(
        self,
        origins: Iterable[str] | str,
        credentials: bool,
        allowHeaders: Iterable[str] = (),
        exposeHeaders: Iterable[str] = (),
    ) -> None:
        """
        @param origins: origins such as C{"https://example.com"}, or C{"*"} for all.
        @param credentials: whether their pages may send cookies.
        @param allowHeaders: the headers that their pages may send, besides L{ALLOWED}.
        @param exposeHeaders: the headers of the responses that their pages may read, besides those
            that every page may.
        @raise InvalidOption: if one of them is not an origin, or not the name of a header, or all
            may send cookies.
        @raise TypeError: if C{origins} or the headers are not a list.
        """
        checkFlag("credentials", credentials)
        allowed = (*ALLOWED, *_checkedNames("allowHeaders", allowHeaders, credentials))
        self._allowed = ", ".join(allowed).encode("ascii")
        exposed = _checkedNames("exposeHeaders", exposeHeaders, credentials)
        self._exposed = ", ".join(exposed).encode("ascii")
        self._credentials = credentials
        # None means all.
        self._origins: frozenset[bytes] | None = None
        if origins != "*":
            self._origins = _checked(origins)
        elif credentials:
            raise InvalidOption(
                "origins",
                'is "*", and credentials is True: browsers refuse that. Name the origins.',
            )

    def allow(self, request: Request) -> None:
        """
        Let a page read the response to its request, if its origin is allowed.
        """
        if self._origins is None:
            origin: bytes | None = b"*"
        elif self._origins:
            vary(request, b"Origin")
            origin = request.getHeader(b"origin")
            if origin not in self._origins:
                return
        else:
            return
        request.setHeader(b"access-control-allow-origin", origin)
        if self._credentials:
            request.setHeader(b"access-control-allow-credentials", b"true")
        if self._exposed:
            request.setHeader(b"access-control-expose-headers", self._exposed)

    def answerOptions(self, request: Request, methods: tuple[bytes, ...]) -> None:
        """
        Answer an OPTIONS request, such as a page's preflight.

        @param methods: the methods that are answered with a stream.
        """
        allow(request, methods)
        if request.responseHeaders.hasHeader(b"access-control-allow-origin"):
            request.setHeader(b"access-control-allow-methods", b", ".join(methods))
            request.setHeader(b"access-control-allow-headers", self._allowed)
            request.setHeader(b"access-control-max-age", b"600")
        answer(request, 204)


def _checked(origins: object) -> frozenset[bytes]:
    checked = checkList("origins", origins, 'origins, or "*"')
    for origin in checked:
        if not (isinstance(origin, str) and _ORIGIN.fullmatch(origin)):
            raise InvalidOption(
                "origins",
                f"has {origin!r}: an origin is scheme://host or scheme://host:port, in lower case"
                " and without a path",
            )
    return frozenset(origin.encode("ascii") for origin in checked)


def _checkedNames(option: str, names: object, credentials: bool) -> list[str]:
    checked = checkList(option, names, "names of headers")
    for name in checked:
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise InvalidOption(
                option, f"has {name!r}: it must be the name of a header, such as X-Request-ID"
            )
        # Fetch standard, 3.3.5: with credentials it is the name of a header like any other.
        if name == "*" and credentials:
            raise InvalidOption(
                option, 'has "*", and credentials is True: then it means nothing. Name the headers.'
            )
    return checked
