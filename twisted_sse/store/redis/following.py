"""
Following streams: what anybody adds to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from hiredis import ReplyError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from .connection import Connection
from .entries import begin
from .errors import Moved, Refused, Unanswered, checked, isPassing, kindOf, said
from .link import Link
from .pages import MOST, Entry, Pages
from .places import LARGEST, readID

__all__ = ["Followed", "Follower"]

#: About how many bytes of one stream to ask for at once.
PIECE = 2**18

#: The most streams to read at once.
TOGETHER = 10

#: How much longer than requested the server may wait, as a part of the timeout.
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
        These entries directly follow the newest; none if it is still the newest.
        """

    def restart(self, newest: Entry) -> None:
        """
        What comes next does not follow what was there before.

        @param newest: the newest entry now.
        """

    def refuse(self, why: str | None) -> None:
        """
        The server refuses to read this stream, but not others; or L{None}: it does not any more.
        """


class Follower:
    """
    Follows streams over a connection of its own, on which it waits for news.

    News only say that there is something new: what it is is then read from the newest entry on that
    was received, and that must be the first of the answer.  So it is proved that nothing in between
    is missing, whatever has happened: that the stream was trimmed faster than it was read, or
    deleted, or that another server has taken over, which lacks the newest entries.

    @ivar waits: how often it has begun to wait for news.
    """

    def __init__(
        self,
        reactor: Any,
        timeout: float,
        makeLink: Callable[..., Link],
        changed: Callable[[], object],
    ) -> None:
        """
        @param timeout: how many seconds the server may take to answer.  As often it is checked that
            all streams are what they were.
        @param makeLink: makes the link of two callbacks, C{up} and C{down}.
        @param changed: called when it begins to follow, and when it cannot any more.
        """
        self.link = makeLink(self._up, self._down)
        self.waits = 0
        self._reactor = reactor
        self._timeout = timeout
        self._changed = changed
        # Each with whether there may be something new.
        self._streams: dict[Followed, bool] = {}
        # Those that the server refuses to read.
        self._refused: dict[Followed, None] = {}
        self._idle: Deferred[None] | None = None
        # Since when it does not wait for news, in the seconds of the clock; None if it does.
        self._since: float | None = reactor.seconds()
        self._hasFailed = False
        # When all streams were checked last.
        self._checked = 0.0

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
        self._refused.pop(stream, None)

    def stop(self) -> None:
        """
        Disconnect permanently.
        """
        self.link.stop()
        self._wake()

    def _wake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _up(self, connection: Connection) -> None:
        self._checkAll()

        def ended(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, Moved):
                self.link.move(error.host, error.port)
                return
            if not failure.check(Unanswered, Refused) and not self._hasFailed:
                # A server with answers of its own has them each time.
                self._hasFailed = True
                _log.failure("Following streams failed", failure)
            connection.abort(failure.getErrorMessage())

        Deferred.fromCoroutine(self._follow(connection)).addErrback(ended)

    def _down(self, why: str) -> None:
        self._setWaiting(False)
        self._wake()
        self._changed()

    def _setWaiting(self, isWaiting: bool) -> None:
        if isWaiting:
            self._since = None
            self.waits += 1
        elif self._since is None:
            self._since = self._reactor.seconds()

    def _checkAll(self) -> None:
        """
        Any stream may have been deleted, or replaced.
        """
        self._checked = self._reactor.seconds()
        for stream in self._streams:
            self._streams[stream] = True

    async def _follow(self, connection: Connection) -> None:
        isConfirmed = False
        while self.link.connection is connection and not connection.isOver:
            news = [stream for stream, isNew in self._streams.items() if isNew]
            if news:
                await self._read(connection, news)
                continue
            streams = [stream for stream in self._streams if stream not in self._refused]
            # Until it is known that this is possible, wait for the shortest time.
            if streams:
                await self._wait(connection, streams, isConfirmed)
            if not isConfirmed:
                isConfirmed = True
                self.link.confirm()
                self._changed()
            elif not streams:
                await self._rest()

    async def _wait(
        self, connection: Connection, streams: Sequence[Followed], isLong: bool
    ) -> None:
        """
        Wait until something is new.

        @param isLong: whether until all streams are checked again.
        """
        left = self._checked + self._timeout - self._reactor.seconds()
        self._setWaiting(isLong)
        [reply] = await connection.ask(
            max(0.0, left) + self._timeout * GRACE,
            (
                # A proxy may refuse this, and nothing else.
                *("XREAD", "COUNT", 1, "BLOCK", max(1, int(left * 1000)) if isLong else 1),
                "STREAMS",
                *(stream.key for stream in streams),
                *(stream.newest[0] for stream in streams),
            ),
        )
        self._setWaiting(False)
        if isinstance(reply, ReplyError) and kindOf(reply) == "UNBLOCKED":
            # It has become a replica.
            self.link.renew(said(reply))
            return
        if isinstance(reply, ReplyError) and not isPassing(reply):
            # Because of one of them: which?
            before = len(self._refused)
            await self._read(connection, streams)
            if len(self._refused) > before:
                return
        keys = {key for key, _ in checked(reply) or ()}
        for stream in streams:
            if stream in self._streams and stream.key.encode() in keys:
                self._streams[stream] = True
        if self._reactor.seconds() >= self._checked + self._timeout:
            self._checkAll()

    async def _rest(self) -> None:
        """
        There is nothing to wait for: wait for another stream, or try again after some time.
        """
        self._idle = deferLater(self._reactor, self._timeout) if self._refused else Deferred()
        with suppress(CancelledError):
            await self._idle
        self._idle = None
        self._checkAll()

    async def _read(self, connection: Connection, streams: Sequence[Followed]) -> None:
        """
        Read what follows the newest entries of some streams: of all before any is read again, so
        that none has to wait for others that are never read to the end.
        """
        for start in range(0, len(streams), TOGETHER):
            await self._readTogether(connection, streams[start : start + TOGETHER])

    async def _readTogether(self, connection: Connection, streams: Sequence[Followed]) -> None:
        asked = [(s, s.newest, s.pages.count(PIECE, MOST // len(streams))) for s in streams]
        replies = await connection.ask(
            self._timeout,
            *(
                ("XRANGE", stream.key, newest[0], "+", "COUNT", count + 1)
                for stream, newest, count in asked
            ),
        )
        for (stream, newest, count), reply in zip(asked, replies, strict=True):
            if stream not in self._streams:
                continue
            if isinstance(reply, ReplyError) and not isPassing(reply):
                self._refuse(stream, said(reply))
                continue
            first, *entries = checked(reply) or [None]
            if first == newest:
                self._accept(stream, isNew=len(entries) == count)
                stream.pages.learn(entries)
                stream.advance(entries)
            else:
                await self._restart(connection, stream)

    def _accept(self, stream: Followed, isNew: bool) -> None:
        self._streams[stream] = isNew
        if stream in self._refused:
            del self._refused[stream]
            stream.refuse(None)

    def _refuse(self, stream: Followed, why: str) -> None:
        self._streams[stream] = False
        if stream not in self._refused:
            self._refused[stream] = None
            stream.refuse(why)

    async def _begin(self, connection: Connection, stream: Followed, ms: int | None) -> Any:
        """
        Add an entry from which one can go on: see L{begin}.

        @return: the answer, and the newest entry that there is then.
        """
        return await connection.ask(
            self._timeout,
            begin(stream.key, ms),
            ("XREVRANGE", stream.key, "+", "-", "COUNT", 1),
        )

    async def _restart(self, connection: Connection, stream: Followed) -> None:
        """
        Continuity is lost.
        """
        # The clock may have been set back, too, but what comes must not have an ID that was given
        # before.
        ms = readID(stream.newest[0]).ms + 1
        # Some program may have used the last ID that there is.
        begun, newest = await self._begin(connection, stream, ms if ms <= LARGEST else None)
        if isinstance(begun, ReplyError) and newest == []:
            # It has had greater IDs, and nothing is left of them.
            begun, newest = await self._begin(connection, stream, None)
        if stream not in self._streams:
            return
        if checked(newest):
            # The next read proves what follows it.
            stream.restart(newest[0])
            self._accept(stream, isNew=True)
        elif isinstance(begun, ReplyError):
            self._refuse(stream, said(begun))
