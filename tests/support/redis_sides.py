"""
Simulated processes that share a Redis server: each has a store, a channel, and readers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.support.live import LiveTestCase, Server, until
from tests.support.redis_server import RedisTestCase
from twisted_sse import Channel, Event, History
from twisted_sse.store import NotStored, RedisStore

__all__ = ["RESET", "Reader", "Side", "SidesTestCase"]

#: A reader's note that it may have missed events.
RESET = "reset"


class Reader:
    """
    A client that remembers what it has received, across reconnections.

    @ivar got: the data of the events, and L{RESET}.
    @ivar lastEventID: the ID with which it resumes.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.got: list[str] = []
        self.lastEventID = ""
        self.connect()

    def connect(self, server: Server | None = None) -> None:
        """
        Connect again, perhaps to another server.
        """
        self.server = server or self.server
        headers = {"Accept": "text/event-stream"}
        if self.lastEventID:
            headers["Last-Event-ID"] = self.lastEventID
        self.client, self.response = self.server.get(headers=headers)

    def look(self) -> list[str]:
        """
        @return: everything received so far.
        """
        for event in self.response.events:
            if event.type == "stream-reset":
                self.got.append(RESET)
            elif event.type == "message":
                self.got.append(event.data)
            self.lastEventID = event.lastEventID
        self.response.events.clear()
        self.lastEventID = self.response.parser.lastEventID or self.lastEventID
        return self.got

    def leave(self) -> None:
        """
        Disconnect.
        """
        self.look()
        self.client.close()


class Side:
    """
    One process: a channel with its own store, and a server.
    """

    def __init__(
        self,
        test: SidesTestCase,
        url: str = "",
        *,
        name: str = "news",
        store: RedisStore | None = None,
        **options: Any,
    ) -> None:
        """
        @param url: the URL of the server, if it is another.
        @param name: the name of the channel.
        @param store: the store, if there is one already.
        @param options: those of the store.
        """
        self.store = test.store(url, **options) if store is None else store
        self.channel = Channel(History(maxEvents=100), name=name, store=self.store)
        self.server = test.serve(self.channel.subscribe, heartbeat=None)
        self.readers: list[Reader] = []
        test.addCleanup(self.channel.close)

    async def read(self) -> Reader:
        """
        Connect a reader, and wait until it is subscribed.
        """
        reader = Reader(self.server)
        self.readers.append(reader)
        await until(lambda: reader.look() or reader.lastEventID, "the reader is subscribed")
        return reader

    async def write(self, *data: str) -> list[Event]:
        """
        Publish events, one after the other.
        """
        return [await self.channel.publishAndWait(each) for each in data]


class SidesTestCase(RedisTestCase, LiveTestCase):
    """
    Two processes, each with a reader.

    @ivar one: a process.
    @ivar two: another.
    """

    async def begin(self, url: str = "", **options: Any) -> None:
        """
        Start two processes.
        """
        self.one, self.two = Side(self, url, **options), Side(self, url, **options)
        self.readers = [await self.one.read(), await self.two.read()]

    async def assertGot(self, *expected: str, readers: list[Reader] | None = None) -> None:
        """
        Wait until all readers have exactly the expected events.
        """
        wanted = list(expected)
        for reader in self.readers if readers is None else readers:
            try:
                await until(lambda reader=reader: len(reader.look()) >= len(wanted))
            except AssertionError:
                pass
            self.assertEqual(reader.got, wanted)

    async def isAway(self, isAway: bool = True) -> None:
        """
        Wait until both processes notice that the server is unreachable, or reachable again.
        """
        for side in self.one, self.two:
            await until(
                lambda side=side: (side.store.problem() is not None) is isAway,
                f"the store has {'a' if isAway else 'no'} problem",
            )

    def failed(self, side: Side, data: str) -> Deferred[NotStored]:
        """
        Publish an event whose storing fails.

        @return: fires with the reason.
        """
        return self.assertFailure(side.channel.publishAndWait(data), NotStored)

    def stored(self) -> list[str]:
        """
        @return: the data of all events in the stream.
        """
        entries = self.server.ask("XRANGE", "t:news", "-", "+")
        fields = [dict(zip(each[::2], each[1::2], strict=True)) for _, each in entries]
        return [each["data"] for each in fields if "data" in each]

    def assertSaid(self, *expected: str) -> None:
        """
        Assert that stores logged exactly these messages: each text is the beginning of one.
        """
        logged = [line for line in self.flushLogged() if "twisted_sse.channel" not in line]
        self.assertEqual(len(logged), len(expected), logged)
        for line, begin in zip(logged, expected, strict=True):
            self.assertIn(begin, line, logged)
