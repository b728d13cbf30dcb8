"""
One event of an event stream: its fields, validated, and its encoding.

The format is the HTML standard's, U{section 9.2.5 "Parsing an event stream"
<https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, final

__all__ = ["Event", "InvalidEvent", "makeEvent", "withID"]


class InvalidEvent(ValueError):
    """
    An event is not valid.

    @ivar field: the field at fault: C{"data"}, C{"event"}, C{"id"}, C{"retry"}, C{"comment"}, or
        the unknown key of a mapping; L{None} if it is the event as a whole.

    @since: 0.2
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class _Message(Protocol):
    """
    What L{Event.fromMessage} needs of a message, such as a C{MessageEvent}.
    """

    @property
    def type(self) -> str: ...

    @property
    def data(self) -> str: ...

    @property
    def lastEventID(self) -> str: ...


# The keys of the array that workerman's C{ServerSentEvents} takes, and our names for them.
_MAPPING_KEYS = {"": "comment", "event": "event", "data": "data", "id": "id", "retry": "retry"}

# Characters such as e-acute are not escaped: that is shorter, and the stream is UTF-8 anyway. NaN
# and the infinities are not JSON: JSON.parse in a browser throws.
_toJSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _shown(value: object) -> str:
    """
    Represent a value in an error message, shortened if need be.
    """
    if isinstance(value, (str, bytes)) and len(value) > 40:
        return f"{value[:40]!r}... ({len(value)} long)"
    if isinstance(value, int) and value.bit_length() > 128:
        # Python refuses to convert very long ones.
        return f"an integer of {value.bit_length()} bits"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _text(field: str, value: object) -> str:
    """
    Check that a value is text that can be encoded.

    @return: the same text as an exact L{str}.  A subclass may override C{+}, C{format} or
        C{replace}: Markup escapes, and an Enum formats as its name.

    @raise TypeError: if it is not a L{str}.

    @raise InvalidEvent: if it contains a lone surrogate, which UTF-8 cannot encode.
    """
    if value.__class__ is not str:
        if not isinstance(value, str):
            hint = "; Event.json(value) sends a value as JSON" if field == "data" else ""
            raise TypeError(f"{field} must be a str or None, not {_shown(value)}{hint}")
        value = str.__str__(value)
    # isascii() only reads a flag, so most text need not be encoded just to check it.
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as e:
            raise InvalidEvent(
                f"{field} {_shown(value)} has the lone surrogate {value[e.start]!r} at index "
                f"{e.start}, which UTF-8 cannot express",
                field,
            ) from None
    return value


def _line(field: str, value: object) -> str:
    """
    Check that a value is a single line of text.
    """
    text = _text(field, value)
    if "\n" in text or "\r" in text:
        raise InvalidEvent(f"{field} {_shown(text)} must not contain CR or LF", field)
    return text


def _identifier(value: object) -> str:
    """
    Check an ID.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits("id", value)
    text = _line("id", value)
    # A client ignores an ID that contains NUL (9.2.6).
    if "\0" in text:
        raise InvalidEvent(f"id {_shown(text)} must not contain NUL", "id")
    return text


def _milliseconds(value: object) -> int:
    """
    Check a reconnection time.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidEvent(
            f"retry must be an int of at least 0 (milliseconds) or None, not {_shown(value)}",
            "retry",
        )
    return int(_digits("retry", value))


def _digits(field: str, value: int) -> str:
    """
    Convert an integer to text.

    @raise InvalidEvent: if it is too large for Python to convert (C{sys.set_int_max_str_digits}).
    """
    try:
        # Not str(): for an IntEnum that may be its name.
        return int.__repr__(value)
    except ValueError:
        raise InvalidEvent(f"{field} must not be as large as {_shown(value)}", field) from None


def _lines(prefix: str, text: str) -> str:
    """
    Prefix each line of a text.  In an event stream CRLF, CR and LF end a line and nothing else
    does (9.2.5): L{str.splitlines} would also split at U+2028, NEL and others.
    """
    if "\n" in text or "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\n" + prefix)
    return f"{prefix}{text}\n"


