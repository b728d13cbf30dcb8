"""
A client of event streams: C{EventSource} of the HTML standard (9.2), for Twisted.

    >>> async with EventSource("https://example.com/events") as source:
    ...     async for event in source:
    ...         print(event.type, event.data)
"""

from __future__ import annotations

from ..format.parser import EventTooLarge
from ..timing.backoff import Backoff
from .errors import (
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    EventSourceError,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from .reader import EventReader, readEvents
from .source import EventSource

__all__ = [
    "Backoff",
    "BadCertificate",
    "BadContentType",
    "BadRedirect",
    "BadStatus",
    "EventReader",
    "EventSource",
    "EventSourceError",
    "EventTooLarge",
    "GaveUp",
    "ReadTimeout",
    "StreamBroken",
    "readEvents",
]
