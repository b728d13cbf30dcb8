"""
Tests for the hub with each kind of store, at critical moments: a token is revoked in the middle of
a replay, thousands reconnect, the store is unreachable, the process restarts.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.support.hubs import KEY, PATH, token
from tests.support.live import Client, LiveTestCase, Response, Server, reactor, until
from tests.support.requirements import needs
from twisted_sse import Channel, History
from twisted_sse.hub import Hub
from twisted_sse.hub.mercure.subscriptions import newestID
from twisted_sse.store import EventStore, SQLiteStore
from twisted_sse.store.sqlite import writer
from twisted_sse.testing import MemoryClient

FORM = "application/x-www-form-urlencoded"

#: The number of replayed private updates, of a thousand bytes each: far more than is sent to a
#: client that does not read.
UPDATES = 1000


def bearer(**claims: Any) -> dict[str, str]:
    """
    @return: the headers of a client with every right.
    """
    everything = {"publish": ["*"], "subscribe": ["*"]}
    return {"Authorization": f"Bearer {token({'mercure': everything, **claims})}"}


class StoreTests:
    """
    Tests with one kind of store, mixed into a L{LiveTestCase}.
    """

    #: The number of updates in memory, besides the store.
    window = 3

    #: The number of reconnecting clients: twice this number of events fills any window.
    reconnections = 3000

    def makeStore(self, **options: Any) -> EventStore | None:
        """
        Make a store, or another one with the same content.
        """
        raise NotImplementedError

    async def begin(self: Any, store: dict[str, Any] | None = None, **options: Any) -> Hub:
        """
        Start a hub.

        @param store: the options of the store.
        @param options: those of the hub.
        """
        channel = Channel(
            History(maxEvents=self.window),
            name="hub",
            store=self.makeStore(**(store or {})),
            positionEvent=None,
            resetEvent=None,
        )
        self.hub = Hub(
            channel, publisherJwtKey=KEY, subscriberJwtKey=KEY, anonymous=True, **options
        )
        # Not the coroutine function itself: Twisted 24.3 does not wait for one.
        self.addCleanup(lambda hub: Deferred.fromCoroutine(self.end(hub)), self.hub)
        self.server = cast(Server, self.serve(self.hub, site={"sendBuffer": 8192}))
        await channel.whenReady()
        return cast(Hub, self.hub)

    async def end(self, hub: Hub) -> None:
        """
        Stop a hub.
        """
        for channel in hub.channels:
            channel.close()
        hub.close()
        store: Any = hub.channel.store
        if store is not None:
            await store.close()

    async def ask(
        self: Any, method: str, query: str, headers: dict[str, str], body: bytes = b""
    ) -> Response:
        """
        Make a request, and wait for the status.
        """
        client = cast(Client, self.server.connect(Client))
        response = client.request(method, f"{PATH}?{query}", headers, body=body)
        await until(lambda: response.status is not None, f"{method} {query}")
        return response

    async def publish(self: Any, data: str) -> Response:
        """
        Publish over HTTP.
        """
        headers = {**bearer(), "Content-Type": FORM}
        response = await self.ask("POST", "", headers, f"topic=a&data={data}".encode())
        await until(lambda: response.complete, "it is answered")
        return cast(Response, response)

    async def untilRevoked(self: Any, headers: dict[str, str]) -> None:
        """
        Wait until a token is refused.
        """
        while (await self.ask("HEAD", "topic=a", headers)).status != 401:
            await deferLater(reactor, 0.01)

    async def test_revokedInReplay(self: Any) -> None:
        """
        A subscriber whose token is revoked while it reads a replay does not receive the rest, and
        is refused when it reconnects; another gets everything.
        """
        hub = await self.begin()
        first = await hub.publish("a", "first", private=True)
        text = "x" * 1000
        await gatherResults([hub.publish("a", text, private=True) for _ in range(UPDATES)])
        resumes = {"Last-Event-ID": first}
        ada, bob = ({**bearer(jti=jti), **resumes} for jti in ("1", "2"))
        # Once all of them can be replayed: updates still to arrive from Redis would be sent live,
        # and sent updates cannot be revoked.
        _, other = self.server.get(f"{PATH}?topic=a", bob)
        await until(lambda: len(other.events) == UPDATES, "the other gets everything")
        client, response = self.server.get(f"{PATH}?topic=a", ada, receiveBuffer=8192)
        client.stopReading()

        def hasBegun() -> bool:
            # A little at a time: otherwise everything might have arrived before it is stopped.
            client.doRead(2048)
            return bool(response.events)

        await until(hasBegun, "the replay has begun")
        await hub.revoke(jti="1", until=time.time() + 600)
        await self.untilRevoked(ada)
        client.startReading()
        await until(lambda: response.complete, "the stream has ended")
        self.assertLess(len(response.events), UPDATES // 2)
        self.assertEqual((await self.ask("GET", "topic=a", ada)).status, 401)

    async def test_reconnections(self: Any) -> None:
        """
        However many clients reconnect and are reported to watchers, the history and the store keep
        their updates.
        """
        hub = await self.begin(presence=True)
        ids = [await hub.publish("a", str(number)) for number in range(5)]
        client = MemoryClient(hub)
        topics = f"{PATH}/subscriptions{{/topic}}{{/subscriber}}"
        watcher = client.get(f"{PATH}?topic={topics}", bearer())
        await until(
            lambda: hub.subscribers and newestID(hub.channel) == ids[-1], "everything is there"
        )
        for number in range(self.reconnections):
            stream = client.get(f"{PATH}?topic=a", {"Last-Event-ID": ids[3]})
            if not number % 500:
                self.assertEqual([event.data for event in stream.events], ["4"])
                await deferLater(reactor, 0)
            stream.disconnect()
        self.assertEqual(watcher.body.count(b'"active": true'), self.reconnections)
        self.assertEqual(watcher.body.count(b'"active": false'), self.reconnections)
        self.assertEqual(hub.subscribers, 1)
        response = await self.ask("GET", "topic=*", {"Last-Event-ID": "earliest", **bearer()})
        await until(lambda: len(response.events) == 5, "everything is replayed")
        self.assertEqual([event.lastEventID for event in response.events], ids)
        client.close()


class KeepingTests(StoreTests):
    """
    Tests for failures that a store survives.
    """

    #: Whether updates are delivered that cannot be stored.
    delivers = False

    #: Options of a store that must detect failures quickly.
    impatient: dict[str, Any] = {}

    def breakStore(self) -> Callable[[], object]:
        """
        Make storing fail.

        @return: a function that ends the failure.
        """
        raise NotImplementedError

    async def test_away(self: Any) -> None:
        """
        While nothing can be stored, publishers get a 503 and should retry; streams stay open, with
        their heartbeats, and continue afterwards; a client that was disconnected meanwhile is
        notified if others received more.
        """
        await self.begin(self.impatient, heartbeat=0.2)
        _, stays = self.server.get(f"{PATH}?topic=a")
        goes, gone = self.server.get(f"{PATH}?topic=a")
        await until(lambda: self.hub.subscribers == 2, "they are subscribed")
        self.assertEqual((await self.publish("before")).status, 200)
        await until(lambda: stays.events and gone.events, "all get it")
        last = gone.events[-1].lastEventID
        goes.close()
        mend = self.breakStore()
        for _ in range(3):
            refused = await self.publish("lost")
            self.assertEqual(refused.status, 503)
            self.assertIn(refused.headers["retry-after"], "12345")
        beats = len(stays.comments)
        await until(lambda: len(stays.comments) > beats + 3, "heartbeats continue")
        self.assertFalse(stays.complete or stays.broken)
        mend()
        # Detecting it may take a moment.
        while (await self.publish("after")).status != 200:
            await deferLater(reactor, 0.05)
        await until(lambda: stays.data[-1] == "after", "later updates arrive")
        resumed = await self.ask("GET", "topic=a", {"Last-Event-ID": last})
        await until(lambda: resumed.data and resumed.data[-1] == "after", "it continues")
        self.assertEqual(stays.data[0], "before")
        place = "earliest" if self.delivers else last
        self.assertEqual(resumed.headers["last-event-id"], place)

    async def test_revokedBefore(self: Any) -> None:
        """
        A token stays revoked after a restart of the hub, however few updates the store keeps.
        """
        few = {"maxEvents": 1, "maxAge": 1.0}
        hub = await self.begin(few)
        until_ = time.time() + 600
        for number in range(20):
            await hub.revoke(jti=str(number), until=until_)
            await hub.disconnect(sub="nobody")
        await self.untilRevoked(bearer(jti="0"))
        # Nothing that is kept for only a second remains.
        await deferLater(reactor, 2.1)
        await self.end(hub)
        await self.begin(few)
        statuses = [
            (await self.ask("HEAD", "topic=a", bearer(jti=str(number)))).status
            for number in range(21)
        ]
        self.assertEqual(statuses, [401] * 20 + [200])


@needs("network")
class MemoryTests(StoreTests, LiveTestCase):
    """
    Tests for a hub that keeps everything in memory.
    """

    timeout = 120
    window = 2000

    def makeStore(self, **options: Any) -> EventStore | None:
        """
        There is no store.
        """
        return None


@needs("network")
class SQLiteTests(KeepingTests, LiveTestCase):
    """
    Tests for a hub with a file.
    """

    timeout = 120
    delivers = True

    def setUp(self) -> None:
        """
        Make a directory for the file.
        """
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "events.db")

    def makeStore(self, **options: Any) -> EventStore | None:
        """
        Make a store in the file.
        """
        return SQLiteStore(self.path, **options)

    def breakStore(self) -> Callable[[], object]:
        """
        Fail as on a full disk.
        """

        def full(*arguments: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        self.patch(writer, "PAUSE", 0.0)
        restore: Callable[[], object] = self.patch(writer, "insert", full).restore
        return restore


@needs("network", "redis")
class RedisTests(KeepingTests, LiveTestCase):
    """
    Tests for a hub with a Redis server.
    """

    timeout = 120
    impatient = {"timeout": 0.5}

    def setUp(self) -> Any:
        """
        Start the server.
        """
        # It needs a library that other tests do not.
        from tests.support.redis_server import RedisServer

        self.redis = RedisServer(self)
        self.redis.begin()
        return until(self.redis.isReady, "Redis has started")

    def makeStore(self, **options: Any) -> EventStore | None:
        """
        Make a store in the server.
        """
        from twisted_sse.store import RedisStore

        return RedisStore(self.redis.url, **options)

    def breakStore(self) -> Callable[[], object]:
        """
        Freeze the server.
        """
        self.redis.stop()
        return self.redis.goOn
