"""
Tests for L{twisted_sse.format.parser}: the WHATWG algorithm, limits and cost.
"""

from __future__ import annotations

import copy
import pickle
import re
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.vectors import VECTORS
from twisted_sse.format import parser as parsermodule
from twisted_sse.format.parser import EventStreamParser, EventTooLarge, MessageEvent

BOM = b"\xef\xbb\xbf"


class Outcome(NamedTuple):
    """
    All results of a parser for a stream.
    """

    events: list[MessageEvent]
    lastEventID: str
    retry: int | None
    comments: list[str]
    tooLarge: bool = False


def parse(
    chunks: list[bytes], maxEventSize: int | None = None, lastEventID: str = ""
) -> tuple[Outcome, list[int]]:
    """
    Feed chunks to a new parser.

    @return: the outcome, and the number of events after each chunk.
    """
    comments: list[str] = []
    events: list[MessageEvent] = []
    counts = []
    parser = EventStreamParser(maxEventSize, lastEventID, comments.append)
    tooLarge = False
    for chunk in chunks:
        try:
            events += parser.feed(chunk)
        except EventTooLarge as e:
            events += e.events
            tooLarge = True
        counts.append(len(events))
    return Outcome(events, parser.lastEventID, parser.retry, comments, tooLarge), counts


def interpretSlowly(
    stream: bytes, maxEventSize: int = sys.maxsize, lastEventID: str = ""
) -> Outcome:
    """
    Interpret a whole stream exactly as the standard's algorithm is written, to compare with.
    """
    events: list[MessageEvent] = []
    comments: list[str] = []
    retry: int | None = None
    tooLarge = False
    data = eventType = ""
    eventID = lastEventID
    size = 0
    *lines, unfinished = re.split(b"\r\n|\r|\n", stream)
    for number, line in enumerate(lines):
        size += len(line)
        if size > maxEventSize:
            tooLarge = True
            break
        text = line.decode("utf-8", "replace")
        if number == 0:
            text = text.removeprefix("\ufeff")
        if line == b"":
            size = 0  # A line with only a byte order mark is not blank here: it counts.
        if text == "":
            lastEventID = eventID
            if data != "":
                events.append(MessageEvent(eventType or "message", data[:-1], lastEventID))
            data = eventType = ""
        elif text.startswith(":"):
            comments.append(text[1:])
        else:
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                eventType = value
            elif name == "data":
                data += value + "\n"
            elif name == "id" and "\0" not in value:
                eventID = value
            elif name == "retry" and re.fullmatch("[0-9]+", value):
                retry = int(value)
    tooLarge = tooLarge or size + len(unfinished) > maxEventSize
    return Outcome(events, lastEventID, retry, comments, tooLarge)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """
    Cut a stream at some places (beyond its end means at its end).
    """
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


# Everything with a meaning, or nearly so, and line ends more often than the rest.
PIECES = [
    *[b"data", b"data:", b"data: ", b"id:", b"id: ", b"id", b"event: ", b"event:", b"retry: "],
    *[b":", b" ", b"\t", b"\0", b"1", b"500", b"-", b"x", b": ", b"DATA: ", b"a: b: c"],
    *[b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\n", b"\n\n"],
    *[b"\x0b", b"\x0c", b"\x1c", "\x85".encode(), "\u2028".encode(), "\u2029".encode()],
    *[BOM, BOM[:1], BOM[1:], b"\xff\xfe", b"\xff", b"\xc0\x80", b"\xe2\x82", b"\xf0\x9f\x98"],
    *["\u00e9".encode(), "\U0001f600".encode(), "\uff11".encode(), "\u0663".encode()],
]


STREAMS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=40).map(b"".join)


PLACES = st.lists(st.integers(0, 80), max_size=8)


ANYTHING = settings(max_examples=500, deadline=None)


