"""
One open response: its phases, its queue, and its writes to the socket.
"""

from __future__ import annotations

from .pending import PendingTotal, SlowReader
from .reasons import CloseReason
from .stream import EventStream

__all__ = ["CloseReason", "EventStream", "PendingTotal", "SlowReader"]
