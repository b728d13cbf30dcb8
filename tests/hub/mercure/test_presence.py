"""
Tests for L{twisted_sse.hub.mercure.presence}: which subscribers are reported, and in what number.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.hubs import KEY, PATH, HubCase, token
from tests.support.quiet_clock import QuietClock
from twisted_sse import EventStream
from twisted_sse.hub.mercure import presence
from twisted_sse.hub.mercure.presence import ROUND
from twisted_sse.testing import MemoryStream
from twisted_sse.timing.slices import SLICE

EVERYBODY = f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}"
ADMIN = {"Authorization": f"Bearer {token({'mercure': {'subscribe': ['*']}})}"}


def isGranted(topic: str, subscriber: dict[str, Any]) -> bool:
    """
    Show only subscribers whose tokens grant their selection.
    """
    granted: bool = subscriber["granted"]
    return granted


class VisibleTests(HubCase):
    """
    Tests for C{visible}.
    """

    def join(self, query: str, *granted: str, **claims: Any) -> MemoryStream:
        """
        Subscribe with a token that grants some topics.
        """
        made = token({"mercure": {"subscribe": list(granted), "payload": "ada"}, **claims})
        return self.get(query, {"Authorization": f"Bearer {made}"}.items())

    def told(self, watcher: MemoryStream) -> list[tuple[str, bool]]:
        """
        @return: the subscriptions reported to a watcher, and whether they are active.
        """
        said = [json.loads(event.data) for event in watcher.events]
        return [(each["topic"], each["active"]) for each in said if PATH not in each["topic"]]

    def listed(self) -> list[str]:
        """
        @return: the listed subscriptions.
        """
        answer = self.client.get(f"{PATH}/subscriptions", ADMIN)
        listed = json.loads(answer.body)["subscriptions"]
        return [each["topic"] for each in listed if PATH not in each["topic"]]

    def test_all(self) -> None:
        """
        By default all of a subscriber's selection is reported, as in the protocol.
        """
        self.serve(presence=True)
        watcher = self.get(EVERYBODY, ADMIN.items())
        self.join("topic=room/1&topic=room/2", "room/1")
        self.get("topic=room/3")
        self.assertEqual(self.listed(), ["room/1", "room/2", "room/3"])
        self.assertEqual([topic for topic, _ in self.told(watcher)], self.listed())

    def test_granted(self) -> None:
        """
        An application can hide selections that a subscriber's token does not grant: at the start,
        in the list, on a new selection, and at the end.
        """
        self.serve(presence=True, visible=isGranted)
        watcher = self.get(EVERYBODY, ADMIN.items())
        ada = self.join(
            "topic=room/1&topic=room/2&topic=hall/{id}", "room/1", "hall/{id}", "room/4"
        )
        bob = self.join("topic=room/2&topic=*", "*")
        stranger = self.get("topic=room/1")
        self.assertEqual(self.listed(), ["room/1", "hall/{id}", "room/2", "*"])
        self.assertEqual([topic for topic, _ in self.told(watcher)], self.listed())
        [first, *_] = [json.loads(event.data) for event in watcher.events]
        self.hub.select(first["subscriber"], ["room/1", "room/3", "room/4"])
        self.clock.settle()
        changes = self.told(watcher)[4:]
        self.assertEqual(changes, [("hall/{id}", False), ("room/4", True)])
        self.assertEqual(self.listed(), ["room/1", "room/4", "room/2", "*"])
        for stream in ada, bob, stranger:
            stream.disconnect()
        gone = self.told(watcher)[6:]
        self.assertEqual(
            gone, [("room/1", False), ("room/4", False), ("room/2", False), ("*", False)]
        )
        self.assertEqual(self.listed(), [])

    def test_told(self) -> None:
        """
        The application receives the identity of the subscriber, once for each selector; its
        decision holds until the end.
        """
        asked: list[tuple[str, dict[str, Any]]] = []
        isVisible = True

        def decide(topic: str, subscriber: dict[str, Any]) -> bool:
            asked.append((topic, subscriber))
            return isVisible

        self.serve(presence=True, visible=decide)
        watcher = self.get(EVERYBODY, ADMIN.items())
        asked.clear()
        ada = self.join("topic=a&topic=b", "b", sub="ada", jti="1", exp=2**33)
        isVisible = False
        self.listed()
        [(_, first), (_, second)] = asked
        self.assertEqual([topic for topic, _ in asked], ["a", "b"])
        self.assertEqual([first["granted"], second["granted"]], [False, True])
        [_, one] = self.hub.listSubscribers()
        self.assertEqual(first, {**one, "granted": False})
        self.assertEqual((one["sub"], one["jti"], one["topics"]), ("ada", "1", ["a", "b"]))
        ada.disconnect()
        self.assertEqual(self.told(watcher), [("a", True), ("b", True), ("a", False), ("b", False)])

    def test_fails(self) -> None:
        """
        If the application's function fails, the subscriber is served, but not reported.
        """

        def fail(topic: str, subscriber: dict[str, Any]) -> bool:
            raise ZeroDivisionError

        self.serve(presence=True, visible=fail)
        stream = self.join("topic=a", "a")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((stream.status, self.hub.subscribers, self.listed()), (200, 1, []))
        self.successResultOf(self.hub.publish("a", "x", private=True))
        self.clock.settle()
        self.assertEqual([event.data for event in stream.events], ["x"])
        stream.disconnect()
        self.assertEqual(self.hub.subscribers, 0)

    def test_wrong(self) -> None:
        """
        An argument that is not a function, or would never be called, is refused.
        """
        for options in (
            {"visible": isGranted},
            {"presence": True, "visible": True},
            {"presence": True, "visible": "granted"},
        ):
            self.assertRaises(TypeError, self.serve, **options)

    def test_payload(self) -> None:
        """
        In 1.0 a token's payload is only reported where the token grants the selection.
        """
        hub = f"https://hub.example{PATH}"
        self.serve(
            presence=True,
            trustedIssuers=[f"https://a.example={KEY}"],
            resourceIdentifier=hub,
            url=hub,
        )
        claims = {
            "iss": "https://a.example",
            "aud": hub,
            "exp": 2**33,
            "authorization_details": [
                {
                    "type": "https://mercure.rocks/authorization-detail",
                    "actions": ["subscribe"],
                    "topics": [{"match": "room/1"}],
                    "payload": {"name": "ada"},
                }
            ],
        }
        bearer = {"Authorization": f"Bearer {token(claims, typ='at+jwt')}"}
        self.get("match=room/1&match=room/2", bearer.items())
        answer = self.client.get(f"{PATH}/subscriptions", ADMIN)
        listed = json.loads(answer.body)["subscriptions"]
        self.assertEqual([each.get("payload") for each in listed], [{"name": "ada"}, None], listed)


class PresenceTests(HubCase):
    """
    Tests for L{Presence}.
    """

    clock: QuietClock
    makeClock = QuietClock

    #: The duration of one notification, in seconds.
    COST = 0.001

    def begin(self, count: int) -> list[MemoryStream]:
        """
        Make a hub, and its watchers.
        """
        self.serve(presence=True)
        self.clock.quiet = False
        watchers = [self.subscribe(EVERYBODY) for _ in range(count)]
        placeOf = self.channel.placeOf

        def slow(stream: EventStream) -> str:
            self.clock.rightNow += self.COST
            return placeOf(stream)

        self.patch(self.channel, "placeOf", slow)
        self.clock.quiet = True
        return watchers

    def subscribe(self, query: str) -> MemoryStream:
        """
        Subscribe, with a token that grants everything.
        """
        return self.get(query, ADMIN.items())

    def turns(self) -> float:
        """
        Run turns until everything is reported.

        @return: the duration of the longest turn, in seconds.
        """
        self.clock.quiet = False
        longest = 0.0
        while self.hub._presence._telling is not None:  # type: ignore[union-attr]
            before = self.clock.rightNow
            self.clock._turn()
            longest = max(longest, self.clock.rightNow - before)
        self.clock.settle()
        return longest

    def told(self, watcher: MemoryStream) -> list[tuple[str, bool]]:
        """
        @return: the events that a watcher received, except those about other watchers.
        """
        all: list[Any] = [json.loads(event.data) for event in watcher.events]
        return [(each["topic"], each["active"]) for each in all if PATH not in each["topic"]]

    def test_granted(self) -> None:
        """
        A watcher receives only what its token grants, whatever it has selected.
        """
        self.serve(presence=True)
        self.clock.quiet = False
        watched = f"{PATH}/subscriptions/news/{{subscriber}}"
        watchers = [
            self.get(
                query,
                {"Authorization": f"Bearer {token({'mercure': {'subscribe': [granted]}})}"}.items(),
            )
            for granted in ("news", watched)
            for query in (EVERYBODY, "topic=*")
        ]
        for topic in ("news", "secret"):
            self.get(f"topic={topic}").disconnect()
        told = [self.told(each) for each in watchers]
        self.assertEqual(told, [[], [], *[[("news", True), ("news", False)]] * 2])

    def test_later(self) -> None:
        """
        A watcher receives notices of later subscribers, even if notices of others are still
        pending.
        """
        [first] = self.begin(1)
        self.subscribe("topic=before")
        second = self.subscribe(EVERYBODY)
        self.subscribe("topic=after")
        self.turns()
        self.assertEqual(self.told(first), [("before", True), ("after", True)])
        self.assertEqual(self.told(second), [("after", True)])

    def test_slices(self) -> None:
        """
        Many notices are sent in slices, all in one order; a watcher that connects meanwhile
        receives only later ones, and one that disconnects does not affect the others.
        """
        watchers = self.begin(120)
        start = self.clock.rightNow
        comes = self.subscribe("topic=a")
        self.clock._turn()
        self.assertLessEqual(self.clock.rightNow - start, SLICE + ROUND * self.COST)
        late = self.subscribe(EVERYBODY)
        self.subscribe("topic=b")
        comes.disconnect()
        watchers.pop(100).disconnect()
        self.assertLessEqual(self.turns(), SLICE + ROUND * self.COST)
        for watcher in watchers:
            self.assertEqual(self.told(watcher), [("a", True), ("b", True), ("a", False)])
        self.assertEqual(self.told(late), [("b", True), ("a", False)])

    def test_comingAndGoing(self) -> None:
        """
        Subscribers that disconnected before their notice was sent are not reported, so that they
        take no memory, whatever their number; all others are reported once.
        """
        watchers = self.begin(60)
        first = self.subscribe("topic=first")
        self.clock._turn()
        hubs: Any = self.hub._presence
        stay = []
        for number in range(200):
            self.subscribe("topic=x&topic=y").disconnect()
            if number % 40 == 0:
                stay.append(self.subscribe(f"topic={number}"))
                if number == 80:
                    first.disconnect()
            self.assertLess(len(hubs._news), 10)
        self.turns()
        stay[0].disconnect()
        self.turns()
        came = [(f"{number}", True) for number in range(0, 200, 40)]
        expected = [("first", True), *came[:3], ("first", False), *came[3:], ("0", False)]
        for watcher in watchers:
            self.assertEqual(self.told(watcher), expected)

    def test_listed(self) -> None:
        """
        If a subscriber disconnected before its notice was sent, but was in a list, it is reported.
        """
        [watcher, *_] = self.begin(60)
        self.subscribe("topic=first")
        self.clock._turn()
        unseen, seen = self.subscribe("topic=unseen"), self.subscribe("topic=seen")
        unseen.disconnect()
        answer = self.client.request("GET", f"{PATH}/subscriptions", ADMIN)
        seen.disconnect()
        self.subscribe("topic=later").disconnect()
        self.turns()
        self.assertIn("seen", answer.text)
        expected = [("first", True), ("seen", True), ("seen", False)]
        self.assertEqual(self.told(watcher), expected)

    def test_together(self) -> None:
        """
        Notices of all subscribers of one reactor turn are sent to each watcher in one write.
        """
        watchers = self.begin(5)
        written: list[int] = []

        def sendToAll(responses: Any, batch: Any, now: float) -> None:
            written.append(len(batch.encoded) * len(responses))
            real(responses, batch, now)

        real = presence.sendToAll
        self.patch(presence, "sendToAll", sendToAll)
        for number in range(20):
            self.subscribe(f"topic={number}")
        self.assertEqual(written, [])
        self.turns()
        self.assertEqual(written, [5 * 20])
        for watcher in watchers:
            self.assertEqual(self.told(watcher), [(f"{number}", True) for number in range(20)])

    def test_changed(self) -> None:
        """
        If a subscriber changes its selection before the notice was sent, only the new selection is
        reported, unless the old one was in a list.
        """
        [watcher, *_] = self.begin(60)
        self.subscribe("topic=first")
        self.clock._turn()
        self.subscribe("topic=before")
        [subscriber] = [
            each["id"] for each in self.hub.listSubscribers() if each["topics"] == ["before"]
        ]
        self.successResultOf(self.hub.select(subscriber, ["after"]))
        self.turns()
        self.assertEqual(self.told(watcher), [("first", True), ("after", True)])
        self.successResultOf(self.hub.select(subscriber, ["after", "more"]))
        self.successResultOf(self.hub.select(subscriber, ["more"]))
        self.turns()
        self.assertEqual(self.told(watcher)[2:], [("more", True), ("after", False)])
        self.clock.quiet = True
        self.subscribe("topic=second")
        self.clock._turn()
        self.subscribe("topic=listed")
        self.client.request("GET", f"{PATH}/subscriptions", ADMIN)
        [listed] = [
            each["id"] for each in self.hub.listSubscribers() if each["topics"] == ["listed"]
        ]
        self.successResultOf(self.hub.select(listed, ["now"]))
        self.turns()
        expected = [("second", True), ("listed", True), ("listed", False), ("now", True)]
        self.assertEqual(self.told(watcher)[4:], expected)
