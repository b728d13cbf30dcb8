"""
Tests for L{twisted_sse.hub.query}.
"""

from __future__ import annotations

from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.query import fieldsIn, parameters, topicsIn
from twisted_sse.hub.refused import Refused

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


class ParameterTests(SynchronousTestCase):
    """
    Tests for C{parameters}.
    """

    def test_standard(self) -> None:
        """
        A query is parsed as the URL standard says: only C{&} separates, C{+} is a space, a C{%} that
        begins no escape stays, and what has no C{=} has an empty value.
        """
        for query, expected in (
            (b"", []),
            (b"&&", []),
            (b"a", [("a", "")]),
            (b"a=b=c", [("a", "b=c")]),
            (b"=", [("", "")]),
            (b"a=1;b=2", [("a", "1;b=2")]),
            (b"a+b=c+d%2B", [("a b", "c d+")]),
            (b"a=%", [("a", "%")]),
            (b"a=%zz%4", [("a", "%zz%4")]),
            (b"%61=%E2%82%AC", [("a", "\u20ac")]),
            (b"a=1&a=2&A=3", [("a", "1"), ("a", "2"), ("A", "3")]),
            (b"a=1?b=2", [("a", "1?b=2")]),
        ):
            self.assertEqual(list(parameters(b"/path?" + query)), expected, query)
        self.assertEqual(list(parameters(b"/a=b&c=d")), [])

    @given(st.lists(st.tuples(TEXT, TEXT)))
    def test_roundTrip(self, pairs: list[tuple[str, str]]) -> None:
        """
        What was encoded comes back.
        """
        query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
        self.assertEqual(list(parameters(b"/?" + query.encode())), pairs)

    def test_notUTF8(self) -> None:
        """
        What is not UTF-8 is refused, not replaced.
        """
        for query in (b"a=%ff", b"%ff=a", b"a=\xff"):
            refused = self.assertRaises(Refused, list, parameters(b"/?" + query))
            self.assertEqual(refused.status, 400)


class FieldTests(SynchronousTestCase):
    """
    Tests for C{fieldsIn}.
    """

    def test_fields(self) -> None:
        """
        C{topic} may be there several times.
        """
        self.assertEqual(fieldsIn(b"/"), {})
        self.assertEqual(
            fieldsIn(b"/?topic=a+b&event=e&retry=010&topic=a%26&id=%201"),
            {"topics": ["a b", "a&"], "event": "e", "retry": 10, "id": " 1"},
        )

    def test_refused(self) -> None:
        """
        What is unknown, given twice or empty would be lost, and is refused by name.
        """
        for query, why in (
            (b"topics=a", "'topics': there are event, id, retry, topic"),
            (b"Event=a", "'Event'"),
            (b"data=a", "'data'"),
            (b"lastEventID=a", "'lastEventID'"),
            (b"=a", "''"),
            (b"event=a&event=a", "event is twice"),
            (b"id=1&id=2", "id is twice"),
            (b"retry=1&retry=1", "retry is twice"),
            (b"event", "event in the query of the URL is empty"),
            (b"topic=a&topic=", "topic in the query of the URL is empty"),
            (b"id=", "id in the query of the URL is empty"),
            (b"retry=1.5", "retry must be"),
            (b"retry=-1", "retry must be"),
            (b"retry=%C2%B2", "retry must be"),
            (b"retry=" + b"9" * 5000, "retry must be"),
            (b"x" * 5000 + b"=1", "xxx'"),
        ):
            refused = self.assertRaises(Refused, fieldsIn, b"/?" + query)
            self.assertEqual(refused.status, 400)
            self.assertIn(why, str(refused))
            self.assertTrue(len(str(refused)) < 200)


class TopicTests(SynchronousTestCase):
    """
    Tests for C{topicsIn}.
    """

    def test_topics(self) -> None:
        """
        Each C{topic} is one; none of them means all; other parameters do not count.
        """
        self.assertEqual(topicsIn(b"/?topic=a&lastEventId=7&topic=b&_=1&r=x"), ["a", "b"])
        for query in (b"", b"?", b"?lastEventId=7"):
            self.assertEqual(topicsIn(b"/" + query), None)

    def test_refused(self) -> None:
        """
        What would be taken for all topics by mistake is refused.
        """
        for query in (b"topic=", b"topic", b"topic=a&topic=", b"topics=a", b"Topic=a", b"TOPICS=a"):
            refused = self.assertRaises(Refused, topicsIn, b"/?" + query)
            self.assertIn("topic=..", str(refused))
