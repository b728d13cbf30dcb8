"""
Where a channel's events are kept.
"""

from __future__ import annotations

from .contract import (
    EventLog,
    EventStore,
    KeyReused,
    NotKept,
    NotStored,
    Record,
    Repeated,
    StoreAway,
    Tail,
)
from .memory import History

__all__ = [
    "EventLog",
    "EventStore",
    "History",
    "KeyReused",
    "NotKept",
    "NotStored",
    "Record",
    "Repeated",
    "StoreAway",
    "Tail",
]
