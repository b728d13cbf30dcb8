"""
Events as the entries of a Redis stream.

An entry has the fields C{data}, C{event}, C{retry}, C{comment}, C{topic} (once for each), C{private}
and C{time}; at least one of the first four.  All others are ignored, so that other programs may add
what they like.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Sequence

from ...format.event import Event, InvalidEvent
from ..contract import Record
from .connection import Command
from .places import EntryID

__all__ = ["NoEvent", "begin", "isBegin", "sizeOf", "toFields", "toRecord"]

#: The fields of an entry that is not an event: see L{begin}.
BEGIN = ("sse", "begin")

#: The most bytes of an entry.  A foreign program may have added a film.
LARGEST = 2**25

#: What each event has, besides its fields, when it is sent: the names of fields and the ID.
OVERHEAD = 40


class NoEvent(ValueError):
    """
    An entry is not an event.
    """


def toFields(record: Record) -> list[str]:
    """
    Make the fields of an entry.
    """
    event = record.event
    fields = []
    for name, value in (
        ("data", event.data),
        ("event", event.event),
        ("comment", event.comment),
        ("retry", None if event.retry is None else str(event.retry)),
    ):
        if value is not None:
            fields += [name, value]
    for topic in record.topics:
        fields += ["topic", topic]
    if record.private:
        fields += ["private", "1"]
    # Times have more digits than the IDs, and are those of the publisher.
    fields += ["time", repr(float(record.time))]
    return fields


def toRecord(entry: EntryID, fields: Sequence[bytes] | None) -> Record:
    """
    Make an event of an entry, which any program may have added.

    @param fields: their names and values in turn; L{None} for an entry that was deleted.
    @raise NoEvent: if it is none.
    """
    if fields is None:
        raise NoEvent("it was deleted")
    if sizeOf(fields) > LARGEST:
        raise NoEvent(f"it is larger than {LARGEST} bytes")
    topics: list[str] = []
    found: dict[bytes, str] = {}
    try:
        for name, value in zip(fields[::2], fields[1::2], strict=True):
            if name == b"topic":
                topics.append(value.decode())
            elif name in _KNOWN:
                if name in found:
                    raise NoEvent(f"it has more than one {name.decode()} field")
                found[name] = value.decode()
    except UnicodeDecodeError as e:
        raise NoEvent(f"a field is not UTF-8: {e.reason}") from e
    if _SAYING.isdisjoint(found):
        raise NoEvent("it has no data field")
    retry = found.get(b"retry")
    if retry is not None and not (retry.isascii() and retry.isdigit() and len(retry) <= 20):
        raise NoEvent(f"retry is {retry[:50]!r}: it must be a number of milliseconds")
    try:
        event = Event(
            found.get(b"data"),
            found.get(b"event"),
            str(entry),
            None if retry is None else int(retry),
            found.get(b"comment"),
        )
    except InvalidEvent as e:
        raise NoEvent(str(e)) from e
    private = found.get(b"private", "") not in ("", "0", "false", "no")
    return Record(event, tuple(topics), private, _time(entry, found.get(b"time")))


def begin(key: str, ms: int | None = None) -> Command:
    """
    Make the command that adds an entry that is not an event, but a place to continue from: the
    first of a stream, and that after something was lost.

    The second part of its ID is random, so that no other stream has it: not that of another
    channel, and not one with the same key, before or after.

    @param ms: the first part of its ID.  If the stream has had greater IDs, this is refused.  L{None}
        to leave the ID to the server.
    """
    identifier = "*" if ms is None else f"{ms}-{secrets.randbits(62)}"
    return ("XADD", key, identifier, *BEGIN)


def isBegin(fields: Sequence[bytes] | None) -> bool:
    """
    @return: whether an entry only marks the beginning of a stream.
    """
    return fields is not None and list(fields[:1]) == [BEGIN[0].encode()]


def sizeOf(fields: Sequence[bytes] | None) -> int:
    """
    @return: about how many bytes an event has when it is sent.
    """
    return OVERHEAD + sum(map(len, fields or ()))


_KNOWN = frozenset((b"data", b"event", b"comment", b"retry", b"private", b"time"))
_TIME = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?", re.ASCII)
_SAYING = frozenset((b"data", b"event", b"comment", b"retry"))


def _time(entry: EntryID, text: str | None) -> float:
    time = float(text) if text and _TIME.fullmatch(text) else math.inf
    return time if math.isfinite(time) else entry.ms / 1000
