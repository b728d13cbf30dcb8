"""
What a URL's query says about an event, or about which events to send.

Not C{request.args}: Twisted puts the fields of a form in there too, and they are data here.
"""

from __future__ import annotations

from typing import Any

from .form import milliseconds, pairs
from .refused import Refused

__all__ = ["fieldsIn", "parameters", "topicsIn"]

#: The parameters of an event, and the names of its fields.
FIELDS = {"event": "event", "id": "id", "retry": "retry", "topic": "topics"}


def parameters(uri: bytes) -> list[tuple[str, str]]:
    """
    Parse the query of a URL.

    @param uri: the target of a request.
    @return: names and values, in order.
    @raise Refused: if one is not UTF-8.
    """
    _, _, query = uri.partition(b"?")
    try:
        return pairs(query)
    except UnicodeDecodeError:
        raise Refused(400, "the query of the URL must be percent-encoded UTF-8") from None


def fieldsIn(uri: bytes) -> dict[str, Any]:
    """
    Read the fields of an event that are in the query of a URL.  There is nothing else to put
    there, so what is unknown is a mistake, and would be lost.

    @return: C{event}, C{id} and C{retry}, as far as they are given, and C{topics}, a list.
    @raise Refused: if there is another parameter, or one twice, or one that is empty.
    """
    fields: dict[str, Any] = {}
    for name, value in parameters(uri):
        field = FIELDS.get(name)
        if field is None:
            raise Refused(
                400,
                f"the query of the URL has the unknown parameter {name[:80]!r}: the "
                f"parameters are {', '.join(FIELDS)}",
            )
        if not value:
            raise Refused(
                400, f"{name} in the query of the URL is empty: leave it out, or give a value"
            )
        if field == "topics":
            fields.setdefault("topics", []).append(value)
        elif field in fields:
            raise Refused(400, f"{name} is in the query of the URL twice: an event has only one")
        else:
            fields[field] = _number(value) if field == "retry" else value
    return fields


def _number(text: str) -> int:
    number = milliseconds(text)
    if number is None:
        raise Refused(400, "retry must be a number of milliseconds in digits")
    return number


def topicsIn(uri: bytes) -> list[str] | None:
    """
    Read which topics a subscriber has chosen in the query of a URL: each C{topic=} is one.  Other
    parameters have nothing to do with that: clients append some of their own.

    @return: the topics; L{None} for everything, if there are none.
    @raise Refused: if one is empty, or the name of the parameter is misspelt.
    """
    topics = []
    for name, value in parameters(uri):
        if name == "topic" and value:
            topics.append(value)
        elif name.lower() in ("topic", "topics"):
            # Ignored, it would mean all topics.
            raise Refused(400, "the query of the URL must name each topic as topic=..")
    return topics or None
