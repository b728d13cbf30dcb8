"""
A server in memory that makes the IDs of the events, as Redis does, and the stores of any number of
processes that use it.

Requests, answers and notifications take a reactor turn each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock

from twisted_sse import Event
from twisted_sse.store import (
    EventLog,
    KeyReused,
    NotKept,
    NotStored,
    Record,
    Repeated,
    StoreAway,
    Tail,
)
from twisted_sse.store.fingerprint import fingerprint

__all__ = ["Server", "SharedStore"]

_Result = TypeVar("_Result")

#: A store's timeout for an answer, and its delay before it tries again, in seconds.
TIMEOUT = 0.05
PAUSE = 0.01

#: An ID; or the position before the record with that ID.
PLACE = re.compile(r"(<?)([1-9][0-9]{0,18})-0")

#: The position before the very first record.
BEGINNING = "0-0"


class Kept(NamedTuple):
    """
    A record in a stream.
    """

    number: int
    record: Record


class Stream:
    """
    The records of one channel.

    @ivar kept: the records that are kept.
    @ivar all: the events of all records ever appended.
    """

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.all: list[Event] = []
        self.number = 0
        self.keys: dict[str, tuple[bytes, Sequence[str]]] = {}
        self.followers: list[Callable[[], None]] = []

    def add(self, records: Sequence[Record], key: str | None, most: int) -> Sequence[str]:
        """
        Add records, unless the key has been used.
        """
        content = fingerprint(records)
        if key is not None and key in self.keys:
            before, identifiers = self.keys[key]
            if before != content:
                raise KeyReused(key)
            return Repeated(identifiers)
        identifiers = []
        for record in records:
            self.number += 1
            identifiers.append(f"{self.number}-0")
            event = record.event
            event = Event(event.data, event.event, identifiers[-1], event.retry, event.comment)
            self.kept.append(Kept(self.number, record._replace(event=event)))
            self.all.append(event)
        if key is not None:
            self.keys[key] = content, identifiers
        del self.kept[:-most]
        for follower in self.followers:
            follower()
        return identifiers

    def after(self, place: str | None) -> list[Kept]:
        """
        Find the records that directly follow a position.

        The rule: records that begin with the record itself directly follow it.
        """
        if place is None:
            return self.kept
        if place == BEGINNING and self.number == len(self.kept):
            return self.kept
        found = PLACE.fullmatch(place)
        if found is not None:
            for index, each in enumerate(self.kept):
                if each.number == int(found[2]):
                    return self.kept[index if found[1] else index + 1 :]
        raise NotKept(place)


class Server:
    """
    The server.
    """

    def __init__(self, clock: IReactorTime | Clock, maxEvents: int = 10**6) -> None:
        self.clock = clock
        self.maxEvents = maxEvents
        self.streams: dict[str, Stream] = {}
        self.isAway = self.isFull = False

    def stream(self, name: str) -> Stream:
        """
        Find a stream.
        """
        return self.streams.setdefault(name, Stream())


class SharedStore:
    """
    The store of one process.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.logs: list[SharedLog] = []
        self.refused: str | None = None
        self.isAway = self.isClosed = False
        self._requests: dict[Deferred[Any], Callable[[], Exception]] = {}
        self._work: list[Callable[[], object]] = []
        self._calls: set[IDelayedCall] = set()

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        """
        Open a log.
        """
        return self.ask(partial(SharedLog, self, name, tail, recent), StoreAway)

    def problem(self) -> str | None:
        """
        Report what is wrong.
        """
        return "the server is away" if self.isAway else self.refused

    def close(self) -> Deferred[None]:
        """
        Close the logs, once all requests have been answered.
        """
        if self._requests and not self.isAway:
            return self.ask(lambda: None, StoreAway).addBoth(lambda _: self.kill())
        self.kill()
        return succeed(None)

    def kill(self) -> None:
        """
        End immediately.
        """
        self.isClosed = True
        for log in list(self.logs):
            log.leave()
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        requests, self._requests = self._requests, {}
        for request, error in requests.items():
            request.errback(error())

    def later(self, work: Callable[[], object], seconds: float = 0) -> None:
        """
        Do something in a later turn; calls without a time of their own keep their order.
        """

        def run() -> None:
            self._calls.discard(call)
            work()

        def runAll() -> None:
            waiting, self._work = self._work, []
            for each in waiting:
                if not self.isClosed:
                    each()

        if not seconds:
            self._work.append(work)
            if len(self._work) > 1:
                return
            work = runAll
        call: IDelayedCall = self.server.clock.callLater(seconds, run)
        self._calls.add(call)

    def ask(
        self, what: Callable[[], _Result], failing: Callable[[], Exception]
    ) -> Deferred[_Result]:
        """
        Ask the server.

        @param failing: makes the failure if no answer arrives.
        """
        if self.isClosed:
            return fail(failing())
        answer: Deferred[_Result] = Deferred()
        self._requests[answer] = failing

        def lost() -> None:
            self.setAway()
            if self._requests.pop(answer, None):
                answer.errback(failing())

        def arrive() -> None:
            if self.server.isAway:
                self.later(lost, TIMEOUT)
                return
            try:
                done = what()
            except Exception as error:
                self.later(partial(back, answer.errback, error))
            else:
                self.later(partial(back, answer.callback, done))

        def back(fire: Callable[[Any], None], result: object) -> None:
            if self._requests.pop(answer, None):
                fire(result)

        self.later(arrive)
        return answer

    def setAway(self) -> None:
        """
        The server does not answer.
        """
        if not self.isAway:
            self.isAway = True
            for log in self.logs:
                log.tail.away("the server is away")
            self.later(self._look, PAUSE)

    def _look(self) -> None:
        if self.server.isAway:
            self.later(self._look, PAUSE)
            return
        self.isAway = False
        for log in self.logs:
            log.follow()
            log.tail.away(None)


