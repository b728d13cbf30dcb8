"""
Tests for L{twisted_sse.hub.mercure}: for any actions of publishers and subscribers, each subscriber
receives the same as from a much simpler hub.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from tests.support.hubs import PATH, HubCase, token
from tests.support.late_store import LateStore
from twisted_sse import History
from twisted_sse.hub.mercure.selectors import Selector, matcher, selector
from twisted_sse.testing import MemoryStream

HUB = f"https://hub.example{PATH}"

TOPICS = ["a", "b", "c", "/x/1", "/x/2", "https://hub.example/x/1", "/y/1", "urn:z"]

#: The selections: of 0.x, and of 1.0.
OLD = [
    ("topic", text)
    for text in (
        *("*", "a", "b", "c", "/x/{id}", "{a}", "/x/1", "{+all}", "urn:{n}", "nothing"),
        "https://hub.example/{a}/{b}",
    )
]
NEW = [("match", "*"), ("match", "a"), ("match_exact", "b"), ("match", "/x/1")]
NEW += [("match_urlpattern", text) for text in ("/x/:id", "*", "urn:*")]

GRANTS = [["*"], ["a"], ["/x/{id}"], ["b", "urn:z"], []]

KINDS = {"match": "exact", "match_exact": "exact", "match_urlpattern": "urlpattern"}


class Published(NamedTuple):
    """
    An update.
    """

    id: str
    topics: list[str]
    private: bool
    data: str


class Subscriber:
    """
    The simpler hub's state of a subscriber.

    @ivar query: its first selection.
    @ivar granted: the topics of private updates that it may read; L{None} if it has no token.
    @ivar expected: the data that it must have received since it connected.
    """

    stream: MemoryStream
    id: str

    def __init__(
        self, number: int, chosen: list[tuple[str, str]], granted: list[str] | None
    ) -> None:
        self.query = "&".join(f"{name}={quote(text, safe='')}" for name, text in chosen)
        self.first = [
            selector(text) if name == "topic" else matcher(KINDS[name], text, HUB)
            for name, text in chosen
        ]
        self.identifier = str(number)
        self.granted = granted
        self.selected: list[Selector] = []
        self.expected: list[str] = []

    def headers(self) -> list[tuple[str, str]]:
        """
        @return: the headers with its token.
        """
        if self.granted is None:
            return []
        claims = {"mercure": {"subscribe": self.granted}, "jti": self.identifier}
        return [("Authorization", f"Bearer {token(claims)}")]

    def wants(self, update: Published) -> bool:
        """
        Whether it receives an update.
        """
        grants = map(selector, self.granted or ())
        if update.private and not _any(grants, update.topics):
            return False
        return _any(self.selected, update.topics)


def _any(selectors: Iterable[Selector], topics: list[str]) -> bool:
    return any(each.matches(topic) for each in selectors for topic in topics)


class ModelTests(HubCase):
    """
    Tests with random steps.
    """

    def settle(self) -> None:
        """
        Let all pending work finish.
        """
        self.clock.pump([0.05] * 12)

    def check(self, *subscribers: Subscriber) -> None:
        """
        Compare the events that subscribers received.
        """
        for each in subscribers:
            # Without presence events.
            sent = [event.data for event in each.stream.events if event.data.isdigit()]
            self.assertEqual(sent, each.expected, (each.query, each.granted))

    def connect(self, subscriber: Subscriber, cursor: str | None) -> None:
        """
        Subscribe, perhaps from an ID on.
        """
        self.settle()
        kept = (
            self.log if self.hasStore else self.log[-len(self.channel.history) or len(self.log) :]
        )
        before = {each["id"] for each in self.hub.listSubscribers()}
        resuming = [] if cursor is None else [("Last-Event-ID", cursor)]
        subscriber.stream = self.get(subscriber.query, [*subscriber.headers(), *resuming])
        self.settle()
        self.assertEqual(subscriber.stream.status, 200, subscriber.query)
        listed = {each["id"] for each in self.hub.listSubscribers()}
        [subscriber.id] = listed - before
        subscriber.selected, subscriber.expected = subscriber.first, []
        if cursor is None:
            return
        ids = [each.id for each in kept]
        missed = kept[ids.index(cursor) + 1 :] if cursor in ids else kept
        subscriber.expected = [each.data for each in missed if subscriber.wants(each)]
        if cursor in ids or cursor == "earliest":
            self.assertEqual(subscriber.stream.headers["Last-Event-ID"], cursor)

    def steps(self, seed: int, count: int, history: History, hasStore: bool) -> None:
        """
        Do something at random, many times.
        """
        chance = random.Random(seed)
        self.hasStore = hasStore
        store = {"store": LateStore} if hasStore else {}
        self.serve(history=history, url=HUB, presence=True, **store)
        self.settle()
        self.log: list[Published] = []
        subscribers: list[Subscriber] = []
        for number in range(count):
            step = chance.random()
            one = chance.choice(subscribers) if subscribers else None
            if step < 0.4:
                topics = chance.sample(TOPICS, chance.randint(1, 3))
                isPrivate = chance.random() < 0.5
                given = f"given{number}" if chance.random() < 0.3 else None
                publishing = self.hub.publish(topics, str(number), private=isPrivate, id=given)
                self.settle()
                update = Published(self.successResultOf(publishing), topics, isPrivate, str(number))
                self.log.append(update)
                for each in subscribers:
                    if each.wants(update):
                        each.expected.append(update.data)
            elif step < 0.65 or one is None:
                isOld = chance.random() < 0.5
                chosen = chance.choices(OLD if isOld else NEW, k=chance.randint(1, 3))
                granted = chance.choice([None, *GRANTS]) if isOld else None
                subscribers.append(Subscriber(number, chosen, granted))
                self.connect(subscribers[-1], None)
            elif step < 0.8:
                self.check(one)
                one.stream.disconnect()
                if one.granted is not None:
                    # It reconnects with another token.
                    one.granted = chance.choice(GRANTS)
                known = [each.id for each in self.log[-1:]] + [each.id for each in self.log[-9:-8]]
                self.connect(one, chance.choice([None, "unknown", "earliest", *known]))
            elif step < 0.9:
                self.settle()
                texts = [text for _, text in chance.choices(OLD, k=2)]
                selecting = self.hub.select(one.id, texts)
                self.settle()
                self.assertIsNone(self.successResultOf(selecting))
                one.selected = [selector(text) for text in texts]
            else:
                self.check(one)
                subscribers.remove(one)
                if one.granted is None:
                    one.stream.disconnect()
                    continue
                self.hub.revoke(jti=one.identifier, until=2e9)
                self.settle()
                self.assertTrue(one.stream.ended)
                self.assertEqual(self.get(one.query, one.headers()).status, 401)
            self.check(*subscribers)

    def test_memory(self) -> None:
        """
        The model holds in memory, with a history that is long enough, and with one that is not.
        """
        for seed in range(6):
            self.steps(seed, 150, History(maxEvents=(5, 20, 1000)[seed % 3]), False)

    def test_store(self) -> None:
        """
        The model holds with a store that answers later.
        """
        for seed in range(3):
            self.steps(seed, 150, History(maxEvents=(5, 20, 1000)[seed % 3]), True)
