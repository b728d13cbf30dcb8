"""
Kinds of stores, as models see them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.delayed_store import DelayedStore
from tests.support.examples import example
from tests.support.quiet_clock import QuietClock
from tests.support.shared_store import Server, SharedStore
from twisted_sse import Event
from twisted_sse.store import EventStore

__all__ = ["DelayedWorld", "LateWorld", "ListWorld", "SharedWorld", "SmallWorld", "World"]


class World:
    """
    A kind of store, and what there is of it besides the processes.

    @ivar delivers: whether events are handed to subscribers before they are stored.
    """

    delivers = "at once"
    makesIDs = False

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make the store of a new process.
        """
        raise NotImplementedError

    def kill(self) -> None:
        """
        The process has ended, and closed nothing.
        """

    def stored(self) -> Iterable[Event]:
        """
        List all events that were ever stored.
        """
        raise NotImplementedError

    def setFailing(self, fails: bool) -> None:
        """
        Make appending fail, or succeed.
        """
        raise NotImplementedError

    def setAway(self, isAway: bool) -> None:
        """
        Make the store unreachable, or reachable.
        """

    @property
    def dropped(self) -> int:
        """
        How many events were stored and are not kept any more.
        """
        return 0


class ListWorld(World):
    """
    The store over a list.
    """

    def __init__(self) -> None:
        self.module = example("list_store")
        self.rows = self.module.FullList()

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store over the list.
        """
        made: EventStore = self.module.ListStore(self.rows)
        return made

    def stored(self) -> Iterable[Event]:
        """
        List the events in the list.
        """
        return [row.record.event for row in self.rows if row.record]

    def setFailing(self, fails: bool) -> None:
        """
        Fill the list.
        """
        self.rows.isFull = fails


class DelayedWorld(ListWorld):
    """
    The same, with delays.
    """

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store over the list.
        """
        return DelayedStore(super().begin(clock), clock, self.delivers)


class LateWorld(DelayedWorld):
    """
    The same, and subscribers get only what is stored.
    """

    delivers = "stored"


class SharedWorld(World):
    """
    The store that makes the IDs.
    """

    delivers = "stored"
    makesIDs = True
    maxEvents = 10**6

    def __init__(self) -> None:
        self.server = Server(QuietClock(), self.maxEvents)
        self.store: SharedStore | None = None

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store on the server.
        """
        self.server.clock = clock
        self.store = SharedStore(self.server)
        return self.store

    def kill(self) -> None:
        """
        The connection is closed.
        """
        if self.store is not None:
            self.store.kill()

    def stored(self) -> Iterable[Event]:
        """
        List the events that the server has ever had.
        """
        return self.server.stream("news").all

    def setFailing(self, fails: bool) -> None:
        """
        Fill the server.
        """
        self.server.isFull = fails

    def setAway(self, isAway: bool) -> None:
        """
        Freeze the server.
        """
        self.server.isAway = isAway

    @property
    def dropped(self) -> int:
        """
        How many events the server has dropped.
        """
        stream = self.server.stream("news")
        return stream.number - len(stream.kept)


class SmallWorld(SharedWorld):
    """
    The same, and it does not keep everything.
    """

    maxEvents = 40
