"""
Where a channel's events are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from .redis import RedisStore
    from .sqlite import SQLiteStore

__all__ = [
    "EventLog",
    "EventStore",
    "History",
    "KeyReused",
    "NotKept",
    "NotStored",
    "Record",
    "RedisStore",
    "Repeated",
    "SQLiteStore",
    "StoreAway",
    "Tail",
]


def __getattr__(name: str) -> Any:
    # Most programs have no store, and need no SQLite, which some builds of Python lack, and no hiredis.
    if name == "RedisStore":
        try:
            from .redis import RedisStore
        except ModuleNotFoundError as e:
            raise ImportError(f"RedisStore: {e}: pip install 'twisted-sse[redis]'") from e

        return RedisStore
    if name == "SQLiteStore":
        from .sqlite import SQLiteStore

        return SQLiteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
