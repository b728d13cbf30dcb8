"""
Telling whether the same was published again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from .contract import Record

__all__ = ["fingerprint"]


def fingerprint(records: Iterable[Record]) -> bytes:
    """
    Sum up what a publisher has given: for a key that comes again, with the same content or not.

    @param records: of an event whose ID the application gave, C{place} is not empty; all other IDs
        were made, and do not count.
    @return: 32 bytes, the same for the same content in all processes.
    """
    content = [
        [
            event.data,
            event.event,
            event.id if place else None,
            event.retry,
            event.comment,
            sorted(set(topics)),
            private,
        ]
        for event, topics, private, _, place in records
    ]
    return hashlib.sha256(json.dumps(content).encode()).digest()
