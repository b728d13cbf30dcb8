"""
Another name for L{twisted_sse.format.event}.
"""

from __future__ import annotations

from .format.event import Event, InvalidEvent

__all__ = ["Event", "InvalidEvent"]
