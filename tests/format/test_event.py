"""
Tests for L{twisted_sse.format.event}: the permitted content of an event, and its encoding.
"""

from __future__ import annotations

import copy
import enum
import json
import pickle
import re
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.format.event import Event, InvalidEvent
from twisted_sse.format.parser import EventStreamParser, MessageEvent

SURROGATES = ("\ud800", "a\udfffb", "\ude00\ud83d")


class EncodeTests(SynchronousTestCase):
    """
    Tests for L{Event.encode}.
    """

    def test_allFields(self) -> None:
        """
        The fields are in the order comment, event, id, retry, data, each with a colon and a space;
        a blank line ends the event.
        """
        event = Event(data="hello", event="message", id="1", retry=500, comment="note")
        self.assertEqual(
            event.encode(), b": note\nevent: message\nid: 1\nretry: 500\ndata: hello\n\n"
        )

    def test_oneField(self) -> None:
        """
        Any field may be the only one, and then no other field is sent.
        """
        self.assertEqual(Event("hi").encode(), b"data: hi\n\n")
        self.assertEqual(Event(event="tick").encode(), b"event: tick\n\n")
        self.assertEqual(Event(id="1").encode(), b"id: 1\n\n")
        self.assertEqual(Event(retry=0).encode(), b"retry: 0\n\n")
        self.assertEqual(Event(comment="hi").encode(), b": hi\n\n")

    def test_emptyText(self) -> None:
        """
        Empty text is sent, unlike L{None}.
        """
        self.assertEqual(Event("").encode(), b"data: \n\n")
        self.assertEqual(Event(event="").encode(), b"event: \n\n")
        self.assertEqual(Event(id="").encode(), b"id: \n\n")
        self.assertEqual(Event(comment="").encode(), b": \n\n")

    def test_linesOfData(self) -> None:
        """
        Each line of data has its own C{data} field, whether CRLF, CR or LF ends it.
        """
        self.assertEqual(
            Event("a\r\nb\rc\nd\n\re").encode(),
            b"data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n",
        )
        self.assertEqual(Event("\n").encode(), b"data: \ndata: \n\n")
        self.assertEqual(Event("\r").encode(), b"data: \ndata: \n\n")

    def test_linesOfComment(self) -> None:
        """
        Each line of a comment is a comment, so that no part becomes a field.
        """
        self.assertEqual(
            Event(comment="a\r\ndata: b\rid: c\n").encode(), b": a\n: data: b\n: id: c\n: \n\n"
        )

    def test_noOtherLineEnds(self) -> None:
        """
        Other line separators of Unicode do not end a line.
        """
        text = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i"
        self.assertEqual(
            Event(text, event=text, id=text, comment=text).encode(),
            f": {text}\nevent: {text}\nid: {text}\ndata: {text}\n\n".encode(),
        )

    def test_utf8(self) -> None:
        """
        Text is sent as UTF-8.
        """
        self.assertEqual(Event("\u00e9\U0001f600").encode(), b"data: \xc3\xa9\xf0\x9f\x98\x80\n\n")

    def test_blanksStay(self) -> None:
        """
        Leading and trailing blanks of a value are sent unchanged.
        """
        self.assertEqual(
            Event(" a ", event=" b ", id="\tc ").encode(), b"event:  b \nid: \tc \ndata:  a \n\n"
        )

    def test_intID(self) -> None:
        """
        An int ID becomes text.
        """
        self.assertEqual(Event(id=12).id, "12")
        self.assertEqual(Event(id=-1).encode(), b"id: -1\n\n")
        self.assertEqual(Event(id=0), Event(id="0"))

    def test_subclasses(self) -> None:
        """
        For a subclass of str or int its value is sent, not the results of its methods.
        """

        class Kind(str, enum.Enum):
            TICK = "tick"

        class Number(int, enum.Enum):
            ONE = 1

        class Markup(str):
            __slots__ = ()

            def __add__(self, other: str) -> str:
                return "escaped"

            def __format__(self, spec: str) -> str:
                return "escaped"

            replace = __add__  # type: ignore[assignment]

        event = Event(Markup("a\nb"), Kind.TICK, Number.ONE, Number.ONE, Markup("c"))
        self.assertEqual(event.encode(), b": c\nevent: tick\nid: 1\nretry: 1\ndata: a\ndata: b\n\n")
        for value in (event.data, event.event, event.id, event.comment):
            self.assertIs(type(value), str)
        self.assertIs(type(event.retry), int)


