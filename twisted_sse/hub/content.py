"""
The bodies of requests: their type, text and JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..format.event import Event, InvalidEvent
from ..stream.options import LONGEST_ID
from .form import MOST_MILLISECONDS
from .refused import Refused

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = [
    "MOST_EVENTS",
    "bodyOf",
    "checkCoding",
    "decoded",
    "isUTF8",
    "linesIn",
    "made",
    "mediaType",
    "parsed",
    "readEach",
]

#: How many events a batch may have: this many are published in one turn of the reactor.
MOST_EVENTS = 10_000

#: RFC 9110, 8.3.1, as far as a charset is concerned.
_CHARSET = re.compile(rb';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)

_Sent = TypeVar("_Sent")
_Item = TypeVar("_Item")


def bodyOf(request: Request, most: int) -> bytes:
    """
    Read the body of a request that has been received.

    @param most: how large it may be, in bytes.
    @raise Refused: if it is larger.
    """
    content = request.content
    assert content is not None, "the request has been received"
    body: bytes = content.read(most + 1)
    if len(body) > most:
        raise Refused(413, f"the body is larger than {most} bytes: send less at a time")
    return body


def mediaType(contentType: bytes | None) -> bytes:
    """
    @return: the media type in a C{Content-Type}, in lower case and without parameters.
    """
    return (contentType or b"").partition(b";")[0].strip().lower()


def isUTF8(contentType: bytes | None) -> bool:
    """
    Whether a C{Content-Type} names no charset but UTF-8, or its subset.
    """
    charset = _CHARSET.search(contentType or b"")
    return charset is None or charset[1].lower() in (b"utf-8", b"utf8", b"us-ascii")


def checkCoding(contentEncoding: bytes | None) -> None:
    """
    @raise Refused: if a C{Content-Encoding} says that the body is compressed.
    """
    if contentEncoding is not None and contentEncoding.strip().lower() not in (b"", b"identity"):
        raise Refused(
            415,
            "the body has a Content-Encoding: send it uncompressed",
            {b"accept-encoding": b"identity"},
        )


def decoded(body: bytes) -> str:
    """
    Decode UTF-8.

    @raise Refused: if it is none.
    """
    try:
        return body.decode()
    except UnicodeDecodeError as e:
        raise Refused(400, f"byte {e.start + 1} of the text is not UTF-8") from None


def parsed(text: str) -> Any:
    """
    Parse JSON (RFC 8259), in which no object has a name twice.

    @raise Refused: if it is none.
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
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    Make an object, in which no value takes the place of another.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has the name {twice[:80]!r} twice")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_noConstant)


def made(make: Callable[..., Event], data: object, fields: dict[str, Any]) -> Event:
    """
    Make an event.

    @param make: L{Event}, or L{Event.json}.
    @raise Refused: if it is not valid, no client could send its ID, or its C{retry} is not a time.
    """
    try:
        event = make(data, **fields)
    except (InvalidEvent, TypeError) as e:
        raise Refused(400, str(e)) from None
    except RecursionError:
        raise Refused(400, "the JSON is nested too deeply") from None
    if event.retry is not None and event.retry > MOST_MILLISECONDS:
        raise Refused(400, "retry is too large: it is a number of milliseconds")
    if event.id is not None and len(event.id.encode()) > LONGEST_ID:
        raise Refused(400, f"id is longer than {LONGEST_ID} bytes: no client could send it")
    return event


def linesIn(body: bytes) -> Iterator[tuple[int, bytes]]:
    """
    @return: the lines that are not empty, and their numbers.
    """
    # Nothing else ends a line, and JSON has no line ends in its strings.
    for number, line in enumerate(body.split(b"\n"), 1):
        if line and not line.isspace():
            yield number, line


def readEach(
    batch: Iterable[tuple[int, _Sent]], what: str, read: Callable[[_Sent], _Item]
) -> Iterator[_Item]:
    """
    Read a batch, one at a time.

    @param batch: what was sent, and its numbers.
    @param what: what one of them is, such as C{"line"}.
    @raise Refused: if there are none, too many, or one is refused: then it says which.
    """
    count = 0
    for number, sent in batch:
        count += 1
        if count > MOST_EVENTS:
            raise Refused(413, f"the batch has more than {MOST_EVENTS:,} events: split it")
        try:
            item = read(sent)
        except Refused as e:
            why = f"{what} {number}: {e}; nothing was published"
            raise Refused(e.status, why, e.headers, **{what: number}) from None
        yield item
    if not count:
        raise Refused(400, f"the batch is empty: each {what} of the body must be an event in JSON")
