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

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

#: The module of each name.
_MODULES = {
    "Channel": "channel",
    "CloseReason": "stream.reasons",
    "Event": "format.event",
    "EventStream": "stream.stream",
    "EventStreamParser": "format.parser",
    "EventStreamResource": "server.resource",
    "EventTooLarge": "format.parser",
    "History": "store.memory",
    "InvalidEvent": "format.event",
    "MessageEvent": "format.parser",
    "SlowReader": "stream.pending",
}


def __getattr__(name: str) -> object:
    """
    Import a name when it is first used (PEP 562).  Importing any module of a package imports the
    package first, and with it all of the server: the command could not handle Ctrl-C until then,
    and a client needs none of it.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
