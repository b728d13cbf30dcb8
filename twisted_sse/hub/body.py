"""
What a publisher has sent: one event, or several.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..format.event import Event
from .content import checkCoding, decoded, isUTF8, linesIn, made, mediaType, parsed, readEach
from .query import fieldsIn
from .refused import Refused

__all__ = ["ACCEPTED", "Item", "batchIn", "eventIn", "isBatch", "typeOf"]

#: The fields of an event in a batch.
FIELDS = frozenset(("data", "event", "id", "retry", "topics"))

#: JSON can name them, but UTF-8 cannot express them.
_SURROGATE = re.compile("[\ud800-\udfff]")

_TEXT, _JSON, _LINES = b"text/plain", b"application/json", b"application/x-ndjson"

#: The media types, by those that a publisher may use.  What C{curl -d} sends is the text as it is.
TYPES = {
    b"": _TEXT,
    b"text/plain": _TEXT,
    b"application/x-www-form-urlencoded": _TEXT,
    b"application/json": _JSON,
    b"application/x-ndjson": _LINES,
    b"application/ndjson": _LINES,
    b"application/jsonl": _LINES,
}

#: The value of C{Accept-Post} (LDP 1.0, 7.1).
ACCEPTED = b"text/plain, application/json, application/x-ndjson"


class Item(NamedTuple):
    """
    An event to be published, and its topics.
    """

    event: Event
    topics: Sequence[str]


def typeOf(contentType: bytes | None, contentEncoding: bytes | None) -> bytes:
    """
    Find out what a body is.

    @return: one of the values of L{TYPES}.
    @raise Refused: if it is something else.
    """
    if contentEncoding is None and contentType in TYPES:
        return TYPES[contentType]
    checkCoding(contentEncoding)
    kind = TYPES.get(mediaType(contentType))
    if kind is None:
        raise Refused(
            415,
            "the Content-Type must be text/plain (the body is the data), "
            "application/json (the body is the data, as JSON) or "
            "application/x-ndjson (each line is an event)",
            {b"accept-post": ACCEPTED},
        )
    if not isUTF8(contentType):
        raise Refused(415, "the charset of the body must be UTF-8")
    return kind


def isBatch(kind: bytes) -> bool:
    """
    Whether a body has several events.

    @param kind: from L{typeOf}.
    """
    return kind is _LINES


def eventIn(uri: bytes, kind: bytes, body: bytes) -> Item:
    """
    Read one event.

    @param uri: the target of the request, whose query has the fields of the event.
    @param kind: from L{typeOf}.
    @raise Refused: if it is none.
    """
    fields = fieldsIn(uri)
    topics = fields.pop("topics", ())
    text = decoded(body)
    if kind is _JSON:
        return Item(made(Event.json, parsed(text), fields), topics)
    return Item(made(Event, text, fields), topics)


def batchIn(uri: bytes, body: bytes) -> Iterator[Item]:
    """
    Read the events of a batch, one at a time: each is a JSON object on a line of its own.  Empty
    lines are skipped.

    @raise Refused: if one of them is not an event.  The error names its line.
    """
    for name in fieldsIn(uri):
        raise Refused(
            400,
            f"{name} is in the query of the URL: in a batch, each line has its own",
        )
    yield from readEach(linesIn(body), "line", _itemIn)


def _itemIn(line: bytes) -> Item:
    """
    Read one line of a batch.
    """
    value = parsed(decoded(line))
    if not isinstance(value, dict):
        raise Refused(400, 'it must be an object such as {"data": "hello", "event": "greeting"}')
    if not FIELDS.issuperset(value):
        unknown = next(name for name in value if name not in FIELDS)
        raise Refused(
            400, f"unknown field {unknown[:80]!r}: the fields are {', '.join(sorted(FIELDS))}"
        )
    if "data" not in value:
        raise Refused(400, "data is missing")
    fields = {name: found for name, found in value.items() if found is not None}
    data = fields.pop("data", None)
    topics = fields.pop("topics", ())
    if topics and not (
        isinstance(topics, list) and all(isinstance(each, str) and each for each in topics)
    ):
        raise Refused(400, 'topics must be a list of strings, such as ["user:7"]')
    for each in topics:
        if _SURROGATE.search(each):
            raise Refused(
                400,
                f"the topic {each[:80]!a} contains a lone surrogate, which UTF-8 cannot express",
            )
    for name in ("event", "id"):
        if fields.get(name) == "":
            raise Refused(400, f"{name} is empty: leave it out, or give a value")
    if isinstance(data, str):
        return Item(made(Event, data, fields), topics)
    return Item(made(Event.json, data, fields), topics)