class VectorTests(SynchronousTestCase):
    """
    Tests for L{EventStreamParser} with the vectors: streams and their expected outcome.
    """

    def check(self, cutter: object, counts: bool = False) -> None:
        """
        Check each vector, cut into chunks in every way that C{cutter} returns.
        """
        assert callable(cutter)
        self.assertGreater(len(VECTORS), 150)
        for vector in VECTORS:
            expected = Outcome(
                [MessageEvent(e["type"], e["data"], e["last_event_id"]) for e in vector["events"]],
                vector["final_last_event_id"],
                vector["retry"],
                vector["comments"],
            )
            chunks = [chunk.encode(vector["encoding"]) for chunk in vector["chunks"]]
            for pieces in cutter(chunks):
                outcome, eager = parse(pieces)
                self.assertEqual(outcome, expected, f"{vector['name']} as {pieces}")
                if counts:
                    self.assertEqual(eager, vector["eager_counts"], vector["name"])

    def test_asGiven(self) -> None:
        """
        Every vector passes in its own chunks, and each event is returned with the chunk that ends
        it.
        """
        self.check(lambda chunks: [chunks], counts=True)

    def test_joined(self) -> None:
        """
        Every vector passes in one piece.
        """
        self.check(lambda chunks: [[b"".join(chunks)]])

    def test_byteByByte(self) -> None:
        """
        Every vector passes one byte at a time.
        """
        self.check(lambda chunks: [cut(b"".join(chunks), list(range(len(b"".join(chunks)))))])

    def test_cutInTwo(self) -> None:
        """
        Every vector passes cut in two anywhere.
        """

        def halves(chunks: list[bytes]) -> Iterator[list[bytes]]:
            stream = b"".join(chunks)
            for at in range(len(stream) + 1):
                yield [stream[:at], stream[at:]]

        self.check(halves)


class AnyStreamTests(SynchronousTestCase):
    """
    Tests for L{EventStreamParser} with arbitrary bytes.
    """

    @ANYTHING
    @given(STREAMS, PLACES, st.sampled_from(["", "7"]))
    def test_standard(self, stream: bytes, places: list[int], lastEventID: str) -> None:
        """
        Any bytes, cut anywhere, have the outcome of the standard's algorithm.
        """
        expected = interpretSlowly(stream, lastEventID=lastEventID)
        self.assertEqual(parse(cut(stream, places), None, lastEventID)[0], expected)

    @ANYTHING
    @given(STREAMS, PLACES, st.integers(1, 40))
    def test_limit(self, stream: bytes, places: list[int], maxEventSize: int) -> None:
        """
        With a limit, too, the outcome does not depend on where the bytes are cut.
        """
        expected = interpretSlowly(stream, maxEventSize)
        self.assertEqual(parse(cut(stream, places), maxEventSize)[0], expected)
        everywhere = cut(stream, list(range(len(stream))))
        self.assertEqual(parse(everywhere, maxEventSize)[0], expected)

    @ANYTHING
    @given(STREAMS)
    def test_atOnce(self, stream: bytes) -> None:
        """
        After each byte, all events that are complete by then have been returned.
        """
        _, counts = parse([stream[at : at + 1] for at in range(len(stream))])
        expected = [len(interpretSlowly(stream[: n + 1]).events) for n in range(len(stream))]
        self.assertEqual(counts, expected)


