"""
Following streams: what anybody adds to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from .connection import Connection
from .entries import begin
from .errors import Refused, Unanswered, checked
from .link import Link
from .pages import MOST, Entry, Pages

__all__ = ["Followed", "Follower"]

#: About how many bytes of one stream to ask for at once.
PIECE = 2**18

#: The most streams to read at once.
TOGETHER = 10

#: How much longer than it was told to wait the server may take, as a part of the timeout.
GRACE = 0.6

_log = Logger()


class Followed(Protocol):
    """
    A stream that is followed.

    @ivar key: its key.
    @ivar newest: the newest entry that was received.
    @ivar pages: how large its entries are.
    """

    key: str
    newest: Entry
    pages: Pages

    def advance(self, entries: Sequence[Entry]) -> None:
        """
        These entries directly follow the newest.
        """

    def restart(self, newest: Entry) -> None:
        """
        What comes next does not follow what was there before.

        @param newest: the newest entry now.
        """


class Follower:
    """
    Follows streams over a connection of its own, on which it waits for news.

    News only say that there is something new: what it is is then read from the newest entry on that
    was received, and that must be the first of the answer.  So it is proved that nothing in between
    is missing, whatever has happened: that the stream was trimmed faster than it was read, or
    deleted, or that another server has taken over, which lacks the newest entries.

    """

    def __init__(
        self,
        reactor: Any,
        timeout: float,
        makeLink: Callable[..., Link],
        changed: Callable[[], object],
    ) -> None:
        """
        @param timeout: how many seconds the server may take to answer.  Whenever nothing is new for
            as long, it is checked that the streams are what they were.
        @param makeLink: makes the link of two callbacks, C{up} and C{down}.
        @param changed: called when it begins to follow, and when it cannot any more.
        """
        self.link = makeLink(self._up, self._down)
        self._reactor = reactor
        self._timeout = timeout
        self._changed = changed
        # Each with whether there may be something new.
        self._streams: dict[Followed, bool] = {}
        self._idle: Deferred[None] | None = None
        # Since when it does not wait for news, in the seconds of the clock; None if it does.
        self._since: float | None = reactor.seconds()

    @property
    def behind(self) -> float:
        """
        For how many seconds we have not had everything.
        """
        if self._since is None or not self._streams:
            return 0.0
        return float(self._reactor.seconds() - self._since)

    @property
    def isWaiting(self) -> bool:
        """
        Whether it waits for news, so that it does not notice a new stream.
        """
        return self._since is None

    def add(self, stream: Followed) -> None:
        """
        Follow a stream, from its newest entry on.
        """
        self._streams[stream] = True
        self._wake()

    def remove(self, stream: Followed) -> None:
        """
        Follow a stream no more.
        """
        self._streams.pop(stream, None)

    def _wake(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    def _up(self, connection: Connection) -> None:
        for stream in self._streams:
            self._streams[stream] = True
        self._changed()

        def ended(failure: Failure) -> None:
            if not failure.check(Unanswered, Refused):
                _log.failure("Following streams has failed", failure)
            connection.abort(failure.getErrorMessage())

        Deferred.fromCoroutine(self._follow(connection)).addErrback(ended)

    def _down(self, why: str) -> None:
        self._setWaiting(False)
        self._wake()
        self._changed()

    def _setWaiting(self, isWaiting: bool) -> None:
        if isWaiting:
            self._since = None
        elif self._since is None:
            self._since = self._reactor.seconds()

    async def _follow(self, connection: Connection) -> None:
        while self.link.connection is connection:
            news = [stream for stream, isNew in self._streams.items() if isNew]
            if news:
                await self._read(connection, news[:TOGETHER])
            elif self._streams:
                self._setWaiting(True)
                await self._wait(connection)
                self._setWaiting(False)
            else:
                self._idle = Deferred()
                await self._idle

    async def _wait(self, connection: Connection) -> None:
        """
        Wait until something is new.
        """
        streams = list(self._streams)
        [reply] = await connection.ask(
            self._timeout * (1 + GRACE),
            (
                *("XREAD", "COUNT", 1, "BLOCK", max(1, int(self._timeout * 1000)), "STREAMS"),
                *(stream.key for stream in streams),
                *(stream.newest[0] for stream in streams),
            ),
        )
        keys = {key for key, _ in checked(reply) or ()}
        for stream in streams:
            # Without news, they may have been deleted.
            if stream in self._streams and (not keys or stream.key.encode() in keys):
                self._streams[stream] = True

    async def _read(self, connection: Connection, streams: Sequence[Followed]) -> None:
        """
        Read what follows the newest entries of some streams.
        """
        asked = [(s, s.newest, s.pages.count(PIECE, MOST // len(streams))) for s in streams]
        replies = await connection.ask(
            self._timeout,
            *(
                ("XRANGE", stream.key, newest[0], "+", "COUNT", count + 1)
                for stream, newest, count in asked
            ),
        )
        for (stream, newest, count), reply in zip(asked, replies, strict=True):
            first, *entries = checked(reply) or [None]
            if stream not in self._streams:
                continue
            if first == newest:
                self._streams[stream] = len(entries) == count
                stream.pages.learn(entries)
                if entries:
                    stream.advance(entries)
            else:
                await self._restart(connection, stream)

    async def _restart(self, connection: Connection, stream: Followed) -> None:
        """
        Continuity is lost.
        """
        # The clock may have been set back, too, but what comes must not have an ID that was given
        # before.
        ms = int(stream.newest[0].partition(b"-")[0])
        _, newest = await connection.ask(
            self._timeout,
            begin(stream.key, ms + 1),
            ("XREVRANGE", stream.key, "+", "-", "COUNT", 1),
        )
        if not checked(newest):
            # It has been deleted again.
            raise Refused(f"{stream.key} is empty")
        if stream in self._streams:
            stream.restart(newest[0])