class InvalidEventTests(SynchronousTestCase):
    """
    Tests for values that L{Event} refuses.
    """

    def refused(self, field: str | None, said: str, **fields: Any) -> None:
        """
        Assert that some fields raise an error that names the field and the problem.
        """
        error = self.assertRaises(InvalidEvent, Event, **fields)
        self.assertEqual(error.field, field)
        self.assertTrue(str(error).startswith(field or ""), str(error))
        self.assertIn(said, str(error))
        self.assertLess(len(str(error)), 200)

    def test_nothing(self) -> None:
        """
        An event without any field is refused.
        """
        self.refused(None, "at least one of data, event, id, retry and comment")

    def test_lineEnds(self) -> None:
        """
        CR and LF are refused in event and id: they would begin another field.
        """
        for field in ("event", "id"):
            for bad in ("a\nb", "a\rb", "a\r\n", "\n", "\r"):
                self.refused(field, "CR or LF", **{field: bad})
                self.refused(field, repr(bad), **{field: bad})

    def test_nul(self) -> None:
        """
        NUL is refused in id, because clients ignore such an ID, and allowed elsewhere.
        """
        self.refused("id", "NUL", id="a\0b")
        Event("a\0b", event="a\0b", comment="a\0b")

    def test_surrogates(self) -> None:
        """
        A lone surrogate is refused in every field, because UTF-8 cannot encode it.
        """
        for field in ("data", "event", "id", "comment"):
            for bad in SURROGATES:
                self.refused(field, "surrogate", **{field: bad})
        self.refused("data", r"'\udfff' at index 1", data="a\udfffb")

    def test_retry(self) -> None:
        """
        C{retry} must be an int of at least 0, and not a bool.
        """
        for bad in (-1, True, False, 1.5, 500.0, "500", b"500", float("nan"), [500]):
            self.refused("retry", "int of at least 0", retry=bad)

    def test_hugeInts(self) -> None:
        """
        Integers too long for Python to convert to text are refused, and other large ones are sent.
        """
        self.assertEqual(Event(retry=2**64).encode(), b"retry: 18446744073709551616\n\n")
        self.refused("retry", "33220 bits", retry=10**10000)
        self.refused("id", "33220 bits", id=10**10000)

    def test_types(self) -> None:
        """
        Values of a wrong type raise a L{TypeError} that names the field.
        """
        for field in ("data", "event", "id", "comment"):
            for bad in (b"a", True, 1.5, [], {}, object()):
                error = self.assertRaises(TypeError, Event, **{field: bad})
                self.assertTrue(str(error).startswith(f"{field} must be a str"), str(error))
        for field in ("data", "event", "comment"):
            self.assertRaises(TypeError, Event, **{field: 1})

    def test_dataNamesJSON(self) -> None:
        """
        The error for data that is not text names C{Event.json}.
        """
        for bad in ({"a": 1}, 5, b"a"):
            self.assertIn("Event.json", str(self.assertRaises(TypeError, Event, bad)))

    def test_shortMessages(self) -> None:
        """
        A long value is shortened in the message.
        """
        self.refused("id", "... (100001 long)", id="x" * 100_000 + "\n")
        self.refused("retry", "...", retry=["x"] * 100_000)

    def test_error(self) -> None:
        """
        The error is a ValueError and can be pickled.
        """
        error = self.assertRaises(InvalidEvent, Event, id="\n")
        self.assertIsInstance(error, ValueError)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(again), again.field), (str(error), "id"))


