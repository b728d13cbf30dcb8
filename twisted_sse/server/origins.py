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

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+|null", re.ASCII)


class Origins:
    """
    The origins whose pages may read a resource's responses.
    """

    def __init__(self, origins: Iterable[str] | str, credentials: bool) -> None:
        """
        @param origins: origins such as C{"https://example.com"}, or C{"*"} for all.
        @param credentials: whether their pages may send cookies.
        @raise InvalidOption: if one of them is not an origin, or all may send cookies.
        @raise TypeError: if C{origins} is not a list.
        """
        checkFlag("credentials", credentials)
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
            request.setHeader(b"access-control-allow-origin", b"*")
        elif self._origins:
            vary(request, b"Origin")
            origin = request.getHeader(b"origin")
            if origin in self._origins:
                request.setHeader(b"access-control-allow-origin", origin)
                if self._credentials:
                    request.setHeader(b"access-control-allow-credentials", b"true")

    def answerOptions(self, request: Request, methods: tuple[bytes, ...]) -> None:
        """
        Answer an OPTIONS request, such as a page's preflight.

        @param methods: the methods that are answered with a stream.
        """
        allow(request, methods)
        if request.responseHeaders.hasHeader(b"access-control-allow-origin"):
            request.setHeader(b"access-control-allow-methods", b", ".join(methods))
            request.setHeader(
                b"access-control-allow-headers", b"Last-Event-ID, Content-Type, Authorization"
            )
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
