"""
Tests for a hub whose store is unreachable, and whose clients disconnect at the worst moment.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.support.hubs import EVERYTHING, FORM, KEY, PATH, HubCase, bearer, token
from tests.support.late_store import Content, LateStore
from tests.support.memory_agent import MemoryAgent
from twisted_sse import Channel, History
from twisted_sse.hub import Hub
from twisted_sse.hub.mercure import jwks
from twisted_sse.store import NotStored
from twisted_sse.stream.stream import EventStream
from twisted_sse.testing import MemoryClient, MemoryClock


class StoreCase(HubCase):
    """
    Shared parts of the tests with a store.
    """

    def begin(self, **store: Any) -> LateStore:
        """
        Make a hub with a store.
        """
        self.clock = MemoryClock()
        store_ = LateStore(self.clock, **store)
        self.channel = Channel(History(), name="hub", store=store_, reactor=self.clock)
        self.hub = Hub(
            self.channel,
            publisherJwtKey=KEY,
            subscriberJwtKey=KEY,
            anonymous=True,
            reactor=self.clock,
        )
        self.client = MemoryClient(self.hub, clock=self.clock)
        return store_


class StoreTests(StoreCase):
    """
    Tests for an unreachable store.
    """

    def test_away(self) -> None:
        """
        While the store cannot be written, publishers are asked to retry, and streams stay open;
        afterwards all continues.
        """
        store = self.begin(deliver="stored")
        self.clock.pump([0.1] * 10)
        stream = self.get("topic=a")
        for failing, status, count in ((None, 200, 1), (NotStored("away"), 503, 1), (None, 200, 2)):
            store.failing = failing
            answer = self.client.request("POST", PATH, bearer(), b"topic=a&data=x")
            self.clock.pump([0.1] * 10)
            self.assertEqual(answer.status, status)
            self.assertEqual("Retry-After" in answer.headers, status == 503)
            self.assertFalse(stream.ended)
            self.assertEqual(len(stream.events), count)

    def test_awayAtStart(self) -> None:
        """
        If the store is not reachable yet, publishers are notified after some seconds, and
        subscribers wait in open streams.
        """
        store = self.begin(isAway=True)
        streams = [self.get("topic=a"), self.get("topic=a&lastEventID=x")]
        answer = self.client.request("POST", PATH, bearer(), b"topic=a&data=x")
        self.clock.pump([1.0] * 20)
        self.assertEqual((answer.status, answer.headers["Retry-After"] > "0"), (503, True))
        self.assertEqual([(each.status, each.ended) for each in streams], [(200, False)] * 2)
        store.isAway = False
        self.clock.pump([1.0] * 60)
        answer = self.client.request("POST", PATH, bearer(), b"topic=a&data=y")
        self.clock.pump([1.0] * 2)
        self.assertEqual(answer.status, 200)
        self.assertEqual([[each.data for each in stream.events] for stream in streams], [["y"]] * 2)

    def test_notReady(self) -> None:
        """
        A publisher waits only some seconds for the channel, even if the revoked tokens are known.
        """
        self.begin()
        self.clock.pump([0.1] * 10)
        self.patch(self.channel, "whenReady", Deferred)
        answer = self.client.request("POST", PATH, bearer(), b"topic=a&data=x")
        self.clock.pump([1.0] * 20)
        self.assertEqual(answer.status, 503)

    def test_tokensAtStart(self) -> None:
        """
        While the revoked tokens are unknown, a client with a token gets no events, and is asked to
        reconnect, which browsers do not do after an error; other clients get a 503.  Afterwards the
        client is accepted or refused.
        """
        kept: dict[str, Content] = {}
        self.begin(content=kept)
        self.clock.pump([0.1] * 10)
        self.hub.revoke(jti="1", until=2e9)
        self.clock.pump([0.1] * 10)
        store = self.begin(content=kept, isAway=True)
        streams = [
            self.get(query, bearer(jti=jti).items())
            for query in ("topic=a", "topic=a&lastEventID=x")
            for jti in ("1", "2")
        ]
        others = [
            self.client.request("HEAD", f"{PATH}?topic=a", bearer()),
            self.client.request("POST", PATH, bearer(), b"topic=a"),
        ]
        gone = self.get("topic=a", bearer().items())
        self.clock.advance(5)
        gone.disconnect()
        self.assertEqual([each.status for each in (*streams, *others)], [None] * 6)
        self.clock.pump([1.0] * 10)
        self.assertToldToComeBack(*streams)
        self.assertEqual([each.status for each in others], [503, 503])
        self.assertEqual(self.hub.refusals, {"unavailable": 6})
        self.assertEqual((self.hub.subscribers, len(self.hub.resource.streams)), (0, 0))
        store.isAway = False
        self.clock.pump([1.0] * 60)
        statuses = [self.get("topic=a", bearer(jti=jti).items()).status for jti in ("1", "2")]
        self.assertEqual(statuses, [401, 200])

    def test_keysAway(self) -> None:
        """
        The same holds for a client whose token needs keys that cannot be fetched.
        """
        clock, agent = MemoryClock(), MemoryAgent()
        channel = Channel(positionEvent=None, resetEvent=None, reactor=clock)
        with mock.patch.object(jwks, "EventStreamAgent", lambda reactor: agent):
            hub = Hub(channel, jwks="http://127.0.0.1/jwks", reactor=clock)
        self.addCleanup(hub.close)
        self.client = MemoryClient(hub, clock=clock)
        streams = [
            self.get("topic=a", bearer().items()),
            self.client.request("QUERY", f"{PATH}?match=a", bearer()),
        ]
        clock.pump([1.0] * 12)
        self.assertToldToComeBack(*streams)
        self.assertEqual(hub.refusals, {"unavailable": 2})


class VanishingTests(StoreCase):
    """
    Tests for clients that disconnect at the worst moment.
    """

    def left(self) -> int:
        """
        @return: the number of streams that are not collected.
        """
        gc.collect()
        return sum(isinstance(each, EventStream) for each in gc.get_objects())

    def test_closedEarly(self) -> None:
        """
        If the hub is closed before the store was open, clients with a token learn that it is
        unavailable, and no error is logged.
        """
        self.begin(isAway=True)
        self.hub.close()
        with capturedLogs() as logs:
            answers = [
                self.client.request(method, f"{PATH}?topic=a", bearer(), body)
                for method, body in (("GET", b""), ("HEAD", b""), ("POST", b"topic=a"))
            ]
            self.clock.pump([1.0] * 20)
        self.assertToldToComeBack(answers[0])
        self.assertEqual([each.status for each in answers[1:]], [503] * 2)
        self.assertEqual([each for each in logs if "log_failure" in each], [])

    def test_everywhere(self) -> None:
        """
        A client that vanishes while the hub waits for the store leaves nothing behind, whatever it
        requested: no subscriber, no call, no stream.
        """
        for method, body in ("GET", b""), ("QUERY", b""), ("HEAD", b""), ("POST", b"topic=a&id=i"):
            # Collecting takes long, so it is done once for all.
            existing = self.left()
            for after in (0.0, 0.005, 0.011, 0.02, 0.1):
                store = self.begin()
                self.clock.pump([0.1] * 10)
                self.clock.pump([0.1] * 10)
                before = len(self.clock.getDelayedCalls())
                store.delay = 0.05
                target = f"{PATH}?topic=a&lastEventID=x&authorization={token(EVERYTHING)}"
                answer = self.client.request(method, target, dict(FORM), body)
                self.clock.advance(after)
                answer.disconnect()
                del answer
                self.clock.pump([0.01] * 300)
                self.assertEqual(self.hub.subscribers, 0, (method, after))
                self.assertEqual(len(self.hub.resource.streams), 0)
                self.assertLessEqual(len(self.clock.getDelayedCalls()), before, (method, after))
            self.assertEqual(self.left(), existing, method)

    def test_publisher(self) -> None:
        """
        A publisher that vanishes while its token is checked publishes nothing, and no error is
        logged.
        """
        self.begin()
        self.clock.pump([0.1] * 10)
        checking = Deferred[bool]()
        self.patch(self.hub._authority, "isRevoked", lambda token: checking)
        with capturedLogs() as logs:
            answer = self.client.request("POST", PATH, bearer(), b"topic=a&data=x")
            answer.disconnect()
            checking.callback(False)
            self.clock.pump([0.1] * 10)
        self.assertEqual([each for each in logs if "log_failure" in each], [])
        self.assertEqual((len(self.channel.history), self.hub.refusals), (0, {}))

    def test_request(self) -> None:
        """
        The hub does not keep requests of disconnected clients.
        """
        store = self.begin()
        self.clock.pump([0.1] * 10)
        store.delay = 1000
        render, requests = self.hub.render, list[Any]()

        def seen(request: Any) -> int:
            requests.append(request)
            return render(request)

        for query in ("topic=a&lastEventID=x", "topic=a", ""):
            with mock.patch.object(self.hub, "render", seen):
                answer = self.client.request("GET", f"{PATH}?{query}", {})
            request = weakref.ref(requests.pop())
            answer.disconnect()
            del answer
            self.clock.advance(1)
            gc.collect()
            self.assertIsNone(request())

    def test_keys(self) -> None:
        """
        A client that vanishes while the hub fetches keys leaves nothing behind afterwards.
        """
        clock, agent = MemoryClock(), MemoryAgent()
        channel = Channel(reactor=clock)
        with mock.patch.object(jwks, "EventStreamAgent", lambda reactor: agent):
            hub = Hub(channel, jwks="http://127.0.0.1/jwks", reactor=clock, presence=True)
        client = MemoryClient(hub, clock=clock)
        existing = self.left()
        for method, target in (
            ("GET", f"{PATH}?topic=a"),
            ("HEAD", f"{PATH}?topic=a"),
            ("POST", PATH),
            ("GET", f"{PATH}/subscriptions"),
        ):
            answer = client.request(
                method, target, bearer(), b"topic=a" if method == "POST" else b""
            )
            self.assertIsNone(answer.status)
            answer.disconnect()
            del answer
        clock.pump([1.0] * 100)
        self.assertEqual((hub.subscribers, len(hub.resource.streams)), (0, 0))
        self.assertEqual(self.left(), existing)
        self.assertEqual(channel.lastEventID, "")
        client.close()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_revokedMeanwhile(self) -> None:
        """
        A client whose token is revoked while the hub looks up its position is not subscribed.
        """
        store = self.begin()
        self.clock.pump([0.1] * 10)
        store.delay = 1.0
        stream = self.client.request("GET", f"{PATH}?topic=a&lastEventID=x", bearer(jti="1"))
        self.clock.settle()
        store.delay = 0.1
        self.hub.revoke(jti="1", until=2e9)
        self.clock.pump([0.5] * 10)
        self.assertTrue(stream.ended or stream.status == 401, stream.status)
        self.assertEqual(self.hub.subscribers, 0)

    def test_closed(self) -> None:
        """
        A closed channel ends the streams; publishers are refused, and the log does not report an
        internal error.
        """
        self.serve()
        stream = self.get("topic=a")
        self.channel.close()
        self.clock.settle()
        self.assertTrue(stream.ended)
        with capturedLogs() as logs:
            answer = self.client.request("POST", PATH, bearer(), b"topic=a")
            again = self.get("topic=a&lastEventID=x")
            self.clock.settle()
        self.assertEqual(answer.status, 503)
        self.assertEqual([each for each in logs if "log_failure" in each], [])
        self.assertTrue(again.ended or again.status == 503)

    def test_nothingLeft(self) -> None:
        """
        After the streams have ended and the hub is closed, no calls of the reactor remain, even if
        keys are being fetched; requests that wait for keys fail.
        """
        clock, agent = MemoryClock(), MemoryAgent()
        channel = Channel(reactor=clock)
        with mock.patch.object(jwks, "EventStreamAgent", lambda reactor: agent):
            hub = Hub(
                channel,
                jwks="http://127.0.0.1/jwks",
                subscriberJwtKey=KEY,
                anonymous=True,
                reactor=clock,
                maxLifetime=1000,
            )
        client = MemoryClient(hub, clock=clock)
        streams = [client.get(f"{PATH}?topic=a"), client.get(f"{PATH}?topic=a", bearer())]
        waiting = client.request("POST", PATH, bearer(), b"topic=a")
        clock.settle()
        self.assertEqual(len(agent.requests), 1)
        drained = hub.resource.drain(0)
        clock.advance(1)
        self.successResultOf(drained)
        self.assertTrue(all(stream.ended for stream in streams))
        with capturedLogs() as logs:
            hub.close()
            clock.settle()
        self.assertEqual([each for each in logs if each["log_level"].name != "info"], [])
        self.assertEqual(waiting.status, 503)
        channel.close()
        client.close()
        clock.advance(30)
        self.assertEqual(clock.getDelayedCalls(), [])
        again = client.request("POST", PATH, bearer(), b"topic=a")
        self.assertEqual((again.status, len(agent.requests)), (503, 1))
        hub.close()
