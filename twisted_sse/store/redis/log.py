"""
The events of one channel, in a Redis stream.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from hiredis import ReplyError
from twisted.internet.defer import Deferred, fail

from ..contract import KeyReused, NotKept, NotStored, Record, Repeated, StoreAway, Tail
from ..fingerprint import fingerprint
from .commands import Commands
from .connection import Command
from .entries import NoEvent, begin, isBegin, sizeOf, toFields, toRecord
from .errors import Refused, Unanswered, checked, isFinal, kindOf, said
from .health import Health
from .pages import Entry, Pages
from .places import EntryID, Place, readID, readPlace
from .script import MOST_FIELDS, byScript, keyBeside

__all__ = ["RedisLog"]

_T = TypeVar("_T")

#: How many bytes L{fingerprint} has.
FINGERPRINT = 32

#: About how many bytes to ask for at once, if it is not known how many are wanted.
PIECE = 2**18


class RedisLog:
    """
    The events of one channel, in a Redis stream.

    It is an L{EventLog<twisted_sse.store.contract.EventLog>} that makes the IDs: they are those of
    the stream's entries.

    @ivar key: the key of the stream.
    @ivar newest: the newest entry that the tail has received.
    @ivar last: its ID.
    @ivar pages: how large the entries are.
    @ivar maxEvents: about how many events are kept; L{None} for all.
    @ivar maxAge: for how many seconds an event is kept; L{None} for no limit.
    """

    makesIDs = True
    prefix = ""

    def __init__(
        self,
        key: str,
        tail: Tail,
        commands: Commands,
        maxEvents: int | None,
        maxAge: float | None,
        health: Health,
        closed: Callable[[RedisLog], object],
    ) -> None:
        """
        @param health: told of what happens.
        @param closed: called when it is closed.
        """
        self.key = key
        self.tail = tail
        self.origin = ""
        self.newest: Entry = ()
        self.pages = Pages()
        self.maxEvents = maxEvents
        self.maxAge = maxAge
        self._commands = commands
        self._health = health
        self._closed = closed
        self.last = EntryID(0, 0)
        # Why nothing can be received; None if it can.
        self._away: str | None = None
        self._isClosed = False
        self._ended: Deferred[None] | None = None
        # How many calls have not been answered.
        self._unanswered = 0
        # Reads that wait until the tail has received an entry.
        self._readers: list[tuple[EntryID, Deferred[None]]] = []

    async def open(self, recent: int) -> None:
        """
        Hand the newest events to the tail.

        @param recent: how many.
        @raise StoreAway: if it should be tried again.
        @raise ValueError: if that would not help.
        """
        try:
            records = await self._findRecent(recent)
        except Unanswered as e:
            raise StoreAway(f"Redis: {e}") from e
        except Refused as e:
            raise (ValueError if e.isFinal else StoreAway)(f"{self.key}: {e}") from e
        if records:
            self.tail.received(records)

    async def _findRecent(self, recent: int) -> list[Record]:
        # The newest first.
        records: list[Record] = []
        oldest: Entry | None = None
        while not self.origin:
            count = self.pages.count(PIECE, recent + 1 - len(records))
            page = await self._ask(
                ("XREVRANGE", self.key, oldest[0], "-", "COUNT", count + 1)
                if oldest
                else ("XREVRANGE", self.key, "+", "-", "COUNT", count)
            )
            if oldest is not None:
                if page[:1] != [oldest]:
                    # What is older has been dropped in the meantime.
                    self.origin = _before(oldest)
                    break
                del page[0]
            elif page:
                self._advanceTo(page[0])
            else:
                await self._begin()
                continue
            self.pages.learn(page)
            for entry in page:
                if len(records) == recent:
                    self.origin = entry[0].decode()
                    break
                oldest = entry
                record = self._record(entry)
                if record is not None:
                    records.append(record)
            else:
                if len(page) < count and oldest is not None:
                    self.origin = _before(oldest)
        records.reverse()
        return records

    async def _begin(self) -> None:
        """
        Make a place before the first event.
        """
        seconds, _ = await self._ask(("TIME",))
        # In the past, so that the IDs of events remain short.
        [reply] = await self._commands.ask(begin(self.key, int(seconds) * 1000 - 1))
        if isinstance(reply, ReplyError):
            # There were events in the same second, and all are deleted.
            await self._ask(begin(self.key))

    # Following: see Followed

    def advance(self, entries: Sequence[Entry]) -> None:
        """
        See L{Followed<twisted_sse.store.redis.following.Followed>}.
        """
        if entries:
            self._advanceTo(entries[-1])
        records = [record for entry in entries if (record := self._record(entry)) is not None]
        if records:
            self.tail.received(records)
        # What the others wait for may have been deleted before we have seen it.
        self._goOn(isLost=not entries)

    def restart(self, newest: Entry) -> None:
        """
        See L{Followed<twisted_sse.store.redis.following.Followed>}.
        """
        self._health.lost(self.key)
        self._advanceTo(newest)
        self.tail.broken(newest[0].decode())
        # What they wait for may never come.
        self._goOn(isLost=True)

    def away(self, why: str | None) -> None:
        """
        The server cannot be reached, or can be again.
        """
        self._away = why
        self.tail.away(why)
        if why is not None:
            self._failReaders(why)

    def refuse(self, why: str | None) -> None:
        """
        See L{Followed<twisted_sse.store.redis.following.Followed>}.
        """
        self._health.followed(self.key, why)
        self.away(why)

    def _advanceTo(self, entry: Entry) -> None:
        self.newest = entry
        self.last = readID(entry[0])

    def _goOn(self, isLost: bool = False) -> None:
        """
        Let those read on that have waited for the newest entry.
        """
        readers, self._readers = self._readers, []
        for entry, reader in readers:
            if isLost or entry <= self.last:
                reader.callback(None)
            else:
                self._readers.append((entry, reader))

    def _failReaders(self, why: str) -> None:
        readers, self._readers = self._readers, []
        for _, reader in readers:
            reader.errback(StoreAway(why))

    def _record(self, entry: Entry) -> Record | None:
        """
        Make an event of an entry, if it is one.
        """
        identifier, fields = entry
        if isBegin(fields):
            return None
        try:
            return toRecord(readID(identifier), fields)
        except NoEvent as e:
            self._health.skip(self.key, identifier.decode(), str(e))
            return None

    # See EventLog

    def append(
        self, records: Sequence[Record], idempotencyKey: str | None = None
    ) -> Deferred[Sequence[str]]:
        """
        See L{EventLog.append<twisted_sse.store.contract.EventLog.append>}.
        """
        if any(record.event.id is not None for record in records):
            return fail(ValueError("Redis makes the IDs: publish the event without an id"))
        if self._isClosed:
            return fail(NotStored(False, "the log is closed"))
        try:
            _checkText(records, idempotencyKey)
        except UnicodeEncodeError as e:
            return fail(NotStored(False, f"a topic or key is not valid text: {e}"))
        entries = [toFields(record) for record in records]
        if max(map(len, entries)) > MOST_FIELDS:
            return fail(NotStored(False, "it has too many topics: a few thousand are allowed"))
        if idempotencyKey is None:
            return self._watched(self._add(entries))
        return self._watched(self._addOnce(entries, fingerprint(records), idempotencyKey))

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None
    ) -> Deferred[Sequence[Record]]:
        """
        See L{EventLog.read<twisted_sse.store.contract.EventLog.read>}.
        """
        if self._isClosed:
            return fail(StoreAway("the log is closed"))
        place = None
        if after is not None:
            place = readPlace(after)
            if place is None:
                return fail(NotKept("this is not a Redis ID"))
        return self._watched(self._read(place, maxBytes, topics))

    def close(self) -> Deferred[None]:
        """
        See L{EventLog.close<twisted_sse.store.contract.EventLog.close>}.
        """
        if self._ended is None:
            self._isClosed = True
            self._ended = Deferred()
            self._failReaders("the log was closed")
            self._leave()
        ended: Deferred[None] = Deferred()
        self._ended.addCallback(lambda _: ended.callback(None))
        return ended

    def _leave(self) -> None:
        if self._ended is not None and not self._ended.called and not self._unanswered:
            self._health.closed(self.key)
            self._closed(self)
            self._ended.callback(None)

    def _watched(self, work: Coroutine[Any, Any, Sequence[_T]]) -> Deferred[Sequence[_T]]:
        """
        Run something for which C{close} waits.
        """
        answer: Deferred[Sequence[_T]] = Deferred()
        self._unanswered += 1

        def answered(result: Any) -> None:
            self._unanswered -= 1
            # First, since closing fires only when everything was answered.
            answer.callback(result)
            self._leave()

        Deferred.fromCoroutine(work).addBoth(answered)
        return answer

    async def _ask(self, command: Command) -> Any:
        [reply] = await self._commands.ask(command, isRepeatable=True)
        return checked(reply)

    # Adding

    def _head(self) -> tuple[object, ...]:
        return ("*",) if self.maxEvents is None else ("MAXLEN", "~", self.maxEvents, "*")

    async def _add(self, entries: Sequence[Sequence[str]]) -> Sequence[str]:
        head = self._head()
        commands: list[Command] = [("XADD", self.key, *head, *fields) for fields in entries]
        if len(commands) > 1:
            commands = [("MULTI",), *commands, ("EXEC",)]
        replies = await self._written(commands, False)
        if not all(isinstance(each, bytes) for each in replies):
            raise self._strange(replies)
        return [each.decode() for each in replies]

    async def _addOnce(
        self, entries: Sequence[Sequence[str]], content: bytes, idempotencyKey: str
    ) -> Sequence[str]:
        remembering = keyBeside(self.key, f":once:{idempotencyKey}")
        head = self._head()
        try:
            command = byScript(self.key, remembering, content, head, entries, isLoaded=True)
            [reply] = await self._written([command], True)
        except _NoScript:
            command = byScript(self.key, remembering, content, head, entries, isLoaded=False)
            [reply] = await self._written([command], True)
        if not (isinstance(reply, list) and list(map(type, reply)) == [int, bytes]):
            raise self._strange(reply)
        isRepeated, told = reply
        if told[:FINGERPRINT] != content:
            raise KeyReused(idempotencyKey)
        identifiers = told[FINGERPRINT:].decode().split(" ")
        return Repeated(identifiers) if isRepeated else identifiers

    async def _written(self, commands: Sequence[Command], isRepeatable: bool) -> list[Any]:
        """
        @raise NotStored: if it was not done, or may not have been.
        """
        try:
            replies = await self._commands.ask(*commands, isRepeatable=isRepeatable, isOrdered=True)
        except Unanswered as e:
            raise NotStored(e.wasSent, f"Redis: {e}") from e
        # The first says why, those after it that nothing was done therefore.
        errors = [reply for reply in replies if isinstance(reply, ReplyError)]
        if not errors and len(commands) > 1:
            # Those of a transaction, which goes on after an error.
            replies = replies[-1]
            if not isinstance(replies, list):
                raise self._strange(replies)
            errors = [reply for reply in replies if isinstance(reply, ReplyError)]
            isPart = len(errors) < len(replies)
        else:
            isPart = False
        if not errors:
            self._health.stored(self.key)
            return replies
        if kindOf(errors[0]) == "NOSCRIPT":
            raise _NoScript
        why = said(errors[0])
        self._health.unstored(why, self.key if isFinal(errors[0]) else None)
        raise NotStored(isPart, f"Redis: {self.key}: {why}")

    def _strange(self, reply: object) -> NotStored:
        """
        @return: an error for an answer that Redis does not give, but a proxy or another server.
        """
        return NotStored(True, f"{self.key}: the server returned {reply!r:.100}")

    # Reading

    async def _read(
        self, place: Place | None, maxBytes: int, topics: frozenset[str] | None
    ) -> Sequence[Record]:
        try:
            return await self._findAfter(place, maxBytes, topics)
        except Unanswered as e:
            raise StoreAway(str(e)) from e
        except Refused as e:
            raise StoreAway(f"{self.key}: {e}") from e

    async def _findAfter(
        self, place: Place | None, maxBytes: int, topics: frozenset[str] | None
    ) -> Sequence[Record]:
        found: list[Record] = []
        left = maxBytes
        isOldest = place is None
        while True:
            # There may be few about these topics.
            count = self.pages.count(maxBytes if topics is None else max(maxBytes, PIECE))
            start = "-" if place is None else str(place.entry)
            newest = self.newest
            entries = await self._ask(("XRANGE", self.key, start, "+", "COUNT", count + 1))
            if place is not None:
                # The rule: only what begins with the entry directly follows it.
                if not entries or readID(entries[0][0]) != place.entry:
                    if isOldest:
                        # The oldest was dropped in the meantime.
                        place = None
                        continue
                    if not await self._isKnown(newest):
                        continue
                    raise NotKept(f"{self.key} no longer has {place.entry}")
                if place.entry > self.last:
                    # Another reader has seen it before us.
                    await self._until(place.entry)
                    continue
            isAll = len(entries) <= count
            self.pages.learn(entries)
            for entry in entries:
                identifier = readID(entry[0])
                if identifier > self.last:
                    isAll = True
                    break
                if place is not None and identifier == place.entry and not place.isBefore:
                    continue
                record = self._record(entry)
                place = Place(False, identifier)
                if record is None or not (topics is None or topics.intersection(record.topics)):
                    continue
                left -= sizeOf(entry[1])
                if found and left < 0:
                    return found
                found.append(record)
            if found or (isAll and (newest in entries or await self._isKnown(newest))):
                return found

    async def _isKnown(self, newest: Entry) -> bool:
        """
        Find out whether the stream is still the one that the tail knows.  If not, notify the tail
        first that it is another: what was lost is then lost once.

        @param newest: what was its newest entry.
        """
        if newest is self.newest:
            if [newest] == await self._ask(("XRANGE", self.key, newest[0], "+", "COUNT", 1)):
                return True
            if newest is self.newest:
                await self._until(EntryID(self.last.ms, self.last.seq + 1))
        return False

    def _until(self, entry: EntryID) -> Deferred[None]:
        if self._away is not None or self._isClosed:
            return fail(StoreAway(self._away or "the log is closed"))
        reader: Deferred[None] = Deferred()
        self._readers.append((entry, reader))
        return reader


class _NoScript(Exception):
    """
    The server does not know the script.
    """


def _checkText(records: Sequence[Record], key: str | None) -> None:
    """
    @raise UnicodeEncodeError: if something cannot be sent.  What an event has, can.
    """
    for record in records:
        for topic in record.topics:
            topic.encode()
    if key is not None:
        key.encode()


def _before(entry: Entry) -> str:
    return str(Place(True, readID(entry[0])))
