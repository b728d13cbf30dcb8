"""
Where a channel's events are kept.
"""

from __future__ import annotations

from .contract import EventStore
from .memory import History

__all__ = ["EventStore", "History"]
