"""
A L{Site} with guarded connections.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http import H2_ENABLED, _GenericHTTPChannelProtocol
from twisted.web.server import Site

from .pacing import PacedChannel

__all__ = ["GuardedSite"]

if H2_ENABLED:
    from .http2 import Backlog, GuardedConnection


class _Protocol(_GenericHTTPChannelProtocol):
    """
    Chooses HTTP/1 or HTTP/2 when data arrives, as Twisted's does.
    """

    _channel: Any
    _negotiatedProtocol: Any

    def dataReceived(self, data: bytes) -> None:
        if self._negotiatedProtocol is None:
            first = self._channel
            if getattr(first.transport, "negotiatedProtocol", None) == b"h2":
                self._negotiatedProtocol = b"h2"
                self._begin(first)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def _begin(self, first: Any) -> None:
        """
        Let HTTP/2 take the place of HTTP/1.
        """
        producing = first._networkProducer
        producing.unregisterProducer()
        first.setTimeout(None)
        site: Any = self._site
        connection: Any = GuardedConnection(site.reactor, site.backlog)
        connection.requestFactory = self._requestFactory
        connection.site = site
        connection.factory = self._factory
        connection.timeOut = self._timeOut
        connection.callLater = self._callLater
        self._channel = connection
        connection.makeConnection(first.transport)
        producing.registerProducer(connection, True)


class GuardedSite(Site):
    """
    A L{Site} whose clients cannot make it use memory or time without bound: it makes answers no
    faster than its clients take them, and aborts an HTTP/2 connection at the first error, or when
    it is flooded with frames that cost their sender nothing.

    L{EventStreamResource<twisted_sse.EventStreamResource>} needs no other site than Twisted's; use
    this one where clients connect that you do not trust, without a proxy in front.

    @ivar backlog: its HTTP/2 connections that have more to read.

    @since: 0.2
    """

    def __init__(self, *args: Any, **kw: Any) -> None:
        """
        Make a site.  The arguments are those of Twisted's C{Site}.
        """
        super().__init__(*args, **kw)  # type: ignore[no-untyped-call]
        self.backlog: Backlog | None = Backlog(self.reactor) if H2_ENABLED else None

    def protocol(self) -> _Protocol:
        """
        Make what receives a connection.
        """
        return _Protocol(PacedChannel())  # type: ignore[no-untyped-call]
