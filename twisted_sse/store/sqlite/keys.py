"""
Idempotency keys: what is appended again with the same key is not stored twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from ..contract import KeyReused
from .state import State

__all__ = ["findKey", "keepKey"]

#: For how many seconds a key is remembered, and how many are at most.
LIFETIME = 3600
MOST = 10_000


def findKey(
    connection: sqlite3.Connection, state: State, key: str, content: bytes, now: float
) -> list[str] | None:
    """
    Find the first use of a key.

    @return: the IDs from then; L{None} if it is the first.
    @raise KeyReused: if it was used with other content.
    """
    found = connection.execute(
        "SELECT content, time, ids FROM keys WHERE channel = ? AND key = ?", [state.channel, key]
    ).fetchone()
    if found is None or found[1] + LIFETIME <= now:
        return None
    if found[0] != content:
        raise KeyReused(
            f"the idempotency key {key!r} was used for other content: every event, or batch of"
            " events, needs a key of its own"
        )
    return list(map(str, json.loads(found[2])))


def keepKey(
    connection: sqlite3.Connection,
    state: State,
    key: str,
    content: bytes,
    ids: Sequence[str],
    now: float,
) -> None:
    """
    Remember the first use of a key, in the current transaction, and forget the oldest.
    """
    if state.keys is None:
        state.keys = connection.execute(
            "SELECT count(*) FROM keys WHERE channel = ?", [state.channel]
        ).fetchone()[0]
    state.keys -= connection.execute(
        "DELETE FROM keys WHERE channel = ? AND time <= ?", [state.channel, now - LIFETIME]
    ).rowcount
    if state.keys >= MOST:
        state.keys -= connection.execute(
            "DELETE FROM keys WHERE channel = ? AND key IN"
            " (SELECT key FROM keys WHERE channel = ? ORDER BY time LIMIT ?)",
            [state.channel, state.channel, state.keys - MOST + 1],
        ).rowcount
    connection.execute(
        "INSERT INTO keys VALUES(?, ?, ?, ?, ?)",
        [state.channel, key, content, now, json.dumps(list(ids))],
    )
    state.keys += 1
