"""
The connections of a store, while channels are open.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import Logger

from ..contract import EventLog, StoreAway, Tail
from .address import Address
from .commands import Commands
from .connection import Command
from .errors import Unanswered
from .following import Follower
from .health import Health
from .link import Link
from .log import RedisLog
from .places import EntryID

__all__ = ["Session"]

#: How often what is too much, or too old, is dropped, in seconds at most.  Who adds events drops as
#: many, but other programs may not.
TRIMMING = 60.0

_log = Logger()


class Session:
    """
    The connections of a store, while channels are open.

    @ivar logs: those of the channels.
    @ivar commands: what is answered at once.
    @ivar follower: follows the streams.
    @ivar isOver: whether no log can be opened any more.
    """

    def __init__(
        self,
        address: Address,
        reactor: Any,
        timeout: float,
        maxAge: float | None,
        health: Health,
        ended: Callable[[], object],
    ) -> None:
        """
        @param ended: called at the end.
        """
        name = f"twisted-sse:{socket.gethostname()}:{os.getpid()}"
        makeLink = partial(Link, address, reactor, timeout, "".join(name.split()))
        self.logs: dict[RedisLog, None] = {}
        self.commands = Commands(reactor, timeout, makeLink, self._changed)
        self.follower = Follower(reactor, timeout, makeLink, self._changed)
        self.isOver = False
        self._reactor = reactor
        self._health = health
        self._maxAge = maxAge
        self._ended = ended
        self._isAway = False
        self._opening = 0
        self._trimming: Deferred[None] | None = None

    def start(self) -> None:
        """
        Connect.
        """
        if not self.isOver:
            self.commands.link.start()
            self.follower.link.start()
            self._trimming = Deferred.fromCoroutine(self._trim())
            self._trimming.addErrback(lambda failure: failure.trap(CancelledError) and None)

    async def open(
        self, key: str, tail: Tail, recent: int, maxEvents: int | None, maxAge: float | None
    ) -> EventLog:
        """
        Open a log.
        """
        log = RedisLog(key, tail, self.commands, maxEvents, maxAge, self._health, self._closed)
        self._opening += 1
        try:
            await log.open(recent)
            if self.isOver:
                raise StoreAway("the store was closed before the log was open")
            self.logs[log] = None
        finally:
            self._opening -= 1
            self._leave()
        self.follower.add(log)
        self._nudge(self.follower.waits)
        if self._isAway:
            log.away(self._health.away)
        return log

    def _nudge(self, waits: int, tries: int = 10) -> None:
        """
        Let the follower notice a new log, if it waits.  If this is refused, it does when it has
        waited long enough.

        @param waits: which time it waits.
        """
        number = self.follower.link.number
        if not self.follower.isWaiting or self.follower.waits != waits or number is None:
            return

        def told(replies: list[Any]) -> None:
            # The server may not have the request to wait yet.
            if replies == [0] and tries:
                self._nudge(waits, tries - 1)

        asking = self.commands.ask(("CLIENT", "UNBLOCK", number))
        asking.addCallbacks(told, lambda failure: failure.trap(Unanswered) and None)

    def close(self) -> Deferred[None]:
        """
        Close the logs, and then the connections.
        """
        closing = gatherResults([log.close() for log in list(self.logs)])
        return closing.addCallback(lambda _: self._end())

    def _closed(self, log: RedisLog) -> None:
        self.logs.pop(log, None)
        self.follower.remove(log)
        self._leave()

    def _leave(self) -> None:
        if not self.logs and not self._opening:
            self._end()

    def _end(self) -> None:
        if not self.isOver:
            self.isOver = True
            self._health.losses += self.losses
            self.commands.stop()
            self.follower.stop()
            if self._trimming is not None:
                self._trimming.cancel()
            self._ended()

    @property
    def losses(self) -> int:
        """
        How often a connection was lost.
        """
        return self.commands.link.losses + self.follower.link.losses

    def _changed(self) -> None:
        """
        A connection was made or lost, or something was not answered in time, or was again.
        """
        why = self.commands.link.why or self.follower.link.why or self.commands.late
        if why is None:
            self._health.reached(self.commands.link.server)
        self._health.setAway(why)
        if self._isAway != (why is not None):
            self._isAway = why is not None
            for log in list(self.logs):
                log.away(why)

    # Trimming

    async def _trim(self) -> None:
        pause = TRIMMING if self._maxAge is None else min(TRIMMING, max(1.0, self._maxAge / 10))
        while True:
            await deferLater(self._reactor, pause)
            # A connection on which nothing happens would be forgotten by many a router on its way.
            self._tell(("PING",))
            for log in list(self.logs):
                if log.maxEvents is not None:
                    self._tell(("XTRIM", log.key, "MAXLEN", "~", log.maxEvents))
            await self._dropOld()

    async def _dropOld(self) -> None:
        if not any(log.maxAge is not None for log in self.logs):
            return
        try:
            [now] = await self.commands.ask(("TIME",), isRepeatable=True)
        except Unanswered:
            return
        if isinstance(now, list):
            for log in list(self.logs):
                if log.maxAge is not None:
                    oldest = EntryID(max(0, int((int(now[0]) - log.maxAge) * 1000)), 0)
                    # The newest stays, as the place from which everybody goes on.
                    self._tell(("XTRIM", log.key, "MINID", str(min(oldest, log.last))))

    def _tell(self, command: Command) -> None:
        """
        Send a command whose outcome does not matter.
        """
        self.commands.ask(command).addErrback(lambda failure: failure.trap(Unanswered) and None)