class ValueTests(SynchronousTestCase):
    """
    Tests for L{Event} as a value.
    """

    full = Event("d", "e", "i", 1, "c")

    def test_attributes(self) -> None:
        """
        The fields can be read by name, and matched by position.
        """
        event = self.full
        self.assertEqual(
            (event.data, event.event, event.id, event.retry, event.comment),
            ("d", "e", "i", 1, "c"),
        )
        match event:
            case Event(data, kind, eventID, retry, comment):
                self.assertEqual((data, kind, eventID, retry, comment), ("d", "e", "i", 1, "c"))
        self.assertIsNone(Event(id="1").data)

    def test_frozen(self) -> None:
        """
        No attribute can be set, deleted or added.
        """
        for name in ("data", "event", "id", "retry", "comment", "other"):
            self.assertRaises(AttributeError, setattr, self.full, name, "x")
            self.assertRaises(AttributeError, delattr, self.full, name)
        self.assertFalse(hasattr(self.full, "__dict__"))

    def test_equality(self) -> None:
        """
        Events are equal, with equal hashes, if all five fields are, and not equal to anything else.
        """
        same = Event(data="d", event="e", id="i", retry=1, comment="c")
        self.assertEqual(self.full, same)
        self.assertEqual(len({self.full, same}), 1)
        for other in (
            Event("x", "e", "i", 1, "c"),
            Event("d", "x", "i", 1, "c"),
            Event("d", "e", "x", 1, "c"),
            Event("d", "e", "i", 2, "c"),
            Event("d", "e", "i", 1, "x"),
            Event("d", "e", "i", 1),
            ("d", "e", "i", 1, "c"),
        ):
            self.assertNotEqual(self.full, other)
        self.assertNotEqual(Event(""), Event(event=""))

    def test_repr(self) -> None:
        """
        The repr shows the fields that are set, and can be evaluated.
        """
        self.assertEqual(repr(Event("a\n", id=1)), r"Event(data='a\n', id='1')")
        self.assertEqual(repr(Event(comment="")), "Event(comment='')")
        self.assertEqual(eval(repr(self.full)), self.full)

    def test_copies(self) -> None:
        """
        An event can be copied and pickled.
        """
        self.assertEqual(copy.deepcopy(self.full), self.full)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.assertEqual(pickle.loads(pickle.dumps(self.full, protocol)), self.full)


class JSONTests(SynchronousTestCase):
    """
    Tests for L{Event.json}.
    """

    def test_compact(self) -> None:
        """
        The data is JSON without spaces and with unescaped characters.
        """
        event = Event.json({"a": [1, None, "\u00e9"]}, event="e", id=1, retry=2, comment="c")
        self.assertEqual(event, Event('{"a":[1,null,"\u00e9"]}', "e", "1", 2, "c"))
        self.assertEqual(Event.json(None), Event("null"))

    def test_lineEnds(self) -> None:
        """
        A string of several lines is one line of data.
        """
        self.assertEqual(Event.json("a\r\nb").encode(), b'data: "a\\r\\nb"\n\n')

    def test_surrogates(self) -> None:
        """
        A lone surrogate is sent as its escape, and decodes to the same text.
        """
        self.assertEqual(Event.json("\u00e9\ud800\\").encode(), b'data: "\xc3\xa9\\ud800\\\\"\n\n')
        for text in ("\ud800", "a\udfffb", "\\\ud800", "\ude00\ud83d"):
            data = Event.json({text: text}).data
            assert data is not None
            self.assertEqual(json.loads(data), {text: text})

    def test_notANumber(self) -> None:
        """
        NaN, infinities and circular references are refused, because JSON cannot express them.
        """
        loop: list[object] = []
        loop.append(loop)
        for bad in (float("nan"), [float("inf")], {"a": -float("inf")}, loop):
            self.assertEqual(self.assertRaises(InvalidEvent, Event.json, bad).field, "data")

    def test_noJSON(self) -> None:
        """
        A value that JSON does not support raises a L{TypeError} that names its type and a remedy.
        """
        error = self.assertRaises(TypeError, Event.json, {"a": b"x"})
        self.assertIn("bytes", str(error))
        self.assertIn("default=", str(error))

    def test_badField(self) -> None:
        """
        The other fields are checked, and C{data} is not accepted.
        """
        self.assertRaises(InvalidEvent, Event.json, 1, id="\n")
        self.assertRaises(TypeError, Event.json, 1, data="x")


