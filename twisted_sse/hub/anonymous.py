"""
Who may publish without a token.

A browser sends a POST with C{text/plain} for any page, to any server, without asking it first (Fetch
standard, 2.2.2: it is CORS-safelisted).  Without a token nothing but its headers tells whether a page
is behind a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..server.hosts import isLoopback, isLoopbackName, nameOf
from .refused import Refused

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Anonymous", "Everybody", "ThisMachine"]

#: The headers by which proxies say that a request is not theirs.
FORWARDED = (
    b"forwarded",
    b"via",
    b"x-real-ip",
    b"x-client-ip",
    b"true-client-ip",
    b"cf-connecting-ip",
)


class Anonymous(Protocol):
    """
    Decides who may publish without a token.

    @since: 0.2
    """

    def check(self, request: Request, trusted: bool, /) -> None:
        """
        Called with each request to publish that has no token.

        @param trusted: whether the request has an C{Origin} that may publish.
        @raise Refused: if it may not.
        """


class Everybody:
    """
    Everybody who can connect may publish, but no page of another origin.

    This is what Go's C{http.CrossOriginProtection} does: browsers send C{Sec-Fetch-Site} (since
    2020 or 2023) where the server is C{https}, or on this machine, and C{Origin} with each POST.

    @since: 0.2
    """

    def check(self, request: Request, trusted: bool) -> None:
        """
        See L{Anonymous}.
        """
        if trusted:
            return
        site = request.getHeader(b"sec-fetch-site")
        if site is not None:
            isOurs = site in (b"same-origin", b"none")
        else:
            origin = request.getHeader(b"origin")
            # An origin is scheme://host:port, and the scheme is not known behind a proxy.
            isOurs = origin is None or origin.partition(b"://")[2] == request.getHeader(b"host")
        if not isOurs:
            raise Refused(
                403, "pages of another origin may not publish here: add their origin to origins"
            )


class ThisMachine:
    """
    What runs on this machine may publish, but no web page, and no client behind a proxy: a proxy on
    this machine would make all of its clients local.  A proxy that sends none of the headers by
    which proxies say what they are is not recognised: then a token is needed.

    @since: 0.2
    """

    def check(self, request: Request, trusted: bool) -> None:
        """
        See L{Anonymous}.
        """
        headers = request.requestHeaders
        if not (isLoopback(request.getHost()) and isLoopback(request.getClientAddress())):
            why = "from this machine"
        elif not isLoopbackName(nameOf(request)):
            # An address that a page has changed (DNS rebinding), or a proxy.
            why = "under the name localhost"
        elif not trusted and (headers.hasHeader(b"origin") or headers.hasHeader(b"sec-fetch-site")):
            why = "by programs, not by web pages"
        elif any(map(headers.hasHeader, FORWARDED)) or any(
            name.lower().startswith(b"x-forwarded") for name, _ in headers.getAllRawHeaders()
        ):
            why = "without a proxy"
        else:
            return
        raise Refused(403, f"without a token, events can be published only {why}")
