"""
The data of the page that lists several sources: the newest line and the rate of each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.web.resource import Resource

from ..channel.channel import Channel
from ..format.event import Event
from .sources.spec import Spec

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Activity", "Overview"]

#: For how many seconds events are counted.
SECONDS = 60

#: The longest excerpt of the newest line, in characters.
LONGEST = 300


class Activity:
    """
    The activity of one source, as the observer of its channel.

    @ivar path: the path of the source.
    @ivar channel: its channel; L{None} if each client gets its own events.
    @ivar events: the number of events so far, including those that a file or store already had.
    """

    channel: Channel | None = None

    def __init__(self, path: str, spec: Spec, seconds: Callable[[], float]) -> None:
        """
        @param spec: the source.
        @param seconds: returns the time of the channel's clock.
        """
        self.path = path
        self.events = 0
        self._spec = spec
        self._seconds = seconds
        # A ring of counters, one per second, including the current one.
        self._counts = [0] * (SECONDS + 1)
        self._second = int(seconds())
        # When the newest event that was there before was written.
        self._written: float | None = None
        # When the newest event since then arrived, by the channel's clock.
        self._came: float | None = None

    def received(self, channel: object, event: Event, isNew: bool) -> None:
        """
        See L{ChannelObserver<twisted_sse.observe.Observer>}.
        """
        self.events += 1
        if isNew:
            self._came = self._seconds()
            second = int(self._came)
            if second != self._second:
                self._advance(second)
            self._counts[second % len(self._counts)] += 1

    def _advance(self, second: int) -> None:
        size = len(self._counts)
        for each in range(max(self._second, second - size) + 1, second + 1):
            self._counts[each % size] = 0
        self._second = second

    def loaded(self, written: float | None) -> None:
        """
        Note that all events so far were there before the start.

        @param written: when the newest was written, in Unix time; L{None} if there is none.
        """
        self._counts = [0] * len(self._counts)
        self._came = None
        self._written = written

    def rates(self) -> list[int]:
        """
        @return: the number of events in each of the last L{SECONDS} whole seconds, oldest first.
        """
        second, size = int(self._seconds()), len(self._counts)
        self._advance(second)
        return [self._counts[each % size] for each in range(second - SECONDS, second)]

    def describe(self) -> dict[str, Any]:
        """
        @return: the object for the list of sources, ready for JSON.
        """
        last, at = self._newest()
        isShared = self.channel is not None
        return {
            "path": self.path,
            "kind": self._spec.kind.value,
            "label": self._spec.label,
            "lines": self.events if isShared else None,
            "last": last,
            "lastAt": at,
            "rates": self.rates() if isShared else None,
        }

    def _newest(self) -> tuple[str | None, int | None]:
        """
        @return: the beginning of the newest event's data, L{None} if no event is kept; and when it
            arrived, in milliseconds of Unix time, L{None} if unknown.
        """
        history = None if self.channel is None else self.channel.history
        if history is None:
            return None, None
        now = self._seconds()
        at = self._written if self._came is None else time.time() - (now - self._came)
        data = None
        if history.end > history.first:
            entry = history.get(history.end - 1)
            data = (entry.event.data or "")[:LONGEST]
            if at is None:
                at = time.time() - (now - entry.time)
        return data, None if at is None else int(at * 1000)


class Overview(Resource):
    """
    Answers with the activity of each source, as JSON.

    @ivar activities: the sources.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.activities: list[Activity] = []

    def render_GET(self, request: Request) -> bytes:
        """
        See L{Resource}.
        """
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-content-type-options", b"nosniff")
        return json.dumps([each.describe() for each in self.activities]).encode("ascii")