class MappingTests(SynchronousTestCase):
    """
    Tests for L{Event.fromMapping}.
    """

    def test_fields(self) -> None:
        """
        Each key sets the field of that name, the empty key the comment, and L{None} means absent.
        """
        self.assertEqual(
            Event.fromMapping({"": "c", "event": "e", "data": "d", "id": 1, "retry": 2}),
            Event("d", "e", "1", 2, "c"),
        )
        self.assertEqual(
            Event.fromMapping({"": None, "event": None, "data": "d", "id": None, "retry": None}),
            Event("d"),
        )

    def test_unknownKey(self) -> None:
        """
        An unknown key is refused with an error that names it, even with L{None}, and the error
        lists the valid ones.
        """
        for key in ("dta", "comment", "Data", 5):
            error = self.assertRaises(InvalidEvent, Event.fromMapping, {"data": "d", key: None})
            self.assertEqual(error.field, str(key))
            self.assertIn(repr(key), str(error))
            self.assertIn("'event', 'data', 'id', 'retry' and ''", str(error))

    def test_invalid(self) -> None:
        """
        Values are checked as in the constructor.
        """
        self.assertRaises(InvalidEvent, Event.fromMapping, {})
        self.assertRaises(InvalidEvent, Event.fromMapping, {"id": "1\n2"})
        self.assertRaises(TypeError, Event.fromMapping, {"data": 5})


# Ordinary characters, and some that have a special meaning here or in other languages.
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "\n\r\n\r\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff\ufffd\ufffe\U0001f600\u00e9 \t::ad1"
)
TEXT = st.text(CHARACTERS, max_size=12)
TEXTS = TEXT | st.lists(TEXT, max_size=3).map("\r\n".join)
LINES = TEXT.map(lambda text: re.sub("[\r\n]", " ", text))
EVENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "data": st.none() | TEXTS,
        "event": st.none() | LINES,
        "id": st.none() | LINES.map(lambda text: text.replace("\0", "0")) | st.integers(),
        "retry": st.none() | st.integers(0),
        "comment": st.none() | TEXTS,
    }
).filter(lambda fields: any(value is not None for value in fields.values()))
PLACES = st.lists(st.integers(0, 200), max_size=8)


class RoundTripTests(SynchronousTestCase):
    """
    Tests for L{Event} and L{EventStreamParser} together.
    """

    @settings(max_examples=1000, deadline=None)
    @given(st.lists(EVENTS, max_size=4), PLACES)
    def test_comesBack(self, sent: list[dict[str, Any]], places: list[int]) -> None:
        """
        The parser returns the encoded events, for any valid events, wherever the bytes are cut.
        """
        stream = b"".join(Event(**fields).encode() for fields in sent)

        messages, comments, lastEventID, retry = [], [], "", None
        for fields in sent:
            if fields["comment"] is not None:
                comments += re.split("\r\n|\r|\n", fields["comment"])
            if fields["id"] is not None:
                lastEventID = str(fields["id"])
            if fields["retry"] is not None:
                retry = fields["retry"]
            if fields["data"] is not None:
                data = "\n".join(re.split("\r\n|\r|\n", fields["data"]))
                messages.append(MessageEvent(fields["event"] or "message", data, lastEventID))

        gotComments: list[str] = []
        parser = EventStreamParser(onComment=gotComments.append)
        got = []
        edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
        for start, end in pairwise(edges):
            got += parser.feed(stream[start:end])

        self.assertEqual(got, messages)
        self.assertEqual(gotComments, [f" {line}" for line in comments])
        self.assertEqual((parser.lastEventID, parser.retry), (lastEventID, retry))

    @settings(max_examples=300, deadline=None)
    @given(st.lists(EVENTS, max_size=4), st.sampled_from(["", "7"]))
    def test_relay(self, sent: list[dict[str, Any]], lastEventID: str) -> None:
        """
        A client of relayed messages gets exactly the original ones, whatever ID it had before.
        """
        messages = EventStreamParser().feed(b"".join(Event(**fields).encode() for fields in sent))
        relayed = b"".join(Event.fromMessage(message).encode() for message in messages)
        self.assertEqual(EventStreamParser(lastEventID=lastEventID).feed(relayed), messages)

    def test_relayResets(self) -> None:
        """
        Relaying a message without a last event ID clears the client's ID.
        """
        event = Event.fromMessage(MessageEvent("message", "hi", ""))
        self.assertEqual(event, Event("hi", id=""))

    def test_relayOfAnything(self) -> None:
        """
        Any object with the three attributes can be relayed, and its fields are checked.
        """

        class Message:
            type = "t\nx"
            data = "d"
            lastEventID = "i"

        self.assertRaises(InvalidEvent, Event.fromMessage, Message())
        Message.type = "t"
        self.assertEqual(Event.fromMessage(Message()), Event("d", event="t", id="i"))
