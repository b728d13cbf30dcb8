"""
Which pages may read an event stream: CORS (Fetch standard, 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from ..checks import InvalidOption, checkFlag, checkList
from .answers import allow, answer, vary

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["OriginList", "Origins"]

#: The headers that a page may send.  The first three are for resuming, for POST and for tokens;
#: the others are what polyfills and libraries of old send with each request.
ALLOWED = ("Last-Event-ID", "Content-Type", "Authorization", "Cache-Control", "X-Requested-With")

#: The name of a header: RFC 9110, 5.1 and 5.6.2.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

#: An origin: HTML standard, 7.1.1.  In a pattern a star stands for the labels before the host.
_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\*\.)?([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]+))?", re.ASCII
)

#: The labels that a star stands for; a host; and one below which there are hosts of the same owner.
_LABELS = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_HOST = re.compile(rf"{_LABELS}\.?|\[.*\]", re.ASCII)
_DOMAIN = re.compile(rf"{_LABELS}\.[a-z_-][a-z0-9_-]*\.?", re.ASCII)

#: The ports that browsers leave out: URL standard, 4.2.
_PORTS = {"http": "80", "https": "443"}

#: The origin of pages that have none of their own, such as any page in a sandboxed frame.
NULL = b"null"


class OriginList:
    """
    Some origins, named one by one, or as all hosts below one.

    They are compared as they are: browsers write them in only one way.
    """

    def __init__(self, option: str, origins: Iterable[str], patterns: bool = False) -> None:
        """
        @param option: the name of the argument, for errors.
        @param origins: origins such as C{"https://example.com"}; C{"null"}.
        @param patterns: whether there may also be C{"https://*.example.com"} for all hosts below
            C{example.com}, at any depth, with this scheme and port.
        @raise InvalidOption: if one is none of these, or no page could have it.
        """
        self._option = option
        self._mayBePatterns = patterns
        self._exact: set[bytes] = set()
        expressions = []
        for origin in origins:
            pattern = self._read(origin)
            if pattern is None:
                self._exact.add(origin.encode("ascii"))
            else:
                expressions.append(pattern)
        self._patterns = re.compile("|".join(expressions).encode("ascii")) if expressions else None

    def _read(self, origin: object) -> str | None:
        """
        Check an origin.

        @return: the regular expression of those that it stands for; L{None} if it is only itself.
        """
        if origin == "null":
            return None
        found = _ORIGIN.fullmatch(origin) if isinstance(origin, str) else None
        if found is None or (found[1] in _PORTS and not _HOST.fullmatch(found[3])):
            self._refuse(
                origin,
                "an origin must be scheme://host or scheme://host:port, in lower "
                "case and without a path"
                + (
                    "; https://*.example.com means all hosts below one"
                    if self._mayBePatterns
                    else ""
                ),
            )
        scheme, star, host, port = found.groups()
        if port is not None and not 0 < int(port) < 2**16:
            self._refuse(origin, "the port is not valid")
        if port is not None and (port.startswith("0") or port == _PORTS.get(scheme)):
            self._refuse(origin, "leave out the default port and leading zeros, as browsers do")
        if star is None:
            return None
        if not self._mayBePatterns:
            self._refuse(origin, "name each origin: only the origins of a hub may contain a star")
        if scheme not in _PORTS or not _DOMAIN.fullmatch(host):
            # Below com, or an IP address, are hosts of anybody, or none.
            self._refuse(origin, "a star must be followed by a domain, as in *.example.com")
        return rf"{scheme}://{_LABELS}\.{re.escape(host)}" + (f":{port}" if port else "")

    def _refuse(self, origin: object, why: str) -> NoReturn:
        raise InvalidOption(self._option, f"has {origin!r}: {why}")

    def __bool__(self) -> bool:
        return bool(self._exact or self._patterns)

    def __contains__(self, origin: bytes) -> bool:
        if origin in self._exact:
            return True
        return self._patterns is not None and self._patterns.fullmatch(origin) is not None


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
        patterns: bool = False,
    ) -> None:
        """
        @param origins: see L{OriginList}; or C{"*"} for all.
        @param credentials: whether their pages may send cookies; never those of C{"null"}, which any
            page can be.
        @param allowHeaders: the headers that their pages may send, besides L{ALLOWED}.
        @param exposeHeaders: the headers of the responses that their pages may read, besides those
            that every page may.
        @param patterns: see L{OriginList}.
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
        self._origins: OriginList | None = None
        if origins != "*":
            checked = checkList("origins", origins, 'origins, or "*"')
            self._origins = OriginList("origins", checked, patterns)
        elif credentials:
            raise InvalidOption(
                "origins",
                'is "*", and credentials is True, which browsers refuse: name the origins',
            )

    def allow(self, request: Request) -> None:
        """
        Let a page read the response to its request, if its origin is allowed.
        """
        if self._origins is None:
            origin = b"*"
        elif self._origins:
            vary(request, b"Origin")
            given = request.requestHeaders.getRawHeaders(b"origin", [])
            # No browser sends several.
            if len(given) != 1 or given[0] not in self._origins:
                return
            origin = given[0]
        else:
            return
        request.setHeader(b"access-control-allow-origin", origin)
        if self._credentials and origin != NULL:
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
                option, 'has "*", and credentials is True, which browsers ignore: name the headers'
            )
    return checked
