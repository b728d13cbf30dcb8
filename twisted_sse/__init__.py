"""
Server-Sent Events for Twisted: the format, the server, the client and a daemon.

    >>> from twisted_sse import Event, EventStreamResource
    >>> def connected(stream):
    ...     stream.every(2, lambda: Event("hello", event="message", id=1))
    >>> resource = EventStreamResource(connected)

The standard is the HTML standard's section 9.2, U{"Server-sent events"
<https://html.spec.whatwg.org/multipage/server-sent-events.html>}.
"""

from __future__ import annotations

from .channel import Channel
from .format.event import Event, InvalidEvent
from .format.parser import EventStreamParser, EventTooLarge, MessageEvent
from .server.resource import EventStreamResource
from .store.memory import History
from .stream.pending import SlowReader
from .stream.reasons import CloseReason
from .stream.stream import EventStream

__all__ = [
    "Channel",
    "CloseReason",
    "Event",
    "EventStream",
    "EventStreamParser",
    "EventStreamResource",
    "EventTooLarge",
    "History",
    "InvalidEvent",
    "MessageEvent",
    "SlowReader",
]
