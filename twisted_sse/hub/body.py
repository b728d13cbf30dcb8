"""
What a publisher has sent: one event, or several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..format.event import Event, InvalidEvent
from ..stream.options import LONGEST_ID
from .query import fieldsIn
from .refused import Refused

__all__ = ["ACCEPTED", "MOST_EVENTS", "Item", "batchIn", "eventIn", "isBatch", "typeOf"]

#: How many events a batch may have: this many are published in one turn of the reactor.
MOST_EVENTS = 10_000

#: The fields of an event in a batch.
FIELDS = frozenset(("data", "event", "id", "retry", "topics"))

#: RFC 9110, 8.3.1, as far as a charset is concerned.
_CHARSET = re.compile(rb';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)

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
    if contentEncoding is not None and contentEncoding.strip().lower() not in (b"", b"identity"):
        raise Refused(
            415,
            "the body has a Content-Encoding: send it as it is",
            {b"accept-encoding": b"identity"},
        )
    kind = TYPES.get((contentType or b"").partition(b";")[0].strip().lower())
    if kind is None:
        raise Refused(
            415,
            "the Content-Type is none of text/plain (the body is the data), application/json (the"
            " body is the data, as JSON) and application/x-ndjson (each line is an event)",
            {b"accept-post": ACCEPTED},
        )
    charset = _CHARSET.search(contentType or b"")
    if charset and charset[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise Refused(415, "the body is not UTF-8: there is no other charset here")
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
    text = _decoded(body)
    if kind is _JSON:
        return Item(_made(Event.json, _parsed(text), fields), topics)
    return Item(_made(Event, text, fields), topics)


def batchIn(uri: bytes, body: bytes) -> Iterator[Item]:
    """
    Read the events of a batch, one at a time: each is a JSON object on a line of its own.  Empty
    lines are skipped.

    @raise Refused: if one of them is no event.  It says in which line that is.
    """
    for name in fieldsIn(uri):
        raise Refused(
            400,
            f"{name} is in the query of the URL: in a batch, each event has its own, in its line",
        )
    count = 0
    # Nothing else ends a line, and JSON has no line ends in its strings.
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        count += 1
        if count > MOST_EVENTS:
            raise Refused(413, f"the batch has more than {MOST_EVENTS:,} events: send several")
        try:
            yield _itemIn(_parsed(_decoded(line)))
        except Refused as e:
            why = f"line {number}: {e}; nothing was published"
            raise Refused(e.status, why, e.headers, line=number) from None
    if not count:
        raise Refused(400, "the batch is empty: each line of the body must be an event, in JSON")


def _itemIn(value: object) -> Item:
    """
    Read one line of a batch.
    """
    if not isinstance(value, dict):
        raise Refused(400, 'it must be an object such as {"data": "hello", "event": "greeting"}')
    if not FIELDS.issuperset(value):
        unknown = next(name for name in value if name not in FIELDS)
        raise Refused(400, f"unknown field {unknown[:80]!r}: there are {', '.join(sorted(FIELDS))}")
    if "data" not in value:
        raise Refused(400, "it has no data")
    fields = {name: found for name, found in value.items() if found is not None}
    data = fields.pop("data", None)
    topics = fields.pop("topics", ())
    if topics and not (
        isinstance(topics, list) and all(isinstance(each, str) and each for each in topics)
    ):
        raise Refused(400, 'topics must be a list of texts, such as ["user:7"]')
    for each in topics:
        if _SURROGATE.search(each):
            raise Refused(400, f"the topic {each[:80]!a} has a lone surrogate: it is no text")
    for name in ("event", "id"):
        if fields.get(name) == "":
            raise Refused(400, f"{name} is empty: leave it out, or name one")
    if isinstance(data, str):
        return Item(_made(Event, data, fields), topics)
    return Item(_made(Event.json, data, fields), topics)


def _made(make: Callable[..., Event], data: object, fields: dict[str, Any]) -> Event:
    """
    Make an event.
    """
    try:
        event = make(data, **fields)
    except (InvalidEvent, TypeError) as e:
        raise Refused(400, str(e)) from None
    except RecursionError:
        raise Refused(400, "the JSON is nested too deeply") from None
    if event.id is not None and len(event.id.encode()) > LONGEST_ID:
        raise Refused(400, f"id is longer than {LONGEST_ID} bytes: no client could send it")
    return event


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as e:
        raise Refused(400, f"byte {e.start + 1} of the text is not UTF-8") from None


def _parsed(text: str) -> Any:
    """
    Parse JSON (RFC 8259).
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as e:
        raise Refused(400, f"this is not JSON: {e.msg} at character {e.pos + 1}") from None
    except RecursionError:
        raise Refused(400, "the JSON is nested too deeply") from None
    except ValueError as e:
        # A number that Python does not convert, or one of the two below.
        raise Refused(400, f"this is not JSON: {e}") from None


def _noConstant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    Make an object, in which no value takes the place of another.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has {twice[:80]!r} twice")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_noConstant)
