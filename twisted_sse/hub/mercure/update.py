"""
What a publisher has sent: an update, or several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

from ...format.event import Event
from ...stream.options import LONGEST_ID
from ..content import checkCoding, decoded, isUTF8, linesIn, made, mediaType, parsed, readEach
from ..form import milliseconds, pairs
from ..refused import Refused
from .dialect import Dialect
from .reserved import isReserved
from .text import forbidden

__all__ = ["ACCEPTED", "TYPE", "Kind", "Rules", "Update", "kindOf", "updatesIn"]

#: The value of C{Accept-Post} (LDP 1.0, 7.1).
ACCEPTED = b"application/x-www-form-urlencoded, application/json, application/x-ndjson"

#: The event type of what the hub itself says in 1.0.
TYPE = "mercure"

#: How many fields a form may have, unknown ones too.
MOST_FIELDS = 10_000

#: The fields of an update in a batch.
FIELDS = frozenset(("topic", "topics", "data", "private", "id", "type", "retry"))


class Kind(Enum):
    """
    How updates are sent.

    @cvar FORM: one update, as the protocol has it.
    @cvar LIST: a batch: a list of objects, in JSON.
    @cvar LINES: a batch: an object in each line.
    """

    FORM = "form"
    LIST = "list"
    LINES = "lines"


_KINDS = {
    b"application/x-www-form-urlencoded": Kind.FORM,
    b"application/json": Kind.LIST,
    b"application/x-ndjson": Kind.LINES,
    b"application/ndjson": Kind.LINES,
    b"application/jsonl": Kind.LINES,
}


class Update(NamedTuple):
    """
    An update.

    @ivar topics: the canonical topic, and alternates.
    @ivar event: what its subscribers are sent.  Without an ID, it is given one.
    @ivar private: whether only those may have it to whom one of the topics is granted.
    """

    topics: tuple[str, ...]
    event: Event
    private: bool


def kindOf(contentType: bytes | None, contentEncoding: bytes | None) -> Kind:
    """
    Find out how updates are sent.

    @raise Refused: if they are sent in another way.
    """
    if contentEncoding is None and contentType in _KINDS:
        return _KINDS[contentType]
    checkCoding(contentEncoding)
    kind = _KINDS.get(mediaType(contentType))
    if kind is None:
        raise Refused(
            415,
            "the Content-Type must be application/x-www-form-urlencoded (an update), "
            "application/json"
            " (a list of updates) or application/x-ndjson (an update on each line)",
            {b"accept-post": ACCEPTED},
        )
    if not isUTF8(contentType):
        raise Refused(400, "the charset of the body must be UTF-8")
    return kind


@dataclass(frozen=True)
class Rules:
    """
    What an update may be.

    @ivar dialect: the protocol of the request.
    @ivar hubURL: the URL of the hub: publishing below it is not allowed.
    @ivar maxTopics: how many topics an update may have.
    @ivar reservesType: whether the type of what the hub itself says is reserved in 0.x, too: where
        subscribers of 1.0 are notified of subscriptions, they would take such an update for that.
    @ivar maxTopicSize: how long a topic may be, in bytes of UTF-8.  What matches topics is limited so
        that no pattern takes longer than some milliseconds with one of the usual 8192.
    """

    dialect: Dialect
    hubURL: str
    maxTopics: int = 1000
    maxTopicSize: int = 8192
    reservesType: bool = False

    def update(
        self,
        topics: Sequence[str],
        data: object = "",
        private: bool = False,
        id: str | None = None,
        type: str | None = None,
        retry: int | None = None,
    ) -> Update:
        """
        Make an update.

        @param data: what is sent: text, or anything else to be sent as JSON.
        @param retry: when subscribers reconnect, in milliseconds.
        @raise Refused: if it may not be published, whatever the token.
        """
        if not topics:
            raise Refused(400, "topic is missing: an update needs at least one")
        if len(topics) > self.maxTopics:
            # The deployed hubs say 400.
            raise Refused(
                400 if self.dialect is Dialect.V0 else 413,
                f"there are {len(topics)} topics: an update has at most {self.maxTopics}",
            )
        for number, topic in enumerate(topics, 1):
            self._checkTopic("topic" if len(topics) == 1 else f"topic {number}", topic)
        if id is not None:
            self._checkID(id)
        if type is not None:
            _checkText("type", type)
            if type == TYPE and (self.reservesType or self.dialect is Dialect.V1):
                raise Refused(400, "type must not be mercure, which only the hub itself uses")
        fields = {"event": type, "id": id, "retry": retry}
        event = made(Event if isinstance(data, str) else Event.json, data, fields)
        return Update(tuple(topics), event, private)

    def _checkTopic(self, name: str, topic: str) -> None:
        if not topic:
            raise Refused(400, f"{name} is empty")
        size = len(topic) if topic.isascii() else len(topic.encode("utf-8", "surrogatepass"))
        if size > self.maxTopicSize:
            raise Refused(413, f"{name} is longer than {self.maxTopicSize} bytes")
        _checkText(name, topic)
        if self.dialect is Dialect.V1 and topic == "*":
            raise Refused(400, f"{name} must not be *, which stands for all topics")
        if isReserved(topic, self.hubURL):
            raise Refused(
                403 if self.dialect is Dialect.V0 else 400,
                f"{name} is in the namespace of the hub itself, where publishing is not allowed",
            )

    def _checkID(self, id: str) -> None:
        if len(id) > LONGEST_ID or len(id.encode("utf-8", "surrogatepass")) > LONGEST_ID:
            raise Refused(
                413, f"id is longer than {LONGEST_ID} bytes: no client could send it back"
            )
        _checkText("id", id)
        if self.dialect is Dialect.V1:
            if id.startswith("#"):
                raise Refused(400, "id must not begin with #: only the hub's own IDs do")
            if id == "earliest":
                raise Refused(
                    400, "id must not be earliest, which stands for the beginning of the history"
                )


def _checkText(name: str, text: str) -> None:
    character = forbidden(text)
    if character is not None:
        raise Refused(400, f"{name} contains {character}")


def updatesIn(kind: Kind, body: bytes, rules: Rules) -> Iterator[Update]:
    """
    Read updates, one at a time.

    @param kind: from L{kindOf}.
    @raise Refused: if one may not be published.  It says which, and why.
    """
    if kind is Kind.FORM:
        yield _form(body, rules)
    elif kind is Kind.LINES:
        yield from readEach(
            linesIn(body), "line", lambda line: _object(rules, parsed(decoded(line)))
        )
    else:
        values = parsed(decoded(body))
        if not isinstance(values, list):
            raise Refused(
                400, 'the JSON must be a list of updates: [{"topic": "..", "data": ".."}]'
            )
        yield from readEach(enumerate(values, 1), "update", partial(_object, rules))


def _form(body: bytes, rules: Rules) -> Update:
    """
    Read an update from a form.  Of a field that is there several times, but for C{topic}, the first is
    taken, and unknown fields are ignored, as by the deployed hubs.
    """
    if body.count(b"&") >= MOST_FIELDS:
        raise Refused(413, f"the form has more than {MOST_FIELDS} fields")
    try:
        found = pairs(body)
    except UnicodeDecodeError:
        raise Refused(400, "the form must be percent-encoded UTF-8") from None
    topics = [value for name, value in found if name == "topic"]
    fields = dict(reversed(found))
    retry = None
    if fields.get("retry"):
        retry = milliseconds(fields["retry"])
        if retry is None:
            raise Refused(400, "retry must be a number of milliseconds in digits")
    return rules.update(
        topics,
        fields.get("data", ""),
        "private" in fields,
        # A field of a form that is not filled in is sent all the same.
        fields.get("id") or None,
        fields.get("type") or None,
        retry,
    )


def _object(rules: Rules, value: object) -> Update:
    """
    Read an update of a batch.
    """
    if not isinstance(value, dict):
        raise Refused(400, 'it must be an object such as {"topic": "urn:x", "data": "hello"}')
    if not FIELDS.issuperset(value):
        unknown = next(name for name in value if name not in FIELDS)
        raise Refused(
            400, f"unknown field {unknown[:80]!r}: the fields are {', '.join(sorted(FIELDS))}"
        )
    private = value.get("private", False)
    if not isinstance(private, bool):
        raise Refused(400, "private must be true or false")
    return rules.update(
        _topics(value),
        value.get("data", ""),
        private,
        _text(value, "id"),
        _text(value, "type"),
        value.get("retry"),
    )


def _topics(value: Mapping[str, Any]) -> list[str]:
    if "topic" in value and "topics" in value:
        raise Refused(400, "give either topic or topics: the first of topics is the canonical one")
    topics = value.get("topics", []) if "topic" not in value else [value["topic"]]
    if not (isinstance(topics, list) and all(isinstance(each, str) for each in topics)):
        raise Refused(
            400, 'topic must be a string, and topics a list of strings, such as ["urn:x"]'
        )
    return topics


def _text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is None or (isinstance(text, str) and text):
        return text
    raise Refused(400, f"{name} must be a non-empty string: give one, or leave it out")