class FeedTests(SynchronousTestCase):
    """
    Tests for the arguments, the attributes and the input of L{EventStreamParser}.
    """

    def test_event(self) -> None:
        """
        An event is returned once, when its blank line has arrived.
        """
        parser = EventStreamParser()
        self.assertEqual(parser.feed(b"data: hi\n"), [])
        self.assertEqual(parser.feed(b"\n"), [MessageEvent("message", "hi", "")])
        self.assertEqual(parser.feed(b"\n"), [])

    def test_carriageReturnDoesNotWait(self) -> None:
        """
        A CR at the end of a chunk ends its line immediately, and an LF after it does not end
        another.
        """
        parser = EventStreamParser()
        self.assertEqual(parser.feed(b"data: a\r\r"), [MessageEvent("message", "a", "")])
        self.assertEqual(parser.feed(b""), [])
        self.assertEqual(parser.feed(b"\ndata: b\r"), [])
        self.assertEqual(parser.feed(b"\ndata: c"), [])
        self.assertEqual(parser.feed(b"\n\r"), [MessageEvent("message", "b\nc", "")])

    def test_kindsOfBytes(self) -> None:
        """
        bytes, bytearray and memoryview are accepted and copied, so that the caller may reuse them.
        """
        for kind in (bytes, bytearray, memoryview):
            parser = EventStreamParser()
            self.assertEqual(
                parser.feed(kind(b"data: a\r\n\r")), [MessageEvent("message", "a", "")]
            )
        buffer = bytearray(b"data: a")
        parser = EventStreamParser()
        parser.feed(memoryview(buffer))
        buffer[:] = b"XXXXXXX"
        self.assertEqual(parser.feed(b"\n\n"), [MessageEvent("message", "a", "")])

    def test_notBytes(self) -> None:
        """
        Text, or a number, which bytes() would turn into NULs, raises a L{TypeError}.
        """
        for wrong in ("data: a\n\n", 5, None):
            self.assertRaises(TypeError, EventStreamParser().feed, wrong)

    def test_lastEventIDIsKept(self) -> None:
        """
        The last event ID of an earlier connection stays until the stream sets another.
        """
        parser = EventStreamParser(lastEventID="7")
        self.assertEqual(parser.lastEventID, "7")
        self.assertEqual(parser.feed(b"data: a\n\n"), [MessageEvent("message", "a", "7")])
        self.assertEqual(parser.feed(b"id\ndata: b\n\n"), [MessageEvent("message", "b", "")])
        self.assertEqual(parser.lastEventID, "")

    def test_lastEventIDOfUnfinishedEvent(self) -> None:
        """
        An ID takes effect at the blank line, with or without data, and no earlier.
        """
        parser = EventStreamParser(lastEventID="7")
        parser.feed(b"id: 8\ndata: a\n")
        self.assertEqual(parser.lastEventID, "7")
        parser.feed(b"\nid: 9\n")
        self.assertEqual(parser.lastEventID, "8")
        parser.feed(b"\n")
        self.assertEqual(parser.lastEventID, "9")

    def test_retryAtOnce(self) -> None:
        """
        C{retry} takes effect when its line ends, and an invalid one changes nothing.
        """
        parser = EventStreamParser()
        self.assertIsNone(parser.retry)
        parser.feed(b"retry: 50")
        self.assertIsNone(parser.retry)
        parser.feed(b"0\n")
        self.assertEqual(parser.retry, 500)
        parser.feed("retry: -1\nretry: 1_0\nretry: \u0663\nretry: \u00b2\nretry\n".encode())
        self.assertEqual(parser.retry, 500)
        parser.feed(b"retry: 0\n")
        self.assertEqual(parser.retry, 0)

    def test_retryOfManyDigits(self) -> None:
        """
        A C{retry} with more digits than C{int} accepts on every platform is ignored.
        """
        parser = EventStreamParser()
        parser.feed(b"retry: " + b"9" * 640 + b"\n")
        self.assertEqual(parser.retry, int("9" * 640))
        self.assertEqual(parser.feed(b"retry: " + b"1" * 641 + b"\ndata: a\n\n")[0].data, "a")
        parser.feed(b"retry: " + b"1" * 100_000 + b"\n")
        self.assertEqual(parser.retry, int("9" * 640))

    def test_comment(self) -> None:
        """
        A comment is reported when its line ends, with all the text after the colon.
        """
        comments: list[str] = []
        parser = EventStreamParser(onComment=comments.append)
        parser.feed(b":  a: b \r")
        self.assertEqual(comments, ["  a: b "])
        parser.feed(b"\n:\n:x")
        self.assertEqual(comments, ["  a: b ", ""])

    def test_commentInOrder(self) -> None:
        """
        When a comment is reported, the last event ID and C{retry} are those before it.
        """
        seen: list[tuple[str, int | None]] = []

        def onComment(text: str) -> None:
            seen.append((parser.lastEventID, parser.retry))

        parser = EventStreamParser(onComment=onComment)
        parser.feed(b":\nid: 1\nretry: 5\n\n:\nid: 2\n\n")
        self.assertEqual(seen, [("", None), ("1", 5)])

    def test_commentRaises(self) -> None:
        """
        An exception in C{onComment} propagates out of C{feed}.
        """

        def onComment(text: str) -> None:
            raise ZeroDivisionError(text)

        parser = EventStreamParser(onComment=onComment)
        self.assertRaises(ZeroDivisionError, parser.feed, b": x\n")

    def allocatedBy(self, parser: EventStreamParser, chunks: list[bytes]) -> int:
        """
        Feed chunks, and add up the memory that each C{feed} allocates in addition to the existing
        one.
        """
        total = 0
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for chunk in chunks:
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            parser.feed(chunk)
            total += tracemalloc.get_traced_memory()[1] - held
        tracemalloc.stop()
        return total

    def test_longLineIsLinear(self) -> None:
        """
        The start of a line is not copied again for each chunk that continues it.
        """
        for maxEventSize in (None, 2**20):
            parser = EventStreamParser(maxEventSize)
            chunks = [b"data: ", *[b"x" * 512] * 1000]
            self.assertLess(self.allocatedBy(parser, chunks), 10 * 512 * 1000)
            self.assertEqual(len(parser.feed(b"\n\n")[0].data), 512 * 1000)

    def test_manyLinesAreLinear(self) -> None:
        """
        The start of an event is not copied again for each line that follows.
        """
        for maxEventSize in (None, 2**20):
            parser = EventStreamParser(maxEventSize)
            chunks = [b"data: " + b"x" * 506 + b"\n"] * 1000
            self.assertLess(self.allocatedBy(parser, chunks), 10 * 512 * 1000)
            self.assertEqual(parser.feed(b"\n")[0].data.count("\n"), 999)

    def test_longLineByteByByte(self) -> None:
        """
        A long line that arrives in single bytes is one event.
        """
        parser = EventStreamParser()
        parser.feed(b"data:")
        for _ in range(2**18):
            parser.feed(b"x")
        self.assertEqual(parser.feed(b"\r\r"), [MessageEvent("message", "x" * 2**18, "")])


