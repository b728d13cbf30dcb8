"""
Tests for L{twisted_sse.hub.mercure.claims}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.mercure.claims import (
    DETAIL,
    Granted,
    granted0,
    granted1,
    registered,
)
from twisted_sse.hub.mercure.unverified import Reason, Unverified

BASE = "https://hub.example/.well-known/mercure"
TOPIC = "https://example.com/t"


def detail(**changes: Any) -> dict[str, Any]:
    """
    @return: an object of C{authorization_details}; a change to C{...} leaves the member out.
    """
    members = {
        "type": DETAIL,
        "actions": ["publish", "subscribe"],
        "topics": [{"match": TOPIC}],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not ...}


def texts(granted: Granted) -> tuple[list[str], list[str]]:
    """
    @return: the texts of the selectors for publishing and for subscribing.
    """
    return [each.text for each in granted.publish], [each.text for each in granted.subscribe]


class DetailsTests(SynchronousTestCase):
    """
    Tests for L{granted1}.
    """

    def granted(self, *details: Any) -> Granted:
        """
        Read details.
        """
        return granted1({"authorization_details": list(details)}, BASE)

    def assertWrong(self, claims: dict[str, Any], *said: str) -> None:
        """
        Check that the claims have an error, and that the message names its place.
        """
        error = self.assertRaises(Unverified, granted1, claims, BASE)
        self.assertEqual(error.reason, Reason.CLAIMS)
        for each in said:
            self.assertIn(each, str(error))

    def test_actions(self) -> None:
        """
        Each action grants the topics it names; unknown actions grant nothing.
        """
        for actions, publishes, subscribes in (
            (["publish"], True, False),
            (["subscribe"], False, True),
            (["subscribe", "publish", "subscribe"], True, True),
            (["Publish", "SUBSCRIBE", "publish "], False, False),
            (["delete", "publish"], True, False),
            ([""], False, False),
        ):
            granted = texts(self.granted(detail(actions=actions)))
            self.assertEqual(granted, ([TOPIC] * publishes, [TOPIC] * subscribes), actions)

    def test_union(self) -> None:
        """
        A token grants everything that its details grant, each with its own actions.
        """
        granted = self.granted(
            detail(actions=["publish"], topics=[{"match": "a"}, {"match": "b"}]),
            detail(actions=["subscribe"], topics=[{"match": "c"}]),
        )
        self.assertEqual(texts(granted), (["a", "b"], ["c"]))

    def test_nothing(self) -> None:
        """
        Without details a token is valid, and grants nothing.
        """
        self.assertEqual(texts(granted1({}, BASE)), ([], []))
        self.assertEqual(texts(self.granted()), ([], []))

    def test_otherTypes(self) -> None:
        """
        Details of other types belong to other APIs, and are skipped, whatever their content.
        """
        for kind in (..., None, 1, "", DETAIL + "/", DETAIL.upper(), "payment"):
            granted = self.granted(detail(type=kind, actions=1, topics=None), detail())
            self.assertEqual(texts(granted), ([TOPIC], [TOPIC]), kind)

    def test_kinds(self) -> None:
        """
        A topic is matched exactly, unless it is declared as a pattern.
        """
        granted = self.granted(
            detail(
                actions=["publish"],
                topics=[
                    {"match": "a"},
                    {"match": "b", "match_type": "exact"},
                    {"match": "/c/:id", "match_type": "urlpattern"},
                    {"match": "*", "more": 1},
                ],
            )
        )
        self.assertEqual(
            [(each.kind, each.text) for each in granted.publish],
            [("exact", "a"), ("exact", "b"), ("urlpattern", "/c/:id"), ("exact", "*")],
        )

    def test_defects(self) -> None:
        """
        An error in one detail makes the whole token invalid, and the message names its place.
        """
        for changes, where in (
            ({"actions": ...}, "actions"),
            ({"actions": None}, "actions"),
            ({"actions": "publish"}, "actions"),
            ({"actions": []}, "actions"),
            ({"actions": {"publish": True}}, "actions"),
            ({"actions": ["publish", 1]}, "actions"),
            ({"actions": ["publish", None]}, "actions"),
            ({"topics": ...}, "topics"),
            ({"topics": None}, "topics"),
            ({"topics": []}, "without a topic"),
            ({"topics": "*"}, "topics"),
            ({"topics": {"match": "*"}}, "topics"),
            ({"topics": ["*"]}, "topics[0]"),
            ({"topics": [{"match": "a"}, "*"]}, "topics[1]"),
            ({"topics": [None]}, "topics[0]"),
            ({"topics": [{}]}, "topics[0].match"),
            ({"topics": [{"match": None}]}, "topics[0].match"),
            ({"topics": [{"match": 1}]}, "topics[0].match"),
            ({"topics": [{"match": ["a"]}]}, "topics[0].match"),
            ({"topics": [{"match": ""}]}, "topics[0].match"),
            ({"topics": [{"Match": "a"}]}, "topics[0].match"),
            ({"topics": [{"match": "a", "match_type": None}]}, "topics[0].match_type"),
            ({"topics": [{"match": "a", "match_type": 1}]}, "topics[0].match_type"),
            ({"topics": [{"match": "a", "match_type": "Exact"}]}, "topics[0]"),
            ({"topics": [{"match": "a", "match_type": ""}]}, "topics[0]"),
            ({"topics": [{"match": "a", "match_type": "regexp"}]}, "topics[0]"),
            ({"payload": None}, "payload"),
            ({"payload": "x"}, "payload"),
            ({"payload": []}, "payload"),
        ):
            bad = detail(**changes)
            self.assertWrong({"authorization_details": [bad]}, "authorization_details[0]", where)
            self.assertWrong(
                {"authorization_details": [detail(), bad, detail()]}, "authorization_details[1]"
            )

    def test_noArray(self) -> None:
        """
        The details must be an array of objects.
        """
        for value in (None, {}, detail(), "[]", 1, True):
            self.assertWrong({"authorization_details": value}, "not an array")
        for value in (None, DETAIL, 1, [detail()]):
            self.assertWrong({"authorization_details": [detail(), value]}, "details[1]")

    def test_limits(self) -> None:
        """
        There are at most 100 details, with at most 100 topics together.
        """
        granted = self.granted(*[detail(topics=[{"match": str(n)}]) for n in range(100)])
        self.assertEqual(len(granted.publish), 100)
        self.assertWrong({"authorization_details": [{}] * 101}, "at most 100")
        half = detail(topics=[{"match": "a"}] * 50)
        self.granted(half, half)
        self.assertWrong({"authorization_details": [half, half, detail()]}, "more than 100")

    def test_payloads(self) -> None:
        """
        A payload belongs to the topics of its own detail, in order, if that grants subscribing.  The
        first detail that matches counts, even if it has no payload.
        """
        granted = self.granted(
            detail(actions=["publish"], payload={"n": 0}),
            detail(topics=[{"match": "a"}], payload={"n": 1}),
            detail(topics=[{"match": "b"}]),
            detail(topics=[{"match": "*"}], payload={}),
        )
        found = [([each.text for each in own or ()], payload) for own, payload in granted.payloads]
        self.assertEqual(found, [(["a"], {"n": 1}), (["b"], None), (["*"], {})])
        self.assertEqual(self.granted(detail(), detail()).payloads, ())


class ClaimTests(SynchronousTestCase):
    """
    Tests for L{granted0}.  Observations of a hub are tested with L{Verifier}.
    """

    def test_types(self) -> None:
        """
        A claim of the wrong type makes the token invalid; a null claim counts as missing.
        """
        for claims in (
            {"mercure": []},
            {"mercure": False},
            {"mercure": 0},
            {"mercure": ""},
            {"https://mercure.rocks/": []},
            {"https://mercure.rocks/": "", "mercure": {}},
            {"mercure": {"publish": {}}},
            {"mercure": {"publish": ""}},
            {"mercure": {"subscribe": 0}},
            {"mercure": {"subscribe": ["a", ["b"]]}},
            {"mercure": {"subscribe": [True]}},
        ):
            error = self.assertRaises(Unverified, granted0, claims)
            self.assertEqual(error.reason, Reason.CLAIMS)
        for claims in (
            {"mercure": None},
            {"mercure": {"publish": None, "subscribe": None, "payload": None}},
        ):
            self.assertEqual(granted0(claims), Granted((), (), ()))

    def test_namespaced(self) -> None:
        """
        Of the two names of the claim the URL takes precedence; the other one is then ignored.
        """
        claims = {"https://mercure.rocks/": {"publish": ["a"]}, "mercure": {"publish": ["b"]}}
        self.assertEqual(texts(granted0(claims)), (["a"], []))
        claims = {"https://mercure.rocks/": {}, "mercure": {"publish": ["b"]}}
        self.assertEqual(texts(granted0(claims)), ([], []))
        nothing = {"https://mercure.rocks/": None, "mercure": {"publish": ["b"]}}
        self.assertEqual(texts(granted0(nothing)), (["b"], []))

    def test_limit(self) -> None:
        """
        A list has at most 1,000 selectors.
        """
        granted0({"mercure": {"publish": ["a"] * 1000}})
        for name in ("publish", "subscribe"):
            self.assertRaises(Unverified, granted0, {"mercure": {name: ["a"] * 1001}})

    def test_payload(self) -> None:
        """
        The payload may be any value, including a false one.
        """
        for payload in ("x", 0, False, [], {}, {"a": [1]}):
            granted = granted0({"mercure": {"payload": payload}})
            self.assertEqual(granted.payloads, ((None, payload),))


class RegisteredTests(SynchronousTestCase):
    """
    Tests for L{registered}.
    """

    def test_types(self) -> None:
        """
        A registered claim of the wrong type makes a token of either dialect invalid.
        """
        for name in ("iss", "sub", "jti", "aud"):
            for value in (1, True, {}, ["a", 1], [None]):
                for isStrict in (False, True):
                    claims = {"exp": 1, name: value}
                    self.assertRaises(Unverified, registered, claims, isStrict)

    def test_mustEnd(self) -> None:
        """
        A token of 1.0 must have an expiry; one of 0.x may have none.
        """
        error = self.assertRaises(Unverified, registered, {}, True)
        self.assertIn("exp", str(error))
        self.assertIsNone(registered({}, False).expires)
