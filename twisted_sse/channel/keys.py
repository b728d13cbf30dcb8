"""
Idempotency keys: what is published again with the same key is not published twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from ..format.event import Event, withID
from ..store.contract import KeyReused, Record
from ..store.fingerprint import fingerprint

__all__ = ["Item", "Keys", "Use"]

#: For how many seconds a key is remembered; how many are at most, and for how many events: there may
#: be thousands for one key.
LIFETIME = 3600
MOST = 10_000
MOST_EVENTS = 200_000


class Item(NamedTuple):
    """
    An event to be published.

    @ivar topics: its topics.
    @ivar private: whether it is only for those who may read one of them.
    """

    event: Event
    topics: frozenset[str]
    private: bool


class Use:
    """
    The first use of a key.

    @ivar content: sums up what was published.
    @ivar count: how many events that were.
    @ivar time: when, in the seconds of the channel's clock.
    """

    __slots__ = ("_outcome", "_waiting", "content", "count", "time")

    def __init__(self, content: bytes, count: int, time: float) -> None:
        self.content = content
        self.count = count
        self.time = time
        # The IDs: a publisher that repeats the key has the rest of the events.
        self._outcome: Sequence[str | None] | None = None
        self._waiting: list[Deferred[Sequence[str | None]]] = []

    def outcome(self) -> Deferred[Sequence[str | None]]:
        """
        @return: a new L{Deferred} each time, which fires with the IDs of the events.
        """
        if self._outcome is not None:
            return succeed(self._outcome)
        waiting: Deferred[Sequence[str | None]] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def settle(self, outcome: Sequence[str | None] | Failure) -> None:
        """
        Tell all that are waiting.
        """
        if not isinstance(outcome, Failure):
            self._outcome = outcome
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(outcome)


class Keys:
    """
    The keys that were used in one channel.
    """

    def __init__(self) -> None:
        # The oldest first.
        self._uses: dict[str, Use] = {}
        self._events = 0

    def once(
        self,
        key: str,
        items: Sequence[Item],
        now: float,
        publish: Callable[[], Deferred[Sequence[Event]]],
    ) -> Deferred[Sequence[Event]]:
        """
        Publish some events, unless they were published with this key before.

        @param now: the time, in the seconds of the channel's clock.
        @param publish: publishes them, and fires with the events as they are sent.
        @return: fires with the events as they are sent.
        @raise KeyReused: if the key was used for others.
        """
        content = fingerprint(
            Record(event, tuple(topics), private, place=event.id or "")
            for event, topics, private in items
        )
        use = self.find(key, content, now)
        if use is None:
            use = self.add(key, content, now, publish(), len(items))

        def events(ids: Sequence[str | None]) -> Sequence[Event]:
            return [
                item.event if id is None or item.event.id == id else withID(item.event, id)
                for item, id in zip(items, ids, strict=True)
            ]

        return use.outcome().addCallback(events)

    def find(self, key: str, content: bytes, now: float) -> Use | None:
        """
        Find the first use of a key.

        @raise KeyReused: if it was used with other content.
        """
        use = self._uses.get(key)
        if use is None or use.time + LIFETIME <= now:
            return None
        if use.content != content:
            raise KeyReused(
                f"the idempotency key {key!r} was already used for different content: "
                "each event or batch needs its own key"
            )
        return use

    def add(
        self, key: str, content: bytes, now: float, published: Deferred[Sequence[Event]], count: int
    ) -> Use:
        """
        Remember the first use of a key.  If nothing comes of it, it is forgotten, so that the key
        may be used again.

        @param published: fires with the events.
        @param count: how many there are.
        """
        self._forget(key)
        use = self._uses[key] = Use(content, count, now)
        self._events += count
        while len(self._uses) > MOST or (self._events > MOST_EVENTS and len(self._uses) > 1):
            self._forget(next(iter(self._uses)))

        def settle(events: Sequence[Event]) -> None:
            use.settle([event.id for event in events])

        def failed(failure: Failure) -> None:
            if self._uses.get(key) is use:
                self._forget(key)
            use.settle(failure)

        published.addCallbacks(settle, failed)
        return use

    def _forget(self, key: str) -> None:
        use = self._uses.pop(key, None)
        if use is not None:
            self._events -= use.count