class LargeTests(SynchronousTestCase):
    """
    Tests for events that are decoded and joined while they arrive.
    """

    def setUp(self) -> None:
        """
        Lower the limits, so that a few bytes and lines are treated like many.
        """
        self.patch(parsermodule, "_LONG_LINE", 11)
        self.patch(parsermodule, "_MANY_LINES", 3)

    @ANYTHING
    @given(STREAMS.filter(lambda stream: b"id" not in stream and b"1" not in stream), PLACES)
    def test_standard(self, stream: bytes, places: list[int]) -> None:
        """
        Any bytes, cut anywhere, have the outcome of the standard's algorithm, however long their
        lines are, and however many there are in an event.
        """
        # The numbers and IDs that are left out are short in ordinary streams.
        stream = stream.replace(b"500", b"")
        expected = interpretSlowly(stream)
        self.assertEqual(parse(cut(stream, places))[0], expected)
        self.assertEqual(parse(cut(stream, list(range(len(stream)))))[0], expected)

    def test_fields(self) -> None:
        """
        Every field may be in a long line, except that an ID and a retry are too long then.
        """
        rest = "\u00e9\u20ac\U0001f600" * 9
        for line, expected in (
            (f"data: {rest}", MessageEvent("message", f"{rest}\nx", "")),
            (f"data:{rest}", MessageEvent("message", f"{rest}\nx", "")),
            (f"data:  {rest}:", MessageEvent("message", f" {rest}:\nx", "")),
            (f"\ufeffdata: {rest}", MessageEvent("message", f"{rest}\nx", "")),
            (f"event: {rest}", MessageEvent(rest, "x", "")),
            (f"id: {rest}", MessageEvent("message", "x", "")),
            (f"retry: {'1' * 99}", MessageEvent("message", "x", "")),
            (f"other: {rest}", MessageEvent("message", "x", "")),
            (rest, MessageEvent("message", "x", "")),
        ):
            stream = f"{line}\ndata: x\n\n".encode()
            for chunks in cut(stream, list(range(len(stream)))), cut(stream, [15, 40]):
                outcome, _ = parse(chunks)
                self.assertEqual((outcome.events, outcome.retry), ([expected], None), line)
        comment = f":  {rest}\n".encode()
        self.assertEqual(parse(cut(comment, list(range(99))))[0].comments, [f"  {rest}"])

    def test_limit(self) -> None:
        """
        The limit counts the already decoded bytes of a long line exactly, and the line after it.
        """
        for line in b"data: " + b"x" * 94, b"data: " + b"\xf0" * 94, b": " + b"x" * 98:
            for end in b"\n", b"\n\n", b"\r\n\r\n":
                for stream, most in (line + end, 100), (line + b"\n:" + end, 101):
                    pieces = [cut(stream, list(range(len(stream)))), cut(stream, [50])]
                    for chunks in pieces:
                        self.assertFalse(parse(chunks, most)[0].tooLarge, stream)
                        self.assertTrue(parse(chunks, most - 1)[0].tooLarge, stream)