@final
class Event:
    """
    One event, or comment, of an event stream.  Events are frozen and hashable, and are equal if
    their fields are.

    An invalid field raises here, where the mistake is.  Nothing is stripped or repaired: an ID
    C{"1\\n2"} that silently became C{"12"} would make a client resume from the wrong place.
    A parser returns valid fields unchanged, except that line ends in C{data} become LF.

    @since: 0.2
    """

    # Thousands of timers make a new event at every tick. Plain stores into private slots, exposed
    # as read-only properties, take a third of the time of a frozen dataclass.
    __slots__ = ("_comment", "_data", "_event", "_id", "_retry")
    __match_args__ = ("data", "event", "id", "retry", "comment")

    def __init__(
        self,
        data: str | None = None,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> None:
        """
        @param data: the event's data: any number of lines, separated by CRLF, CR or LF.  C{""} is
            an event with empty data; with L{None} clients see no event, but do use C{id} and
            C{retry}.

        @param event: the event's type.  C{""} is sent, and means C{"message"}, as L{None} does.

        @param id: the event's ID, from which a client resumes; an L{int} becomes text.  C{""} makes
            the client forget its last event ID.  Leading and trailing spaces arrive, but HTTP
            strips them when the client sends the ID back in C{Last-Event-ID}.

        @param retry: how long clients should wait before they reconnect, in milliseconds, 0 or
            more.  Clients that pass it to JavaScript's C{setTimeout} treat more than 2**31 - 1 (25
            days) as 0.

        @param comment: any number of lines of text, which clients ignore.

        @raise InvalidEvent: if there is nothing to send; if C{event} or C{id} contains CR or LF; if
            C{id} contains NUL; if a text contains lone surrogates; if C{retry} is not an L{int} of
            at least 0.

        @raise TypeError: if a field has the wrong type; for C{data} see L{Event.json}.
        """
        # A fast path for nearly all events: a Python identifier is a single line without lone
        # surrogates, and so is printable ASCII, which has no NUL either.
        if data is not None and not (data.__class__ is str and data.isascii()):
            data = _text("data", data)
        if event is not None and not (event.__class__ is str and event.isidentifier()):
            event = _line("event", event)
        if id is not None and not (id.__class__ is str and id.isascii() and id.isprintable()):
            id = _identifier(id)
        if retry is not None:
            retry = _milliseconds(retry)
        if comment is not None:
            comment = _text("comment", comment)
        elif data is None and event is None and id is None and retry is None:
            raise InvalidEvent("an event needs at least one of data, event, id, retry and comment")
        self._data = data
        self._event = event
        self._id = id
        self._retry = retry
        self._comment = comment

    @classmethod
    def json(
        cls,
        value: object,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> Event:
        """
        Make an event whose data is a value as compact JSON.

        @param value: anything that L{json.dumps} accepts.  A lone surrogate is sent as its escape,
            which C{JSON.parse} turns back into the surrogate.

        @raise TypeError: if something in the value cannot be written as JSON.

        @raise InvalidEvent: if something in the value is NaN, infinite, or contains itself, or if a
            field is not valid (see L{Event}).
        """
        try:
            data = _toJSON(value)
        except TypeError as e:
            raise TypeError(
                f"data: {e}; convert it to dicts, lists, strs and numbers, or use "
                "Event(json.dumps(value, default=...))"
            ) from e
        except ValueError as e:
            raise InvalidEvent(
                f"data {_shown(value)} cannot be written as JSON: {e}", "data"
            ) from e
        # Python's escape of a surrogate is also JSON's, and anything that is not ASCII is inside
        # a string.
        data = data.encode("utf-8", "backslashreplace").decode("utf-8")
        return cls(data, event, id, retry, comment)

    @classmethod
    def fromMapping(cls, mapping: Mapping[str, Any]) -> Event:
        """
        Make an event from the array that workerman's C{ServerSentEvents} takes.

        @param mapping: the fields C{"event"}, C{"data"}, C{"id"}, C{"retry"} and C{""}, which is
            the comment.  A value of L{None} means absent.

        @raise InvalidEvent: if the mapping has another key, or a field is not valid (see L{Event}).

        @raise TypeError: if a field has the wrong type (see L{Event}).
        """
        fields = {}
        for key, value in mapping.items():
            if key not in _MAPPING_KEYS:
                raise InvalidEvent(
                    f"unknown key {_shown(key)}; the keys are 'event', 'data', 'id', "
                    "'retry' and '' for a comment",
                    str(key),
                )
            fields[_MAPPING_KEYS[key]] = value
        return cls(**fields)

    @classmethod
    def fromMessage(cls, message: _Message) -> Event:
        """
        Make an event that relays a parsed message, so that the client ends up with the type, data
        and last event ID of the original.

        The ID is therefore always sent, even if it is empty, because that makes the client forget
        its last event ID, and even if it is inherited from an earlier event, because that event
        may not have been relayed.

        @param message: a L{MessageEvent<twisted_sse.format.parser.MessageEvent>}, or anything with
            its attributes.

        @raise InvalidEvent: if a field is not valid (see L{Event}), never so with a parser's
            messages.
        """
        event = None if message.type == "message" else message.type
        return cls(message.data, event, message.lastEventID)

    @property
    def data(self) -> str | None:
        """
        The event's data as given, or L{None}.
        """
        return self._data

    @property
    def event(self) -> str | None:
        """
        The event's type, or L{None}.
        """
        return self._event

    @property
    def id(self) -> str | None:
        """
        The event's ID as text, or L{None}.
        """
        return self._id

    @property
    def retry(self) -> int | None:
        """
        The reconnection time in milliseconds, or L{None}.
        """
        return self._retry

    @property
    def comment(self) -> str | None:
        """
        The comment as given, or L{None}.
        """
        return self._comment

    def encode(self) -> bytes:
        """
        Encode the event: comment, event, id, retry, data and a blank line, in this order.

        @return: UTF-8, with LF line ends.
        """
        # Not cached: an event is encoded once and its bytes are shared, so a copy kept here would
        # waste memory.
        text = ""
        if self._comment is not None:
            text = _lines(": ", self._comment)
        if self._event is not None:
            text += f"event: {self._event}\n"
        if self._id is not None:
            text += f"id: {self._id}\n"
        if self._retry is not None:
            text += f"retry: {self._retry}\n"
        if self._data is not None:
            text += _lines("data: ", self._data)
        return f"{text}\n".encode()

    def _fields(self) -> tuple[str | None, str | None, str | None, int | None, str | None]:
        """
        All fields, in the order of the constructor's arguments.
        """
        return self._data, self._event, self._id, self._retry, self._comment

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        fields = zip(self.__match_args__, self._fields(), strict=True)
        present = ", ".join(f"{name}={value!r}" for name, value in fields if value is not None)
        return f"Event({present})"

    def __reduce__(self) -> tuple[object, ...]:
        return Event, self._fields()


def makeEvent(what: object, fields: dict[str, Any]) -> Event:
    """
    Make an event from the arguments of C{send}.

    @param what: an L{Event}, a C{str} (its data), or L{None}.
    @param fields: C{json} or the fields of the event.

    @raise TypeError: if the arguments do not fit together.
    @raise InvalidEvent: if a field is not valid.
    """
    if isinstance(what, Event):
        if fields:
            raise TypeError(f"an Event already has its fields: {', '.join(fields)} cannot be added")
        return what
    if what is not None and not isinstance(what, str):
        raise TypeError(f"expected an Event, a str (its data) or json=value, got {what!r}")
    if "json" in fields:
        if what is not None:
            raise TypeError("give either data or json=value, not both")
        return Event.json(fields.pop("json"), **fields)
    if what is None:
        return Event(**fields)
    return Event(what, **fields)


def withID(event: Event, identifier: str | None) -> Event:
    """
    Make an event that has another ID, or none.
    """
    return Event(event.data, event.event, identifier, event.retry, event.comment)
