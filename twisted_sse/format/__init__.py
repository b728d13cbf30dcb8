"""
The format of an event stream: encoding and parsing (HTML standard, 9.2.5 and 9.2.6).
"""

from __future__ import annotations

from .event import Event, InvalidEvent
from .parser import EventStreamParser, EventTooLarge, MessageEvent

__all__ = ["Event", "EventStreamParser", "EventTooLarge", "InvalidEvent", "MessageEvent"]