class MemoryTests(SynchronousTestCase):
    """
    Tests for the cost of large events and IDs.
    """

    def peak(self, chunks: Iterable[bytes]) -> tuple[list[MessageEvent], int]:
        """
        @return: the events, and the peak memory.
        """
        parser = EventStreamParser()
        events = []
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for chunk in chunks:
            events += parser.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return events, peak

    def test_line(self) -> None:
        """
        An event of one long line needs twice the memory of its text, and no more.
        """
        size = 2**22
        chunks = [b"data: ", *[b"x" * 2**16] * (size // 2**16), b"\n\n"]
        (event,), peak = self.peak(chunks)
        self.assertEqual(event.data, "x" * size)
        self.assertLess(peak, 2.2 * size)

    def test_lines(self) -> None:
        """
        The lines of an event need at most twice the memory of their text, however short they are.
        """
        size = 2**22
        chunks = [*[b"data:ab\n" * 2**13] * (size // 2**16), b"\n"]
        (event,), peak = self.peak(chunks)
        self.assertEqual(event.data, "\n".join(["ab"] * (size // 8)))
        self.assertLess(peak, size)

    def test_id(self) -> None:
        """
        An ID of more than 8192 bytes is ignored, as one with a NUL is: no server accepts it.
        """
        for good in "x" * 8192, "\u20ac" * 2730, "x" * 2049:
            (event,) = EventStreamParser().feed(f"id: {good}\ndata\n\n".encode())
            self.assertEqual(event.lastEventID, good)
        for bad in "x" * 8193, "\u20ac" * 2731, "x" * 2**20:
            parser = EventStreamParser(lastEventID="7")
            wire = f"id: 8\nid: {bad}\ndata\n\n".encode()
            events = [event for piece in cut(wire, [2**16, 2**17]) for event in parser.feed(piece)]
            self.assertEqual([event.lastEventID for event in events], ["8"])
            self.assertEqual(parser.lastEventID, "8")


class EventTooLargeTests(SynchronousTestCase):
    """
    Tests for C{maxEventSize} and L{EventTooLarge}.
    """

    def test_exactly(self) -> None:
        """
        All lines of an event count, including comments and unknown fields, but not line ends.
        """
        event = b":cc\r\nid:1\r\nfoo\r\ndata:a\r\n\r\n"
        size = len(b":ccid:1foodata:a")
        self.assertEqual(len(EventStreamParser(size).feed(event * 3)), 3)
        self.assertRaises(EventTooLarge, EventStreamParser(size - 1).feed, event)

    def test_unfinishedLine(self) -> None:
        """
        A line without an end raises at the byte that exceeds the limit, comment or not.
        """
        for start in (b"data: ", b": ", b"foo"):
            parser = EventStreamParser(100)
            for _ in range(100 - len(start)):
                parser.feed(b"x")
            parser.feed(start)
            self.assertRaises(EventTooLarge, parser.feed, b"x")

    def test_linesInManyChunks(self) -> None:
        """
        Lines count together even in separate chunks, and a blank line resets the count.
        """
        parser = EventStreamParser(20)
        for _ in range(50):
            for chunk in (b"data: 1234\n", b"data: 1234\n", b"\n"):
                parser.feed(chunk)
        parser.feed(b"data: 1234\n")
        parser.feed(b"data: 1234\n")
        self.assertRaises(EventTooLarge, parser.feed, b"x")

    def test_eventsBefore(self) -> None:
        """
        The exception has the events before the one that is too large, and lines before the excess
        take effect.
        """
        parser = EventStreamParser(20)
        stream = b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nretry: 7\nid: 3\n: 45678901\nretry: 8\n\n"
        error = self.assertRaises(EventTooLarge, parser.feed, stream)
        self.assertEqual(
            error.events, [MessageEvent("message", "a", "1"), MessageEvent("message", "b", "2")]
        )
        self.assertEqual((parser.lastEventID, parser.retry), ("2", 7))

    def test_finished(self) -> None:
        """
        After an event that is too large, every call raises and returns no event again.
        """
        parser = EventStreamParser(10)
        self.assertRaises(EventTooLarge, parser.feed, b"data: a\n\ndata: 123456")
        for more in (b"\n\ndata: a\n\n", b"", b"\n"):
            self.assertEqual(self.assertRaises(EventTooLarge, parser.feed, more).events, [])

    def test_manyEvents(self) -> None:
        """
        A chunk may be much larger than the limit if none of its events is.
        """
        stream = b"\n\ndata: 1234\n\n\ndata: 5\ndata\n\n" * 1000
        self.assertEqual(len(EventStreamParser(11).feed(stream)), 2000)

    def test_error(self) -> None:
        """
        The exception is a L{ValueError} that shows the limit, and can be pickled.
        """
        error = EventTooLarge(1234, [MessageEvent("message", "a", "")])
        self.assertIsInstance(error, ValueError)
        self.assertIn("1234", str(error))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((again.maxEventSize, again.events), (1234, error.events))

    def test_badLimit(self) -> None:
        """
        A limit below 1 is refused.
        """
        for limit in (0, -1):
            self.assertRaises(ValueError, EventStreamParser, limit)


class MessageEventTests(SynchronousTestCase):
    """
    Tests for L{MessageEvent}.
    """

    def test_fields(self) -> None:
        """
        A message can be made and matched by position, and made by name.
        """
        message = MessageEvent(type="t", data="d", lastEventID="i")
        self.assertEqual((message.type, message.data, message.lastEventID), ("t", "d", "i"))
        match MessageEvent("t", "d", "i"):
            case MessageEvent(kind, data, lastEventID):
                self.assertEqual((kind, data, lastEventID), ("t", "d", "i"))

    def test_frozen(self) -> None:
        """
        No attribute can be set, deleted or added.
        """
        message = MessageEvent("t", "d", "i")
        for name in ("type", "data", "lastEventID", "other"):
            self.assertRaises(AttributeError, setattr, message, name, "x")
            self.assertRaises(AttributeError, delattr, message, name)
        self.assertFalse(hasattr(message, "__dict__"))

    def test_equality(self) -> None:
        """
        Messages are equal, with equal hashes, if all fields are, and not equal to anything else.
        """
        message = MessageEvent("t", "d", "i")
        same = MessageEvent("t", "d", "i")
        self.assertEqual(message, same)
        self.assertEqual(len({message, same}), 1)
        for other in (
            MessageEvent("x", "d", "i"),
            MessageEvent("t", "x", "i"),
            MessageEvent("t", "d", "x"),
            ("t", "d", "i"),
        ):
            self.assertNotEqual(message, other)

    def test_repr(self) -> None:
        """
        The repr shows each field and can be evaluated.
        """
        message = MessageEvent("t", "d\n'", "")
        self.assertEqual(repr(message), """MessageEvent(type='t', data="d\\n'", lastEventID='')""")
        self.assertEqual(eval(repr(message)), message)

    def test_copies(self) -> None:
        """
        A message can be copied and pickled.
        """
        message = MessageEvent("t", "d", "i")
        self.assertEqual(copy.deepcopy(message), message)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.assertEqual(pickle.loads(pickle.dumps(message, protocol)), message)

    def test_json(self) -> None:
        """
        C{json} parses the data, and raises a L{ValueError} if it is not JSON.
        """
        self.assertEqual(MessageEvent("t", '{"a": [1, null]}', "").json(), {"a": [1, None]})
        self.assertRaises(ValueError, MessageEvent("t", "a", "").json)
