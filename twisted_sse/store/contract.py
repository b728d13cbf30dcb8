"""
What a store is: the contract between a channel and the place where its events are kept.

A channel keeps its newest events in memory, in a L{History<twisted_sse.store.memory.History>}.
With a store, that is only the window in front: the store keeps more, and keeps it when the process
ends.  A store has one L{EventLog} for each channel, and tells the channel through its L{Tail}.

All methods are called in the reactor's thread, and call back there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from ..format.event import Event

__all__ = [
    "EventLog",
    "EventStore",
    "KeyReused",
    "NotKept",
    "NotStored",
    "Record",
    "Repeated",
    "StoreAway",
    "Tail",
]


class NotStored(Exception):
    """
    An event was not stored.

    @ivar maybe: whether it may still be kept, or delivered: that is not known if the answer of the
        store was lost, or because subscribers were sent it before.

    @since: 0.2
    """

    def __init__(self, maybe: bool = False, why: str = "") -> None:
        """
        @param why: what prevented it.
        """
        super().__init__(maybe, why)
        self.maybe = maybe
        self.why = why

    def __str__(self) -> str:
        return self.why or ("perhaps not stored" if self.maybe else "not stored")


class NotKept(LookupError):
    """
    It cannot be proved that a store has everything after a place: the place is unknown, or something
    after it was dropped or lost.

    @since: 0.2
    """


class StoreAway(Exception):
    """
    The store cannot be reached now.  The call can be repeated later.

    @since: 0.2
    """


class KeyReused(ValueError):
    """
    An idempotency key was used again, with different content.

    @since: 0.2
    """


class Record(NamedTuple):
    """
    An event as a store keeps it.

    @ivar event: the event, with its ID if it has one already.
    @ivar topics: its topics.
    @ivar private: whether it is only for those who may read one of its topics.
    @ivar time: when it was published, in seconds since 1970 (Unix time).
    @ivar place: names the place after this record if the event's ID may not: an ID that the
        application gave can have been given before.  Empty if the ID does.

    @since: 0.2
    """

    event: Event
    topics: tuple[str, ...] = ()
    private: bool = False
    time: float = 0.0
    place: str = ""


class Repeated(tuple[str, ...]):
    """
    The answer to an C{append} whose idempotency key was used before: the IDs from the first time.

    @since: 0.2
    """

    __slots__ = ()


class Tail(Protocol):
    """
    What a log tells its channel.

    @since: 0.2
    """

    def received(self, records: Sequence[Record], /) -> None:
        """
        There are records, in the order of the log.

        Called once while the log is opened, before the L{Deferred} of C{open} fires, with the
        newest records that it already has, as far as they follow each other without a hole; without
        a record, or not at all, if there are none.  After that only by a log that makes the IDs: with every record,
        those of this channel too, each exactly once.

        An ID may be asked for with C{read} only after this was called with all records before it;
        and C{read} returns no record that this was not called with, unless it is older than those
        of the first call.
        """

    def broken(self, origin: str, /) -> None:
        """
        Continuity is lost: what comes next does not follow what was there before.  The channel
        tells all subscribers; but of those who still read from the log, only those whose place it
        does not know any more.

        @param origin: the place before whatever comes next.  C{EventLog.prefix} may have changed.
        """

    def away(self, why: str | None, /) -> None:
        """
        The store cannot be reached.

        @param why: the problem, in a few words; L{None} when it is over.
        """


class EventLog(Protocol):
    """
    The events of one channel, in order.

    A place in the log is named by text: by the ID of the event before it, by C{Record.place}, or by
    C{origin}.

    A log may have an attribute C{deliver}: if it is C{"stored"} the channel hands an event to its
    subscribers only when it is stored, not at once.  It may have an attribute C{maxAge}: for how
    many seconds an event is kept at most.  And a method C{makes(id)}: whether an ID is one that the
    channel made in this or an earlier opening, kept or not.  Without it only those of this opening
    are known, which begin with C{prefix}.

    @ivar makesIDs: whether the log makes the IDs, so that any number of processes can append.  If
        not, the channel makes them, and is the only one that appends.
    @ivar prefix: what IDs made by the channel begin with: short, printable ASCII without spaces,
        and not the beginning of any other prefix, so that L{newToken
        <twisted_sse.store.identifiers.newToken>} is best.  No two openings ever have the same,
        whatever happens: not over runs, processes, power cuts and restored backups.  The rest of an
        ID is a number, from 1: see L{numbered<twisted_sse.store.identifiers.numbered>}.  Each record
        has a greater one than the record before; some may be left out.
    @ivar origin: the place before the records that were handed to the tail at the opening.  It goes
        on naming this place, in later openings too, for as long as nothing after it is dropped.

    @since: 0.2
    """

    makesIDs: bool
    prefix: str
    origin: str

    def append(
        self, records: Sequence[Record], idempotencyKey: str | None = None, /
    ) -> Deferred[Sequence[str]]:
        """
        Keep some records, after all that were appended before: all of them, or none.

        If it fails, and the channel makes the IDs, subscribers may still have been sent the
        records.  So the next records do not follow those that are kept: there is a hole, and a
        C{read} across it fails with L{NotKept}.  A log that makes the IDs has no holes: no
        subscriber has seen what it did not keep.

        @param records: at least one.  If the log makes the IDs, none has an ID.
        @param idempotencyKey: if records were appended with this key before, do nothing.  A log
            remembers keys for an hour, or the newest 10,000, also when it is opened again.  If
            appending fails, its key may be used again.
        @return: fires with the IDs of the records, when they are kept as well as the log can; with
            those from the first time, as L{Repeated}, if the key was used before.  Fails with L{NotStored}, or
            with L{KeyReused} if the key was used for other events or topics.
        """

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None, /
    ) -> Deferred[Sequence[Record]]:
        """
        Read what directly follows a place.  If that is after a record whose C{append} has not been
        answered yet, this is answered later than that.

        @param after: the place, which may be any text from a client: if an event ID was given
            several times, that after the last of them.  L{None} for the oldest record that is
            followed by all others, after the last hole.
        @param maxBytes: about how many bytes to read at most; but at least one record.
        @param topics: only records about at least one of these; L{None} for all.
        @return: fires with the records, none at the end of the log.  Fails with L{NotKept} if the
            place is unknown, or if it cannot be proved that no record between the place and the
            last of these is missing: with C{topics}, no record about one of them.  Fails with
            L{StoreAway} if it has to be asked again later.
        """

    def close(self) -> Deferred[None]:
        """
        Keep what was appended, and release what the log holds.  May be called again.

        @return: fires when that is done.  Earlier calls have been answered then, and later ones
            fail with L{NotStored} or L{StoreAway}.  The log may be opened again.
        """


class EventStore(Protocol):
    """
    Keeps the events of any number of channels: a file, a server.

    @since: 0.2
    """

    def open(self, name: str, tail: Tail, recent: int, /) -> Deferred[EventLog]:
        """
        Open the log of a channel.

        @param name: the name of the channel.
        @param tail: receives what happens.
        @param recent: how many of the newest records to hand to the tail at once.
        @return: fires with the log.  Fails with L{StoreAway} if it should be tried again later;
            whatever else it fails with is final, such as C{ValueError} if the log is open already
            and can be open only once.
        """

    def problem(self) -> str | None:
        """
        @return: the problem, in one line for a log or a health check; L{None} if there is none.
            A failure is over when appending succeeds again.  The store itself logs the problem,
            once, and its end: the channels do not repeat it.
        """

    def close(self) -> Deferred[None]:
        """
        Close the logs that are open, and release what the store holds.

        @return: fires when everything that was appended is kept.
        """
