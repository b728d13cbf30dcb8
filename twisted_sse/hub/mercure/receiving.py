"""
Receiving updates from publishers: who may publish, what, and the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.internet.defer import TimeoutError

from ...store.contract import StoreAway
from ...timing.reactors import clockFor
from ...timing.slices import givingWay
from ..content import bodyOf
from .authority import Authority
from .dialect import Dialect
from .parameters import Queries
from .publishing import Publishing
from .tokens import Token
from .update import Kind, Rules, kindOf, updatesIn

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["PATIENCE", "Receiving"]

#: For how many seconds a publisher waits for a store that was not reached yet.
PATIENCE = 10.0


class Receiving:
    """
    Publishes what publishers send.

    @ivar rules: for what they send, by the dialect.
    """

    def __init__(
        self, publishing: Publishing, authority: Authority, queries: Queries, maxBody: int
    ) -> None:
        """
        @param maxBody: how large a publisher's body may be, in bytes.
        """
        self.rules: Mapping[Dialect, Rules] = {}
        self._publishing = publishing
        self._authority = authority
        self._queries = queries
        self._maxBody = maxBody

    async def admit(self, request: Request) -> Token:
        """
        Find out who publishes.

        @raise Refused: if it may not.
        """
        return await self._authority.publisher(request, self._queries.take(request))

    async def receive(self, request: Request) -> None:
        """
        Publish what is in a request, and answer it.

        @raise Refused: if it may not be published.
        @raise StoreAway: if the store cannot be reached.
        @raise NotStored: if the updates are not kept.
        @raise EventTooLarge: if one is larger than the channel allows.
        """
        token = await self.admit(request)
        if getattr(request, "channel", None) is None:
            # The client has disconnected, and its body is dropped.
            return
        kind = kindOf(request.getHeader(b"content-type"), request.getHeader(b"content-encoding"))
        body = bodyOf(request, self._maxBody)
        clock = clockFor(None, request)
        read = updatesIn(kind, body, self.rules[token.dialect])
        checked = givingWay(clock, self._authority.granted(token, read))
        updates = [update async for update in checked if update is not None]
        ready = self._publishing.whenReady()
        if not ready.called:
            ready.addTimeout(PATIENCE, clock)
        try:
            await ready
        except TimeoutError:
            raise StoreAway("the store cannot be reached yet") from None
        await self._authority.checkStill(token, token.dialect)
        ids = await self._publishing.publish(updates)
        if getattr(request, "channel", None) is None:
            return
        if kind is not Kind.FORM:
            body = json.dumps({"ids": ids}).encode("ascii") + b"\n"
            request.setHeader(b"content-type", b"application/json")
        else:
            body = ids[0].encode()
            request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()
