"""
Tests for L{twisted_sse.store.redis.entries}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event
from twisted_sse.event import InvalidEvent
from twisted_sse.store import Record
from twisted_sse.store.redis.entries import (
    LARGEST,
    NoEvent,
    begin,
    isBegin,
    sizeOf,
    toFields,
    toRecord,
)
from twisted_sse.store.redis.places import EntryID

ID = EntryID(1700000000123, 4)

texts = st.text(st.characters(exclude_categories=["Cs"]))
events = st.builds(
    dict,
    data=st.none() | texts,
    event=st.none() | texts.filter(lambda text: not set("\r\n") & set(text)),
    comment=st.none() | texts,
    retry=st.none() | st.integers(0, 2**64 - 1),
).filter(lambda fields: any(value is not None for value in fields.values()))


class EntriesTests(SynchronousTestCase):
    """
    Tests for events as entries.
    """

    @given(events, st.lists(texts), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
    def test_roundTrip(self, fields: Any, topics: list[str], private: bool, time: float) -> None:
        """
        A stored event is read unchanged, with the ID of the entry.
        """
        record = Record(Event(**fields), tuple(topics), private, time)
        stored = [each.encode() for each in toFields(record)]
        found = toRecord(ID, stored)
        expected = Event(**fields, id="1700000000123-4")
        self.assertEqual(found, record._replace(event=expected))
        self.assertFalse(isBegin(stored))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"data", b"event", b"retry", b"time", b"topic", b"private"])
                | st.binary(),
                st.binary() | st.sampled_from([b"1", b"x", b"nan", b"-1"]),
            )
        )
    )
    def test_foreign(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """
        Whatever another program has stored is either an event or rejected.
        """
        try:
            record = toRecord(ID, [each for pair in pairs for each in pair])
        except NoEvent as error:
            self.assertTrue(str(error))
        else:
            self.assertEqual(record.event.id, str(ID))
            record.event.encode()

    def test_none(self) -> None:
        """
        The reason for a rejection is reported.
        """
        for fields, why in (
            (None, "it was deleted"),
            ([], "it has no data field"),
            ([b"foo", b"bar"], "it has no data field"),
            ([b"topic", b"x", b"time", b"1"], "it has no data field"),
            ([b"data", b"\xff"], "not UTF-8"),
            ([b"data", b"x", b"topic", b"\xff"], "not UTF-8"),
            ([b"data", b"x", b"data", b"x"], "more than one data field"),
            ([b"data", b"x", b"event", b"a\nb"], "event"),
            ([b"data", b"x", b"retry", b""], "retry is ''"),
            ([b"data", b"x", b"retry", b"+1"], "retry is '+1'"),
            ([b"data", b"x", b"retry", b"1" * 21], "retry is "),
            ([b"data", b"x", b"retry", "\u0663".encode()], "retry is "),
            ([b"data", b"x" * LARGEST], "larger than"),
        ):
            with self.assertRaises(NoEvent) as caught:
                toRecord(ID, fields)
            self.assertIn(why, str(caught.exception))
            self.assertLess(len(str(caught.exception)), 200)

    def test_ignored(self) -> None:
        """
        Other fields are ignored, whatever they are, and a field with an ID does not set the
        event's.
        """
        record = toRecord(ID, [b"\xff", b"\xfe", b"id", b"own", b"data", b"x", b"\xff", b""])
        self.assertEqual(record.event, Event("x", id=str(ID)))

    def test_time(self) -> None:
        """
        An invalid time is replaced by that of the ID.
        """
        for time in b"", b"now", b"nan", b"inf", b"-inf", b"1e999", b"9" * 10_000, b"1_0":
            record = toRecord(ID, [b"data", b"x", b"time", time])
            self.assertEqual(record.time, 1700000000.123, time[:10])
        self.assertEqual(toRecord(ID, [b"data", b"x", b"time", b"12.5"]).time, 12.5)

    def test_private(self) -> None:
        """
        An event is private if a field marks it so.
        """
        for value, private in (b"1", True), (b"yes", True), (b"0", False), (b"", False):
            self.assertEqual(toRecord(ID, [b"data", b"x", b"private", value]).private, private)
        self.assertFalse(toRecord(ID, [b"data", b"x"]).private)

    def test_begin(self) -> None:
        """
        A beginning is not an event, and no two have the same ID.
        """
        first, second = begin("news", 7), begin("news", 7)
        self.assertNotEqual(first, second)
        for command in first, second:
            self.assertEqual(command[:2], ("XADD", "news"))
            ms, seq = command[2].split("-")
            self.assertTrue(ms == "7" and 0 <= int(seq) < 2**62)
            self.assertTrue(isBegin([each.encode() for each in command[3:]]))
        self.assertEqual(begin("news")[2], "*")
        for fields in None, [], [b"data", b"sse"]:
            self.assertFalse(isBegin(fields))

    def test_size(self) -> None:
        """
        The size is approximately that of the event.
        """
        self.assertLess(abs(sizeOf([b"data", b"x" * 1000]) - 1050), 50)
        self.assertLess(sizeOf(None), 100)

    def test_invalid(self) -> None:
        """
        C{InvalidEvent} is never raised: it would blame the publisher.
        """
        with self.assertRaises(NoEvent) as caught:
            toRecord(ID, [b"data", b"x", b"event", b"\r"])
        self.assertNotIsInstance(caught.exception, InvalidEvent)
