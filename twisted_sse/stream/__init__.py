"""
One open response: its life, its queue, and the way to its socket.
"""

from __future__ import annotations

from .pending import SlowReader
from .reasons import CloseReason
from .stream import EventStream

__all__ = ["CloseReason", "EventStream", "SlowReader"]
