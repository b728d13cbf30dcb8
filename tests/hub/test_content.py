"""
Tests for L{twisted_sse.hub.content}.
"""

from __future__ import annotations

import time
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event
from twisted_sse.hub.content import (
    MOST_EVENTS,
    bodyOf,
    checkCoding,
    decoded,
    isUTF8,
    linesIn,
    made,
    mediaType,
    parsed,
    readEach,
)
from twisted_sse.hub.refused import Refused
from twisted_sse.stream.options import LONGEST_ID


class HeaderTests(SynchronousTestCase):
    """
    Tests for the headers that describe a body.
    """

    def test_mediaType(self) -> None:
        """
        A media type is case-insensitive, and excludes its parameters.
        """
        for header, kind in [
            (None, b""),
            (b"", b""),
            (b"Text/Plain", b"text/plain"),
            (b" application/json ; charset=utf-8", b"application/json"),
            (b"a/b;=", b"a/b"),
        ]:
            self.assertEqual(mediaType(header), kind)

    def test_charset(self) -> None:
        """
        UTF-8 is the only charset, in any spelling, and the default.
        """
        for header in [None, b"a/b", b"a/b;Charset=UTF-8", b'a/b; x=y; charset="utf8"', b"a/b;="]:
            self.assertTrue(isUTF8(header), header)
        self.assertTrue(isUTF8(b"a/b;charset=us-ascii"))
        for header in [b"a/b;charset=iso-8859-1", b'a/b; charset = "utf-16"', b"a/b;charset="]:
            self.assertFalse(isUTF8(header), header)

    def test_coding(self) -> None:
        """
        A compressed body is refused.
        """
        for header in [None, b"", b" Identity "]:
            checkCoding(header)
        for header in [b"gzip", b"identity, br"]:
            refused = self.assertRaises(Refused, checkCoding, header)
            self.assertEqual(refused.status, 415)
            self.assertEqual(refused.headers, {b"accept-encoding": b"identity"})


class BodyTests(SynchronousTestCase):
    """
    Tests for L{bodyOf}, C{decoded} and C{parsed}.
    """

    def test_limit(self) -> None:
        """
        A body as large as the limit is read, and a body one byte larger is refused.
        """
        request: Any = SimpleNamespace(content=BytesIO(b"12345"))
        self.assertEqual(bodyOf(request, 5), b"12345")
        request.content.seek(0)
        self.assertEqual(self.assertRaises(Refused, bodyOf, request, 4).status, 413)

    def test_decoded(self) -> None:
        """
        Bytes that are not UTF-8 are named.
        """
        self.assertEqual(decoded("\ufeffé".encode()), "\ufeffé")
        self.assertIn("byte 2 ", str(self.assertRaises(Refused, decoded, b"a\xff")))

    def test_twice(self) -> None:
        """
        An object with a duplicate name is refused, in time linear in its names.
        """
        names = [f"n{number}" for number in range(60_000)]
        text = "{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}"
        start = time.process_time()
        refused = self.assertRaises(Refused, parsed, text)
        # Counting each name takes a minute.
        self.assertLess(time.process_time() - start, 5)
        self.assertIn("an object has the name 'n59999' twice", str(refused))


class MadeTests(SynchronousTestCase):
    """
    Tests for L{made}.
    """

    def test_event(self) -> None:
        """
        An event is made from its data and fields.
        """
        self.assertEqual(made(Event, "a", {"id": "1"}), Event("a", id="1"))
        self.assertEqual(made(Event.json, [1], {}), Event("[1]"))

    def test_invalid(self) -> None:
        """
        Data that is not an event is refused, with the reason.
        """
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        for make, data, fields, why in [
            (Event, "a", {"id": "1\n"}, "CR or LF"),
            (Event, "a", {"id": 1.5}, "id must be a str"),
            (Event, "a", {"id": "x" * (LONGEST_ID + 1)}, "id is longer than"),
            (Event, "\ud800", {}, "lone surrogate"),
            (Event.json, deep, {}, "nested too deeply"),
        ]:
            refused = self.assertRaises(Refused, made, make, data, fields)
            self.assertEqual(refused.status, 400)
            self.assertIn(why, str(refused))


class BatchTests(SynchronousTestCase):
    """
    Tests for C{linesIn} and C{readEach}.
    """

    def test_lines(self) -> None:
        """
        Only LF ends a line; empty lines are counted, and skipped.
        """
        lines = list(linesIn(b"\na\r\n \t\n\xe2\x80\xa8b\x0bc"))
        self.assertEqual(lines, [(2, b"a\r"), (4, b"\xe2\x80\xa8b\x0bc")])

    def test_each(self) -> None:
        """
        Events are read one at a time.
        """
        read: list[int] = []

        def reading(value: int) -> int:
            read.append(value)
            return value * 2

        batch = readEach([(1, 10), (2, 20)], "line", reading)
        self.assertEqual((next(batch), read), (20, [10]))
        self.assertEqual((list(batch), read), ([40], [10, 20]))

    def test_refused(self) -> None:
        """
        The refused event is named; its status and headers stay.
        """

        def reading(value: str) -> str:
            if value == "bad":
                raise Refused(413, "it is bad", {b"x": b"y"})
            return value

        batch = readEach([(3, "good"), (7, "bad")], "update", reading)
        self.assertEqual(next(batch), "good")
        refused = self.assertRaises(Refused, next, batch)
        self.assertEqual(str(refused), "update 7: it is bad; nothing was published")
        self.assertEqual(
            (refused.status, refused.headers, refused.more), (413, {b"x": b"y"}, {"update": 7})
        )

    def test_count(self) -> None:
        """
        A batch has at least one event, and at most the number that can be published at once.
        """
        refused = self.assertRaises(Refused, list, readEach([], "line", str))
        self.assertEqual(refused.status, 400)
        self.assertIn("each line of the body must be an event", str(refused))
        most = [(number, number) for number in range(MOST_EVENTS)]
        self.assertEqual(len(list(readEach(most, "line", str))), MOST_EVENTS)
        refused = self.assertRaises(Refused, list, readEach([*most, (0, 0)], "line", str))
        self.assertEqual(refused.status, 413)
