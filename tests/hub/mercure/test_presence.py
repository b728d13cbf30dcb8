"""
Tests for L{twisted_sse.hub.mercure.presence}: telling many, and of many.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.hubs import PATH, HubCase, token
from tests.support.quiet_clock import QuietClock
from twisted_sse import EventStream
from twisted_sse.hub.mercure import presence
from twisted_sse.hub.mercure.presence import ROUND
from twisted_sse.testing import MemoryStream
from twisted_sse.timing.slices import SLICE

WATCHING = f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}"
HEADERS = {"Authorization": f"Bearer {token({'mercure': {'subscribe': ['*']}})}"}


class PresenceTests(HubCase):
    """
    Tests for L{Presence}.
    """

    clock: QuietClock
    makeClock = QuietClock

    #: How long it takes to tell somebody something, in seconds.
    COST = 0.001

    def begin(self, count: int) -> list[MemoryStream]:
        """
        Make a hub, and those who watch.
        """
        self.serve(presence=True)
        self.clock.quiet = False
        watchers = [self.subscribe(WATCHING) for _ in range(count)]
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
        return self.get(query, HEADERS.items())

    def turns(self) -> float:
        """
        Run turns until everything is told.

        @return: how long the longest took, in seconds.
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
        @return: what a watcher was told, but of other watchers.
        """
        all: list[Any] = [json.loads(event.data) for event in watcher.events]
        return [(each["topic"], each["active"]) for each in all if PATH not in each["topic"]]

    def test_slices(self) -> None:
        """
        Many are told in slices, everything in one order; who comes meanwhile is told only of what
        comes later, and who leaves disturbs nobody.
        """
        watchers = self.begin(120)
        start = self.clock.rightNow
        comes = self.subscribe("topic=a")
        self.clock._turn()
        self.assertLessEqual(self.clock.rightNow - start, SLICE + ROUND * self.COST)
        late = self.subscribe(WATCHING)
        self.subscribe("topic=b")
        comes.disconnect()
        watchers.pop(100).disconnect()
        self.assertLessEqual(self.turns(), SLICE + ROUND * self.COST)
        for watcher in watchers:
            self.assertEqual(self.told(watcher), [("a", True), ("b", True), ("a", False)])
        self.assertEqual(self.told(late), [("b", True), ("a", False)])

    def test_comingAndGoing(self) -> None:
        """
        Of those who have gone before anybody was told of them nobody is told, so that they take no
        memory, however many they are; of all others everybody is told, once.
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
        If somebody has left before anybody was told of it, but was in a list, everybody is told.
        """
        [watcher, *_] = self.begin(60)
        self.subscribe("topic=first")
        self.clock._turn()
        unseen, seen = self.subscribe("topic=unseen"), self.subscribe("topic=seen")
        unseen.disconnect()
        answer = self.client.request("GET", f"{PATH}/subscriptions", HEADERS)
        seen.disconnect()
        self.subscribe("topic=later").disconnect()
        self.turns()
        self.assertIn("seen", answer.text)
        expected = [("first", True), ("seen", True), ("seen", False)]
        self.assertEqual(self.told(watcher), expected)

    def test_together(self) -> None:
        """
        Of those who come in one turn of the reactor all are told in one write each.
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
        If somebody selects something else before anybody was told of it, everybody is told of that
        alone; unless it was in a list.
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
        self.client.request("GET", f"{PATH}/subscriptions", HEADERS)
        [listed] = [
            each["id"] for each in self.hub.listSubscribers() if each["topics"] == ["listed"]
        ]
        self.successResultOf(self.hub.select(listed, ["now"]))
        self.turns()
        expected = [("second", True), ("listed", True), ("listed", False), ("now", True)]
        self.assertEqual(self.told(watcher)[4:], expected)