class SharedLog:
    """
    A log of one process.
    """

    makesIDs = True
    prefix = ""

    def __init__(self, store: SharedStore, name: str, tail: Tail, recent: int) -> None:
        self.store = store
        self.tail = tail
        self.stream = stream = store.server.stream(name)
        newest = stream.kept[-recent:] if recent else []
        before = stream.kept[: len(stream.kept) - len(newest)]
        self.number = stream.number
        if before:
            self.origin = f"{before[-1].number}-0"
        elif stream.number == len(newest):
            self.origin = BEGINNING
        else:
            self.origin = f"<{newest[0].number}-0"
        self.isClosed = False
        tail.received([each.record for each in newest])
        stream.followers.append(self._told)
        store.logs.append(self)

    def append(
        self, records: Sequence[Record], idempotencyKey: str | None = None
    ) -> Deferred[Sequence[str]]:
        """
        Append records.
        """
        server = self.store.server
        if any(record.event.id is not None for record in records):
            return fail(ValueError("the log makes the IDs"))
        if self.isClosed:
            return fail(NotStored(why="the log is closed"))

        def add() -> Sequence[str]:
            if server.isFull:
                self.store.refused = "the server is full"
                raise NotStored(why="the server is full")
            self.store.refused = None
            return self.stream.add(records, idempotencyKey, server.maxEvents)

        return self.store.ask(add, lambda: NotStored(True, "the server does not answer"))

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None
    ) -> Deferred[Sequence[Record]]:
        """
        Read the records after a position.
        """
        if self.isClosed:
            return fail(StoreAway("the log is closed"))

        def select() -> Sequence[Record]:
            found: list[Record] = []
            left = maxBytes
            for number, record in self.stream.after(after):
                if number > self.number:
                    # The tail has not received it yet.
                    break
                if topics is None or topics.intersection(record.topics):
                    left -= len(record.event.encode())
                    if found and left < 0:
                        break
                    found.append(record)
            return found

        return self.store.ask(select, StoreAway)

    def close(self) -> Deferred[None]:
        """
        Close the log, once all requests have been answered.
        """
        if self.isClosed or self.store.isClosed or self.store.isAway:
            self.leave()
            return succeed(None)
        return self.store.ask(self.leave, StoreAway).addErrback(lambda _: self.leave())

    def leave(self) -> None:
        """
        Stop notifying the tail.
        """
        if not self.isClosed:
            self.isClosed = True
            self.stream.followers.remove(self._told)
            self.store.logs.remove(self)

    def _told(self) -> None:
        if not self.store.isAway:
            self.store.later(self.follow)

    def follow(self) -> None:
        """
        Pass new records to the tail.
        """
        if self.isClosed or self.store.isAway or self.number == self.stream.number:
            return
        if self.store.server.isAway:
            self.store.setAway()
            return
        last, self.number = self.number, self.stream.number
        try:
            new = self.stream.after(f"{last}-0")
        except NotKept:
            self.tail.broken(f"{self.number}-0")
        else:
            self.tail.received([each.record for each in new])
