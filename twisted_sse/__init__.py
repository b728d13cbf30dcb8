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
from .event import Event, InvalidEvent
from .history import History
from .parser import EventStreamParser, EventTooLarge, MessageEvent
from .pending import SlowReader
from .resource import EventStreamResource
from .stream import CloseReason, EventStream

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
