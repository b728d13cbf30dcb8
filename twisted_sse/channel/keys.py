"""
Idempotency keys: what is published again with the same key is not published twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from ..format.event import Event
from ..store.contract import KeyReused

__all__ = ["Keys", "Use"]

#: For how many seconds a key is remembered, and how many are at most.
LIFETIME = 3600
MOST = 10_000


class Use:
    """
    The first use of a key.

    @ivar content: sums up what was published.
    @ivar time: when, in the seconds of the channel's clock.
    """

    __slots__ = ("_outcome", "_waiting", "content", "time")

    def __init__(self, content: bytes, time: float) -> None:
        self.content = content
        self.time = time
        self._outcome: Sequence[Event] | Failure | None = None
        self._waiting: list[Deferred[Sequence[Event]]] = []

    def outcome(self) -> Deferred[Sequence[Event]]:
        """
        @return: a new L{Deferred} each time, which fires with the events that were published.
        """
        if isinstance(self._outcome, Failure):
            return fail(self._outcome)
        if self._outcome is not None:
            return succeed(self._outcome)
        waiting: Deferred[Sequence[Event]] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def settle(self, outcome: Sequence[Event] | Failure) -> None:
        """
        Tell all that are waiting.
        """
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
                f"the idempotency key {key!r} was used for other content: every event, or batch of"
                " events, needs a key of its own"
            )
        return use

    def add(self, key: str, content: bytes, now: float) -> Use:
        """
        Remember the first use of a key.
        """
        self._uses.pop(key, None)
        use = self._uses[key] = Use(content, now)
        while len(self._uses) > MOST:
            del self._uses[next(iter(self._uses))]
        return use

    def settle(self, key: str, use: Use, published: Deferred[Sequence[Event]]) -> None:
        """
        Tell all that are waiting what comes of the first use of a key.  If nothing was published,
        forget it, so that it may be used again.
        """

        def failed(failure: Failure) -> None:
            if self._uses.get(key) is use:
                del self._uses[key]
            use.settle(failure)

        published.addCallbacks(use.settle, failed)
