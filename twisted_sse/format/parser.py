"""
The parser of event streams: bytes in, messages out, no I/O.

It implements the HTML standard, U{section 9.2.5 "Parsing an event stream" and section 9.2.6
"Interpreting an event stream"
<https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>}, for
bytes that arrive in chunks of any size.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable
from typing import Any, Final, final

__all__ = ["LONGEST_ID", "EventStreamParser", "EventTooLarge", "MessageEvent"]

#: The longest ID of an event, in bytes of UTF-8.  A client sends the ID in a header when it
#: reconnects, and servers refuse long ones: with a longer ID, it could never reconnect.
LONGEST_ID: Final = 8192

# No character takes more than four bytes, so an ID of so few characters is short enough.
_SHORT_ID = LONGEST_ID // 4

# How many bytes of an unfinished line wait to be decoded, and how many lines of data wait to be
# joined. So the work for a large event is done while it arrives, and takes no more memory than
# the event itself: all at once, 16 MiB would hold up everything else for a tenth of a second.
_LONG_LINE = 2**16
_MANY_LINES = 1024

# The standard has no limit. But int() takes quadratic time, and may raise for more digits than
# this (640 is the least that sys.set_int_max_str_digits accepts); no clock counts that far.
_MAX_RETRY_DIGITS = 640


@final
class MessageEvent:
    """
    One event as a client receives it, with the attributes of the browsers' C{MessageEvent}.  It is
    frozen.

    @since: 0.2
    """

    # One is made for every event, so construction has to be cheap: plain stores into private
    # slots, exposed as read-only properties, take a third of a frozen dataclass's time.
    __slots__ = ("_data", "_lastEventID", "_type")
    __match_args__ = ("type", "data", "lastEventID")

    def __init__(self, type: str, data: str, lastEventID: str) -> None:
        """
        @param type: the event's type, C{"message"} if the stream did not name one.

        @param data: the event's data, its lines separated by LF.

        @param lastEventID: the ID of this event or, if it had none, of the last event before it
            that had one; C{""} for none.
        """
        self._type = type
        self._data = data
        self._lastEventID = lastEventID

    @property
    def type(self) -> str:
        """
        The event's type, C{"message"} if the stream did not name one.
        """
        return self._type

    @property
    def data(self) -> str:
        """
        The event's data, its lines separated by LF.
        """
        return self._data

    @property
    def lastEventID(self) -> str:
        """
        What a client that reconnects after this event sends as C{Last-Event-ID}.
        """
        return self._lastEventID

    def json(self) -> Any:
        """
        Parse the event's data as JSON.

        @return: the result of L{json.loads}.

        @raise ValueError: if the data is not JSON (the exception is a C{json.JSONDecodeError}).
        """
        return json.loads(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MessageEvent):
            return NotImplemented
        return (
            self._data == other._data
            and self._type == other._type
            and self._lastEventID == other._lastEventID
        )

    def __hash__(self) -> int:
        return hash((self._type, self._data, self._lastEventID))

    def __repr__(self) -> str:
        return (
            f"MessageEvent(type={self._type!r}, data={self._data!r}, "
            f"lastEventID={self._lastEventID!r})"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return MessageEvent, (self._type, self._data, self._lastEventID)


class EventTooLarge(ValueError):
    """
    An event of the stream is larger than the parser's C{maxEventSize}.

    @ivar maxEventSize: the limit, in bytes.

    @ivar events: the events that the same C{feed} completed before the one that was too large.

    @since: 0.2
    """

    def __init__(self, maxEventSize: int, events: list[MessageEvent]) -> None:
        super().__init__(maxEventSize, events)
        self.maxEventSize = maxEventSize
        self.events = events

    def __str__(self) -> str:
        return f"an event of the stream is larger than {self.maxEventSize} bytes (maxEventSize)"


class EventStreamParser:
    """
    Turns the bytes of one event stream into L{MessageEvent}s.

    The events do not depend on how the bytes are chunked, and each is returned by the very
    C{feed} that completes it: a CR at the end of a chunk ends its line at once, and an LF that
    follows it is ignored.  The time taken is linear in the number of bytes.  While an event
    arrives, the parser needs as much memory as its text does, and twice that when it is complete.

    An ID of more than 8192 bytes (L{LONGEST_ID}) is ignored, as the standard has it for an ID with
    a NUL: no server would accept it when the client reconnects.

    An event that is unfinished when the stream ends is discarded; nothing has to be called then.
    Make a new parser for the next connection, with the C{lastEventID} of this one.

    @ivar lastEventID: the last event ID, which a client sends when it reconnects.  Only a blank
        line sets it, so the ID of an event that was cut off does not count.

    @ivar retry: the reconnection time in milliseconds that the stream set last, or L{None}.  It may
        be any number of up to 640 digits: clamp it before use.

    @since: 0.2
    """

    lastEventID: str
    retry: int | None

    def __init__(
        self,
        maxEventSize: int | None = None,
        lastEventID: str = "",
        onComment: Callable[[str], object] | None = None,
    ) -> None:
        """
        @param maxEventSize: the most bytes that one event may have, or L{None} for no limit.  All
            lines since the last blank line count, including comments, unknown fields, a byte order
            mark and the unfinished line; line ends do not.  So it bounds the memory that a stream
            can make the parser use.

        @param lastEventID: the last event ID of the previous connection.  Read literally, the
            standard starts each connection with an empty ID buffer, so that an event without an
            ID would clear the last event ID; browsers and the web platform tests keep it.

        @param onComment: called for each comment, as soon as its line ends, with the text after the
            colon, not stripped.  If it raises, so does C{feed}, and the events of that call are
            lost.

        @raise ValueError: if C{maxEventSize} is less than 1.
        """
        if maxEventSize is not None and maxEventSize < 1:
            raise ValueError(f"maxEventSize must be None or at least 1, not {maxEventSize!r}")
        self.lastEventID = lastEventID
        self.retry = None
        self._maxEventSize = sys.maxsize if maxEventSize is None else maxEventSize
        self._onComment = onComment
        # The unfinished line. A bytearray grows in place, so a long line that arrives in small
        # chunks is copied only a constant number of times, and takes no more than its size.
        self._partial = bytearray()
        # The start of the unfinished line, decoded, if it is a long one; the rest is in _partial.
        self._pieces: list[str] = []
        # The bytes in the complete lines of the unfinished event, and in _pieces.
        self._size = 0
        self._tooLarge = False
        self._atStart = True
        self._afterCR = False
        # The standard's buffers (9.2.6). The values of C{data} lines are joined with LF when the
        # event is complete; an empty list is the standard's empty data buffer.
        self._data: list[str] = []
        # How many items of _data are many lines each, joined already.
        self._joined = 0
        self._type = ""
        self._id = lastEventID

    def feed(self, data: bytes | bytearray | memoryview) -> list[MessageEvent]:
        """
        Parse the next bytes of the stream.

        @param data: a chunk of any size, even an empty one.

        @return: the events that these bytes completed.

        @raise EventTooLarge: if an event is larger than C{maxEventSize}; the exception has the
            events before it.  The parser is then finished: every later call raises this again.
        """
        if self._tooLarge:
            raise EventTooLarge(self._maxEventSize, [])
        if not isinstance(data, bytes):
            data = bytes(memoryview(data))
        if self._afterCR and data:
            # The CR ended its line when it arrived; the other half of a CRLF does not end another.
            self._afterCR = False
            if data[0] == 0x0A:
                data = data[1:]
        if b"\r" in data:
            self._afterCR = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

        # From here on only LF ends a line.
        end = data.rfind(b"\n") + 1
        block = b""
        if end:
            block = bytes(self._partial) + data[:end]
            self._partial.clear()
        self._partial += data[end:]
        if block and self._pieces:
            rest, _, block = block.partition(b"\n")
            self._size += len(rest)
            if self._size > self._maxEventSize:
                raise self._giveUp([])
            self._endLongLine(rest)
        block, isTooLarge = self._withinLimit(block)

        # Always UTF-8, and a bad byte never stops the stream (9.2.5). No character contains a line
        # end, so complete lines can be decoded separately.
        events = self._interpret(self._withoutBOM(block.decode("utf-8", "replace")))

        if isTooLarge:
            raise self._giveUp(events)
        if len(self._partial) > _LONG_LINE:
            # Without the start of a character that is not complete yet.
            text, used = codecs.utf_8_decode(self._partial, "replace", False)
            del self._partial[:used]
            self._size += used
            self._pieces.append(self._withoutBOM(text))
        return events

    def _giveUp(self, events: list[MessageEvent]) -> EventTooLarge:
        """
        Finish, since an event is too large.

        @param events: those before it.

        @return: the error to raise.
        """
        self._tooLarge = True
        self._partial.clear()
        self._pieces.clear()
        self._data.clear()
        return EventTooLarge(self._maxEventSize, events)

    def _withoutBOM(self, text: str) -> str:
        """
        @return: C{text}, without the byte order mark if it is the start of the stream.
        """
        if text and self._atStart:
            self._atStart = False
            return text.removeprefix("\ufeff")
        return text

    def _endLongLine(self, rest: bytes) -> None:
        """
        Interpret a line that was decoded in pieces.

        @param rest: what is not decoded yet.
        """
        pieces, self._pieces = self._pieces, []
        name, colon, start = pieces[0].partition(":")
        if colon:
            pieces[0] = start.removeprefix(" ") if name else start
            pieces.append(rest.decode("utf-8", "replace"))
            value = "".join(pieces)
            if name == "data":
                self._data.append(value)
            elif name == "event":
                self._type = value
            elif not name and self._onComment is not None:
                self._onComment(value)
        # Else its name is longer than that of any field.  An ID is too long, and so is a retry.

    def _withinLimit(self, block: bytes) -> tuple[bytes, bool]:
        """
        Count the bytes of the unfinished event.

        @param block: complete lines, each ended by LF.  What follows them is in C{_partial}.

        @return: the lines before the first that makes its event too large, which may be
            interpreted; and whether there is such a line, the unfinished one included.
        """
        if self._size + len(block) + len(self._partial) <= self._maxEventSize:
            # Nearly always. No event here can be too large: no need to look at each line.
            _, blankLine, unfinished = block.rpartition(b"\n\n")
            if blankLine or block.startswith(b"\n"):
                self._size = 0
            self._size += len(unfinished) - unfinished.count(b"\n")
            return block, False

        end = 0
        for line in block.splitlines():
            self._size = self._size + len(line) if line else 0
            if self._size > self._maxEventSize:
                return block[:end], True
            end += len(line) + 1
        return block, self._size + len(self._partial) > self._maxEventSize

    def _interpret(self, text: str) -> list[MessageEvent]:
        """
        Interpret complete lines (9.2.6).

        @param text: the lines, each ended by LF.

        @return: the events that they complete.
        """
        events: list[MessageEvent] = []
        data, eventType, eventID = self._data, self._type, self._id
        lines = text.split("\n")
        lines.pop()  # What follows the last LF: nothing.
        for line in lines:
            if not line:
                # A blank line dispatches. The ID is committed first, even when there is no data
                # and therefore no event; it stays for the events that follow.
                self.lastEventID = eventID
                if data:
                    events.append(MessageEvent(eventType or "message", "\n".join(data), eventID))
                    data.clear()
                eventType = ""
                continue
            # Nearly every line has a space after its first colon, which belongs to neither name nor
            # value. If there is none, the first colon is still in the name.
            name, _, value = line.partition(": ")
            if ":" in name:
                name, _, value = line.partition(":")
            if name == "data":
                data.append(value)
            elif name == "id":
                if "\0" not in value and (
                    len(value) <= _SHORT_ID or len(value.encode()) <= LONGEST_ID
                ):
                    eventID = value
            elif name == "event":
                eventType = value
            elif name == "retry":
                # ASCII digits only: str.isdigit() and int() accept a lot more.
                if value.isascii() and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                    self.retry = int(value)
            elif not name and self._onComment is not None:
                self._onComment(line[1:])
        self._type, self._id = eventType, eventID
        if len(data) > _MANY_LINES:
            self._joinLines()
        return events

    def _joinLines(self) -> None:
        """
        Join the lines of data that have arrived since the last time.
        """
        # If earlier lines were dropped with their event, _joined is too large now: more lines than
        # necessary stay as they are, until there are more.
        lines = self._data[self._joined :]
        if len(lines) > _MANY_LINES:
            self._data[self._joined :] = ["\n".join(lines)]
            self._joined = len(self._data)
