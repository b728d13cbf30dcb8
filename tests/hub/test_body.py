"""
Tests for L{twisted_sse.hub.body}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event
from twisted_sse.hub.body import Item, batchIn, eventIn, isBatch, typeOf
from twisted_sse.hub.content import MOST_EVENTS
from twisted_sse.hub.refused import Refused
from twisted_sse.stream.options import LONGEST_ID

#: Values on one line: event types and IDs.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1)

#: The data of events and their other fields.
BATCHES = st.lists(
    st.tuples(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
        ),
        st.fixed_dictionaries(
            {},
            optional={
                "event": st.none() | NAMES,
                "id": st.none() | NAMES | st.integers(0, 10**9),
                "retry": st.none() | st.integers(0, 10**9),
                "topics": st.none() | st.lists(st.text(min_size=1)),
            },
        ),
    ),
    min_size=1,
    max_size=5,
)


class BatchTests(SynchronousTestCase):
    """
    Tests for C{batchIn}.
    """

    def refusal(self, *lines: str | bytes, uri: bytes = b"/") -> Refused:
        """
        @return: the reason why a batch is refused.
        """
        body = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        return self.assertRaises(Refused, list, batchIn(uri, body))

    @given(BATCHES, st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n \t\n"]))
    def test_roundTrip(
        self, batch: list[tuple[Any, dict[str, Any]]], ascii: bool, separator: str
    ) -> None:
        """
        Every batch arrives as it was sent: text unchanged, anything else as JSON.
        """
        lines = [json.dumps({"data": data, **fields}, ensure_ascii=ascii) for data, fields in batch]
        body = separator.join(lines).encode()
        items = list(batchIn(b"/", body))
        self.assertEqual(len(items), len(batch))
        for (event, topics), (data, fields) in zip(items, batch, strict=True):
            if isinstance(data, str):
                self.assertEqual(event.data, data)
            else:
                assert event.data is not None
                self.assertEqual(json.loads(event.data), data)
            identifier = fields.get("id")
            self.assertEqual(event.event, fields.get("event"))
            self.assertEqual(event.id, None if identifier is None else str(identifier))
            self.assertEqual(event.retry, fields.get("retry"))
            self.assertEqual(list(topics), fields.get("topics") or [])

    def test_lineEnds(self) -> None:
        """
        Only LF ends a line, and lines of white space are skipped, but counted.
        """
        body = '\n{"data":"a\u2028b\u0085c"}\r\n \t\r\n{"data":"d"}'.encode()
        items = list(batchIn(b"/", body))
        self.assertEqual([event.data for event, _ in items], ["a\u2028b\u0085c", "d"])
        self.assertEqual(self.refusal("", "", "{").more, {"line": 3})

    def test_refused(self) -> None:
        """
        A line that is not an event is named, with the reason.
        """
        for line, why in (
            ("{", "this is not JSON"),
            ('{"data":"a"}{"data":"b"}', "this is not JSON: Extra data at character 13"),
            ("7", "it must be an object"),
            ('["data"]', "it must be an object"),
            ("{}", "data is missing"),
            ('{"event":"e"}', "data is missing"),
            (
                '{"data":"","evnt":""}',
                "unknown field 'evnt': the fields are data, event, id, retry, topics",
            ),
            ('{"data":"","comment":""}', "unknown field 'comment'"),
            ('{"data":"","topics":"user:7"}', "topics must be a list"),
            ('{"data":"","topics":[7]}', "topics must be a list"),
            ('{"data":"","topics":[""]}', "topics must be a list"),
            ('{"data":"","topics":{"a":1}}', "topics must be a list"),
            ('{"data":"","id":"1\\n2"}', "CR or LF"),
            ('{"data":"","id":"1\\u00002"}', "NUL"),
            ('{"data":"","id":""}', "id is empty"),
            ('{"data":"","id":1.5}', "id must be a str"),
            ('{"data":"","id":true}', "id must be a str"),
            ('{"data":"","event":""}', "event is empty"),
            ('{"data":"","event":7}', "event must be a str"),
            ('{"data":"","retry":"7"}', "retry must be"),
            ('{"data":"","retry":-1}', "retry must be"),
            (f'{{"data":"","retry":{2**64}}}', "retry is too large"),
            ('{"data":"\\ud800"}', "lone surrogate"),
            ('{"data":"a","topics":["b","\\ud800"]}', "lone surrogate"),
            ('{"data":NaN}', "NaN is not a number"),
            ('{"data":-Infinity}', "-Infinity is not a number"),
            ('{"data":1e999}', "cannot be written as JSON"),
            ('{"data":"a","data":"b"}', "an object has the name 'data' twice"),
            ('{"data":{"a":1,"a":2}}', "an object has the name 'a' twice"),
            (f'{{"data":{"1" * 5000}}}', "this is not JSON"),
            (f'{{"data":{"[" * 100000}{"]" * 100000}}}', "nested too deeply"),
            (b'{"data":"\xff"}', "byte 10 of the text is not UTF-8"),
        ):
            refused = self.refusal('{"data":"fine"}', line)
            self.assertEqual((refused.status, refused.more), (400, {"line": 2}), line[:80])
            self.assertTrue(
                str(refused).startswith(f"line 2: {why}") or why in str(refused), refused
            )
            self.assertIn("; nothing was published", str(refused))
            self.assertTrue(len(str(refused)) < 300, refused)

    def test_empty(self) -> None:
        """
        A batch without events is refused.
        """
        for body in ("", "\n", " \r\n\n"):
            self.assertIn("the batch is empty", str(self.refusal(body)))

    def test_query(self) -> None:
        """
        Fields in the query are refused, since they would belong to no event of a batch.
        """
        for query, why in ((b"topic=a", "topics"), (b"event=e", "event"), (b"x=1", "'x'")):
            refused = self.refusal('{"data":""}', uri=b"/?" + query)
            self.assertIn(why, str(refused))
            self.assertEqual(refused.status, 400)

    def test_most(self) -> None:
        """
        A batch has at most the number of events that can be published at once.
        """
        line = '{"data":""}'
        body = "\n".join([line] * MOST_EVENTS).encode()
        self.assertEqual(len(list(batchIn(b"/", body))), MOST_EVENTS)
        self.assertEqual(self.refusal(*[line] * (MOST_EVENTS + 1)).status, 413)


class EventTests(SynchronousTestCase):
    """
    Tests for C{eventIn}.
    """

    def test_text(self) -> None:
        """
        Text is used as data unchanged, including a byte order mark.
        """
        body = "\ufeffa\x00\r\n\u2028".encode()
        self.assertEqual(eventIn(b"/", b"text/plain", body), Item(Event(body.decode()), ()))

    def test_json(self) -> None:
        """
        JSON is sent as JSON, including strings.
        """
        kind = typeOf(b"application/json", None)
        for sent, data in ((b'"a"', '"a"'), (b" null ", "null"), (b"[1.0, 1e2]", "[1.0,100.0]")):
            item = eventIn(b"/?topic=t", kind, sent)
            self.assertEqual((item.event.data, item.topics), (data, ["t"]))

    def test_longID(self) -> None:
        """
        An ID that no client could send back is refused, on any channel.
        """
        longest = b"x" * LONGEST_ID
        self.assertEqual(eventIn(b"/?id=" + longest, b"text/plain", b"").event.id, longest.decode())
        refused = self.assertRaises(Refused, eventIn, b"/?id=x" + longest, b"text/plain", b"")
        self.assertIn("id is longer than", str(refused))


class TypeTests(SynchronousTestCase):
    """
    Tests for C{typeOf}.
    """

    def test_batch(self) -> None:
        """
        The types of JSON lines are batches, and others are not.
        """
        for name in (
            b"application/x-ndjson",
            b"Application/NDJSON ;charset=utf-8",
            b"application/jsonl",
        ):
            self.assertTrue(isBatch(typeOf(name, None)), name)
        for name in (None, b"", b"text/plain", b"application/json", b"APPLICATION/JSON;x=y"):
            self.assertFalse(isBatch(typeOf(name, b"identity")), name)

    def test_refused(self) -> None:
        """
        Other types, charsets and codings are refused.
        """
        for name, coding in (
            (b"text/csv", None),
            (b"multipart/form-data; boundary=x", None),
            (b'text/plain; charset="iso-8859-1"', None),
            (b"application/json;charset=utf-16", None),
            (b"text/plain", b"gzip"),
            (b"text/plain", b"br, identity"),
        ):
            self.assertEqual(self.assertRaises(Refused, typeOf, name, coding).status, 415, name)
        for name in (b'text/plain; charset="UTF-8"', b"text/plain;charset=us-ascii"):
            self.assertEqual(typeOf(name, b""), b"text/plain")
