"""
What the daemon's sources of lines have in common: each line becomes an event of a channel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...channel.channel import Channel
from ...format.event import Event, InvalidEvent
from ...printable import shown
from ...store.contract import NotStored
from ...stream.options import LONGEST_ID, SHORTEST_RETRY
from .lines import LONGEST_LINE, Line

__all__ = ["FORMATS", "LineSource", "noID"]

#: How a line may be read.
FORMATS = ("text", "events")

#: The fields of an event, as a line of JSON names them.
_FIELDS = {"data", "event", "id", "retry"}

#: The longest line, in MiB.
LONGEST_MIB = LONGEST_LINE // 2**20

_log = Logger()


def noID(line: Line) -> None:
    """
    Leave it to the channel to make the ID of a line's event.
    """


class LineSource(Service):
    """
    Publishes lines, and reads no faster than they are delivered.

    @ivar channel: where the lines are published.
    @ivar lines: how many lines there were.
    @ivar linesCut: how many of these were too long, and were cut.
    @ivar linesNotJSON: how many were not JSON that describes an event, though the format is
        C{"events"}.  They were sent as text.
    @ivar loadedAt: when the newest of the lines loaded at the start was written, in Unix time;
        L{None} if there were none.

    @since: 0.2
    """

    def __init__(
        self, channel: Channel, format: str = "text", ended: Callable[[int], None] | None = None
    ) -> None:
        """
        @param channel: where to publish.
        @param format: C{"text"}: a line is the data of an event.  C{"events"}: a line is an object
            with its fields.
        @param ended: called when the source has ended, with an exit status: 0 for success.
        """
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}: it must be one of {', '.join(FORMATS)}")
        self.channel = channel
        self.lines = 0
        self.linesCut = 0
        self.linesNotJSON = 0
        self.loadedAt: float | None = None
        self._format = format
        # Whether an ID was dropped, since the store makes them.
        self._hasDroppedID = False
        self._ended = ended
        self._delivering: Deferred[Any] | None = None
        self._storing: Deferred[Any] = succeed(None)

    @property
    def isDelivering(self) -> bool:
        """
        Whether L{whenDelivered} is waiting.
        """
        return self._delivering is not None

    def stopService(self) -> Any:
        """
        Stop reading.
        """
        if self._delivering is not None:
            self._delivering.cancel()
        return super().stopService()  # type: ignore[no-untyped-call]

    # For the sources

    def publish(self, lines: Iterable[Line], identify: Callable[[Line], str | None]) -> None:
        """
        Publish lines.

        @param identify: called with a line, returns the ID of its event; L{None} to leave it to
            the channel.
        """
        events = [self._event(line, identify) for line in lines]
        if not events:
            return
        try:
            self._storing = self.channel.publishAllAndWait([(event, ()) for event in events])
        except NotStored as e:
            # A command that is to end may write much, and cannot be stopped from it.
            _log.error("Lines are lost: {why}", why=str(e))
        else:
            # The channel has logged it.
            self._storing.addErrback(lambda failure: failure.trap(NotStored))

    def _event(self, line: Line, identify: Callable[[Line], str | None]) -> Event:
        """
        Make the event of a line.
        """
        self.lines += 1
        if line.cut:
            self.linesCut += 1
            if self.linesCut == 1:
                size = len(line.raw) + line.cut
                _log.warn("Cut a line of {size:,} bytes to {most} MiB", size=size, most=LONGEST_MIB)
        identifier = identify(line)
        event = self._parse(line, identifier) if self._format == "events" else None
        return Event(line.text, id=identifier) if event is None else event

    def whenDelivered(self, go: Callable[[], None]) -> bool:
        """
        Wait until everything published has been delivered, and stored if there is a store.

        @param go: called then, unless the service is stopped first.  It is not called if there
            is nothing to wait for.
        @return: whether there is something to wait for.
        """
        delivering = self.channel.whenDelivered()
        storing = self._storing
        if not storing.called:
            delivering.addCallback(lambda _: storing)
        elif delivering.called:
            return False

        def delivered(result: object) -> None:
            self._delivering = None
            if isinstance(result, Failure):
                result.trap(CancelledError)
            else:
                go()

        self._delivering = delivering
        delivering.addBoth(delivered)
        return True

    def end(self, status: int) -> None:
        """
        The source has ended.

        @param status: an exit status.
        """
        if self._ended is not None:
            self._ended(status)

    def _parse(self, line: Line, identifier: str | None) -> Event | None:
        """
        @return: the event that a line of JSON describes; L{None} if it describes none.
        """
        try:
            fields = json.loads(line.raw)
            if isinstance(fields, dict) and fields and fields.keys() <= _FIELDS:
                self._dropID(fields)
                return _makeEvent(fields, identifier)
        except (ValueError, TypeError, RecursionError):
            pass
        self.linesNotJSON += 1
        if self.linesNotJSON == 1:
            _log.warn(
                "A line is not a JSON object with data, event, id or retry, and was "
                "sent as text: {text}",
                text=shown(line.text[:200]),
            )
        return None

    def _dropID(self, fields: dict[str, Any]) -> None:
        """
        Drop the ID of an event, if the channel takes none.
        """
        if self.channel.takesIDs or not fields.get("id"):
            return
        del fields["id"]
        if not self._hasDroppedID:
            self._hasDroppedID = True
            _log.warn("The IDs of lines are ignored: the store makes the IDs of events")


def _makeEvent(fields: dict[str, Any], identifier: str | None) -> Event:
    data = fields.pop("data", None)
    retry = fields.get("retry")
    if isinstance(retry, int) and retry < SHORTEST_RETRY:
        raise InvalidEvent(
            f"retry is {retry} ms: browsers would reconnect in a tight loop", "retry"
        )
    if fields.get("id") in (None, ""):
        fields["id"] = identifier
    text = data is None or isinstance(data, str)
    event = Event(data, **fields) if text else Event.json(data, **fields)
    if event.id and len(event.id.encode()) > LONGEST_ID:
        raise InvalidEvent("id is longer than any client could send back", "id")
    return event
