"""
Another name for L{twisted_sse.format.parser}.
"""

from __future__ import annotations

from .format.parser import EventStreamParser, EventTooLarge, MessageEvent

__all__ = ["EventStreamParser", "EventTooLarge", "MessageEvent"]
