"""
Tests for L{twisted_sse.hub.mercure.control}.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.support.hubs import KEY, PATH, HubCase, token
from tests.support.late_store import Content, LateStore
from tests.support.shared_store import Server, SharedStore
from twisted_sse import Channel, History
from twisted_sse.hub import Hub
from twisted_sse.hub.mercure import control
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

READS = {"mercure": {"subscribe": ["*"]}}


class ControlTests(HubCase):
    """
    Tests for acting on the subscribers of one process.
    """

    now = 1_800_000_000.0

    def begin(self, **options: Any) -> None:
        """
        Make a hub.
        """
        self.serve(now=lambda: self.now, **options)

    def subscribe(self, query: str = "topic=a", **claims: Any) -> MemoryStream:
        """
        Subscribe with a token.
        """
        headers = {"Authorization": f"Bearer {token({**READS, **claims})}"}
        return self.get(query, headers.items())

    def ended(self, *streams: MemoryStream) -> list[bool]:
        """
        @return: the streams that have ended.
        """
        self.clock.settle()
        return [stream.ended for stream in streams]

    def test_disconnect(self) -> None:
        """
        The streams that match all conditions end, after the events on their way, and with a
        C{retry}.
        """
        self.begin()
        ada = self.subscribe(sub="ada", jti="1")
        again = self.subscribe("topic=b", sub="ada", jti="2")
        bob = self.subscribe("topic=https://example.com/{id}", sub="bob")
        stranger = self.get("topic=*")
        self.hub.publish("a", "last")
        self.successResultOf(self.hub.disconnect(sub="ada", topic="a", retry=5000))
        self.assertEqual(self.ended(ada, again, bob, stranger), [True, False, False, False])
        self.assertEqual([event.data for event in ada.events], ["last"])
        self.assertIn(b"retry: 5000\n", ada.body)
        self.successResultOf(self.hub.disconnect(jti="2"))
        self.assertEqual(self.ended(again, bob, stranger), [True, False, False])
        self.successResultOf(self.hub.disconnect(topic="https://example.com/1"))
        self.assertEqual(self.ended(bob, stranger), [True, True])
        self.assertEqual(self.hub.subscribers, 0)
        # They may reconnect.
        self.assertEqual(self.subscribe(sub="ada", jti="1").status, 200)

    def test_revoke(self) -> None:
        """
        A revoked token is refused until it expires anyway; other tokens still work.
        """
        self.begin()
        streams = [self.subscribe(sub="ada", jti=jti) for jti in ("1", "2")]
        self.successResultOf(self.hub.revoke(jti="1", until=self.now + 60))
        self.assertEqual(self.ended(*streams), [True, False])
        self.assertEqual(self.subscribe(sub="ada", jti="1").status, 401)
        self.assertEqual(self.subscribe(sub="ada", jti="3").status, 200)
        self.successResultOf(self.hub.revoke(sub="ada", until=self.now + 30))
        self.assertEqual(self.ended(*streams), [True, True])
        for jti in ("1", "2", "3"):
            self.assertEqual(self.subscribe(sub="ada", jti=jti).status, 401)
        self.assertEqual(self.subscribe(sub="bob").status, 200)
        self.now += 31
        self.assertEqual(self.subscribe(sub="ada", jti="2").status, 200)
        self.assertEqual(self.subscribe(sub="ada", jti="1").status, 401)
        self.now += 30
        self.assertEqual(self.subscribe(sub="ada", jti="1").status, 200)

    def test_revokedPublisher(self) -> None:
        """
        A publisher whose token is revoked publishes nothing.
        """
        self.begin()
        bearer = token({"mercure": {"publish": ["*"]}, "jti": "1"})
        headers = {
            "Authorization": f"Bearer {bearer}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self.assertEqual(self.client.request("POST", PATH, headers, b"topic=a").status, 200)
        self.hub.revoke(jti="1", until=self.now + 60)
        self.clock.settle()
        self.assertEqual(self.client.request("POST", PATH, headers, b"topic=a").status, 401)

    def test_revokedInReplay(self) -> None:
        """
        A subscriber whose token is revoked in the middle of a replay does not receive the rest.
        """

        def revoke(*news: object) -> None:
            self.hub.revoke(jti="1", until=self.now + 60)

        # After the first part of the replay.
        self.begin(observer=SimpleNamespace(replayed=revoke))
        first = self.successResultOf(self.hub.publish("a", "0"))
        for number in range(100):
            self.hub.publish("a", f"{number} " + "x" * 1000, private=True)
        self.clock.settle()
        bearer = token({**READS, "jti": "1"})
        headers = {"Authorization": f"Bearer {bearer}", "Last-Event-ID": first}
        stream = self.get("topic=a", headers.items())
        self.assertTrue(stream.ended)
        self.assertTrue(0 < len(stream.events) < 50, len(stream.events))

    def test_select(self) -> None:
        """
        The selection of an open stream can be changed, and watchers are notified.
        """
        self.begin(presence=True)
        watcher = self.subscribe(f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}")
        stream = self.subscribe("topic=a&topic=b")
        told = [json.loads(event.data) for event in watcher.events]
        identifier = told[0]["subscriber"]
        self.successResultOf(self.hub.select(identifier, ["b", "https://example.com/{id}"]))
        self.clock.settle()
        for topic in ("a", "b", "https://example.com/1"):
            self.hub.publish(topic, topic, private=True)
        self.clock.settle()
        got = [event.data for event in stream.events]
        self.assertEqual(got, ["b", "https://example.com/1"])
        changes = [json.loads(event.data) for event in watcher.events][2:]
        self.assertEqual(
            [(each["topic"], each["active"]) for each in changes],
            [("a", False), ("https://example.com/{id}", True)],
        )

    def test_wrong(self) -> None:
        """
        Invalid arguments are refused, and no stream is disconnected.
        """
        self.begin()
        stream = self.subscribe(sub="ada")
        for wrong in (
            lambda: self.hub.disconnect(),
            lambda: self.hub.disconnect(sub="ada", retry=3),
            lambda: self.hub.revoke(until=self.now),
            lambda: self.hub.revoke(sub="ada", jti="1", until=self.now),
            lambda: self.hub.revoke(sub="ada", until=-1),
        ):
            self.assertRaises(ValueError, wrong)
        self.assertRaises(TypeError, self.hub.select, "x", "a")
        self.assertEqual(self.ended(stream), [False])


class SharedTests(HubCase):
    """
    Tests for several processes, and for a restarted one.
    """

    now = 1_800_000_000.0

    def process(self, store: Any, clock: MemoryClock) -> tuple[Hub, MemoryClient]:
        """
        Start a process.
        """
        channel = Channel(History(), name="hub", store=store, reactor=clock)
        hub = Hub(
            channel, subscriberJwtKey=KEY, now=lambda: self.now, reactor=clock, anonymous=True
        )
        return hub, MemoryClient(hub, clock=clock)

    def subscribe(self, client: MemoryClient, jti: str) -> MemoryStream:
        """
        Subscribe with a token.
        """
        bearer = token({**READS, "jti": jti})
        return client.get(f"{PATH}?topic=a", {"Authorization": f"Bearer {bearer}"})

    def test_processes(self) -> None:
        """
        A command given to one process is carried out by all, and revoked tokens stay revoked in a
        process that starts later.
        """
        clock = MemoryClock()
        server = Server(clock)
        (one, _), (_, second) = [self.process(SharedStore(server), clock) for _ in range(2)]
        clock.pump([0.1] * 10)
        streams = [self.subscribe(second, jti) for jti in ("1", "2")]
        clock.pump([0.1] * 10)
        one.disconnect(jti="2")
        one.revoke(jti="1", until=self.now + 60)
        clock.pump([0.1] * 10)
        self.assertEqual([stream.ended for stream in streams], [True, True])
        self.assertEqual(self.subscribe(second, "1").status, 401)
        _, third = self.process(SharedStore(server), clock)
        clock.pump([0.1] * 10)
        stays = self.subscribe(third, "2")
        self.assertEqual(self.subscribe(third, "1").status, 401)
        clock.pump([0.1] * 10)
        # It was disconnected before, not now.
        self.assertFalse(stays.ended)

    def test_manyCommands(self) -> None:
        """
        However many other commands follow, a restarted process knows the revoked tokens.
        """
        clock = MemoryClock()
        kept: dict[str, Content] = {}
        with mock.patch.object(control, "MOST", 5):
            hub, client = self.process(LateStore(clock, kept), clock)
            clock.pump([0.1] * 10)
            hub.revoke(jti="1", until=self.now + 60)
            for _ in range(20):
                hub.disconnect(sub="x")
                hub.select("urn:x", ["a"])
                clock.pump([0.1] * 2)
            self.assertEqual(self.subscribe(client, "1").status, 401)
            _, client = self.process(LateStore(clock, kept), clock)
            clock.pump([0.1] * 10)
            self.assertEqual(self.subscribe(client, "1").status, 401)
            self.assertEqual(self.subscribe(client, "2").status, 200)

    def test_again(self) -> None:
        """
        A restarted process knows the revoked tokens.
        """
        clock = MemoryClock()
        kept: dict[str, Content] = {}
        for status in (200, 401):
            hub, client = self.process(LateStore(clock, kept), clock)
            clock.pump([0.1] * 10)
            self.assertEqual(self.subscribe(client, "1").status, status)
            hub.revoke(jti="1", until=self.now + 60)
            clock.pump([0.1] * 10)

    def test_revokedLongBefore(self) -> None:
        """
        Revocations from before a process started do not cause a search for subscribers: none of the
        present subscribers has a token.
        """
        clock = MemoryClock()
        kept: dict[str, Content] = {}
        hub, _ = self.process(LateStore(clock, kept), clock)
        for number in range(20):
            hub.revoke(jti=str(number), until=self.now + 60)
        clock.pump([0.1] * 10)
        store = LateStore(clock, kept, isAway=True)
        _, client = self.process(store, clock)
        stranger = client.get(f"{PATH}?topic=a")
        clock.pump([0.1] * 10)
        store.isAway = False
        with mock.patch.object(control.Subscribers, "find", side_effect=AssertionError) as find:
            clock.pump([1.0] * 60)
        self.assertEqual((find.call_count, stranger.ended), (0, False))
        statuses = [self.subscribe(client, str(number)).status for number in range(21)]
        self.assertEqual(statuses, [401] * 20 + [200])

    def test_keptApart(self) -> None:
        """
        Even if the store keeps little of other channels, the hub makes it keep the revocations.
        """

        class Store(LateStore):
            kept: dict[str, int] = {}

            def keepOnly(self, name: str, maxEvents: int) -> None:
                self.kept[name] = maxEvents

        clock = MemoryClock()
        store = Store(clock)
        self.process(store, clock)
        self.assertEqual(store.kept, {"hub/control": control.MOST, "hub/revoked": control.MOST})

    def test_withoutToken(self) -> None:
        """
        Subscribers without a token are disconnected, too, in a process that has seen no token.
        """
        clock = MemoryClock()
        server = Server(clock)
        (one, _), (_, second) = [self.process(SharedStore(server), clock) for _ in range(2)]
        stream = second.get(f"{PATH}?topic=a")
        clock.pump([0.1] * 10)
        one.disconnect(topic="a")
        clock.pump([0.1] * 10)
        self.assertTrue(stream.ended)

    def test_notYetKnown(self) -> None:
        """
        Until the store is open, the revoked tokens are unknown, and no token is accepted.
        """
        clock = MemoryClock()
        kept: dict[str, Content] = {}
        hub, _ = self.process(LateStore(clock, kept), clock)
        hub.revoke(jti="1", until=self.now + 60)
        clock.pump([0.1] * 10)
        _, client = self.process(LateStore(clock, kept), clock)
        revoked, good = (self.subscribe(client, jti) for jti in ("1", "2"))
        clock.pump([0.1] * 10)
        self.assertEqual([revoked.status, good.status], [401, 200])

    def test_channels(self) -> None:
        """
        The channels of a hub are those that it has opened in the store.
        """
        clock = MemoryClock()
        kept: dict[str, Content] = {}
        hub, client = self.process(LateStore(clock, kept), clock)
        self.subscribe(client, "1")
        clock.pump([0.1] * 10)
        self.assertEqual({channel.name for channel in hub.channels}, set(kept))
