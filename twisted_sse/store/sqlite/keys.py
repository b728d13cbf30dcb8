"""
Idempotency keys: what is appended again with the same key is not stored twice.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence

from ..contract import KeyReused, Repeated
from ..identifiers import number, numbered
from .state import State

__all__ = ["findKey", "keepKey"]

#: For how many seconds a key is remembered, and how many are at most.
LIFETIME = 3600
MOST = 10_000


def findKey(
    connection: sqlite3.Connection, state: State, key: str, content: bytes, now: float
) -> Repeated | None:
    """
    Find the first use of a key.

    @return: the IDs from then; L{None} if it is the first.
    @raise KeyReused: if it was used with other content.
    """
    found = connection.execute(
        "SELECT content, time, ids FROM keys WHERE channel = ? AND key = ?", [state.channel, key]
    ).fetchone()
    if found is None or found[1] <= now - LIFETIME:
        return None
    if found[0] != content:
        raise KeyReused(
            f"the idempotency key {key!r} was already used for different content: "
            "each event or batch needs its own key"
        )
    return _unpacked(json.loads(found[2]))


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
    newest = connection.execute(
        "SELECT max(time) FROM keys WHERE channel = ?", [state.channel]
    ).fetchone()[0]
    if newest is not None and newest >= now:
        # The clock was set back, and this is the newest all the same.
        now = math.nextafter(newest, math.inf)
    connection.execute(
        "INSERT INTO keys VALUES(?, ?, ?, ?, ?)",
        [state.channel, key, content, now, json.dumps(_packed(state.token, ids))],
    )
    state.keys += 1


def _packed(prefix: str, ids: Sequence[str]) -> Sequence[str | int]:
    """
    Write IDs that follow each other, as they do in nearly all batches, as the first number and how
    many there are: a batch may have thousands.
    """
    first = number(prefix, ids[0])
    if first is not None and all(
        each == numbered(prefix, expected) for expected, each in enumerate(ids, first)
    ):
        return [prefix, first, len(ids)]
    return list(ids)


def _unpacked(packed: Sequence[str | int]) -> Repeated:
    if len(packed) == 3 and isinstance(packed[1], int) and isinstance(packed[2], int):
        prefix, first, count = str(packed[0]), packed[1], packed[2]
        return Repeated([numbered(prefix, each) for each in range(first, first + count)])
    return Repeated(map(str, packed))
