"""
Tests for L{twisted_sse.hub.query}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.query import fieldsIn, parameters, topicsIn
from twisted_sse.hub.refused import Refused


class ParameterTests(SynchronousTestCase):
    """
    Tests for C{parameters}.
    """

    def test_query(self) -> None:
        """
        A query begins at the first question mark, and is a form; without one there are no parameters.
        """
        for query, expected in (
            (b"", []),
            (b"a=1&a=2&b+c=d%2B;", [("a", "1"), ("a", "2"), ("b c", "d+;")]),
            (b"a=1?b=2", [("a", "1?b=2")]),
        ):
            self.assertEqual(parameters(b"/path?" + query), expected, query)
        self.assertEqual(parameters(b"/a=b&c=d"), [])

    def test_notUTF8(self) -> None:
        """
        A query that is not UTF-8 is refused, not replaced.
        """
        for query in (b"a=%ff", b"%ff=a", b"a=\xff"):
            refused = self.assertRaises(Refused, parameters, b"/?" + query)
            self.assertEqual(refused.status, 400)


class FieldTests(SynchronousTestCase):
    """
    Tests for C{fieldsIn}.
    """

    def test_fields(self) -> None:
        """
        C{topic} may be repeated.
        """
        self.assertEqual(fieldsIn(b"/"), {})
        self.assertEqual(
            fieldsIn(b"/?topic=a+b&event=e&retry=010&topic=a%26&id=%201"),
            {"topics": ["a b", "a&"], "event": "e", "retry": 10, "id": " 1"},
        )

    def test_refused(self) -> None:
        """
        Unknown, repeated or empty parameters would be lost, and are refused with an error that
        names them.
        """
        for query, why in (
            (b"topics=a", "'topics': the parameters are event, id, retry, topic"),
            (b"Event=a", "'Event'"),
            (b"data=a", "'data'"),
            (b"lastEventID=a", "'lastEventID'"),
            (b"=a", "''"),
            (b"event=a&event=a", "event is in the query of the URL twice"),
            (b"id=1&id=2", "id is in the query of the URL twice"),
            (b"retry=1&retry=1", "retry is in the query of the URL twice"),
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
        Each C{topic} is one topic; without any, all are meant; other parameters do not count.
        """
        self.assertEqual(topicsIn(b"/?topic=a&lastEventId=7&topic=b&_=1&r=x"), ["a", "b"])
        for query in (b"", b"?", b"?lastEventId=7"):
            self.assertEqual(topicsIn(b"/" + query), None)

    def test_refused(self) -> None:
        """
        Parameters that could be mistaken for all topics are refused.
        """
        for query in (b"topic=", b"topic", b"topic=a&topic=", b"topics=a", b"Topic=a", b"TOPICS=a"):
            refused = self.assertRaises(Refused, topicsIn, b"/?" + query)
            self.assertIn("topic=..", str(refused))
