"""
Tests for stores of your own: that they do what a channel relies on.
"""

from __future__ import annotations

from .every import EventStoreTests
from .faults import AwayStoreTests, FailingStoreTests, LimitedStoreTests
from .tail import MemoryTail, OpenedLog

__all__ = [
    "AwayStoreTests",
    "EventStoreTests",
    "FailingStoreTests",
    "LimitedStoreTests",
    "MemoryTail",
    "OpenedLog",
]
