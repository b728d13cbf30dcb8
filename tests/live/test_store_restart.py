"""
Tests for a daemon with a store that is stopped, or killed, and restarted.

With C{SSE_LONG=1} in the environment, a thousand readers resume after each of a hundred kills.
"""

from __future__ import annotations

import os
import random
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.python.filepath import FilePath

from tests.support.browsers import Browsing
from tests.support.followers import Follower
from tests.support.live import (
    PATIENCE,
    Child,
    LiveTestCase,
    allowDescriptors,
    freePort,
    reactor,
    until,
)
from tests.support.posting import Publisher
from tests.support.requirements import needs

LONG = os.environ.get("SSE_LONG") == "1"

#: The numbers of kills of the daemon, of readers that resume each time, and of publishers.
KILLS = 100 if LONG else 30
READERS = 1000 if LONG else 20
PUBLISHERS = 4

#: A daemon that is ready to start: everything is imported, and it waits for its standard input.
STANDBY = """
import sys
import twisted_sse.daemon.service, twisted_sse.store.sqlite.store, prometheus_client
import twisted.scripts.twistd, twisted.web.server, twisted.internet.reactor
sys.argv[0] = "twistd"
sys.stdin.readline()
twisted.scripts.twistd.run()
"""


class Daemons:
    """
    A daemon with a store, and another that is ready to take its place.

    @ivar port: their port.
    @ivar log: their log.
    @ivar current: the running one.
    """

    def __init__(self, test: LiveTestCase, *options: str) -> None:
        self._test = test
        self._directory = FilePath(mkdtemp(prefix="twisted-sse-"))
        test.addCleanup(self._directory.remove)
        self.log = self._directory.child("log")
        self._options = options
        self.port = freePort()
        self._next = self._standby()
        self.start()

    def _standby(self) -> Child:
        return Child(
            self._test,
            *("-c", STANDBY, "-n", "--pidfile=", f"--logfile={self.log.path}", "sse"),
            *(f"--port={self.port}", f"--store={self._directory.child('events.db').path}"),
            *self._options,
        )

    def start(self) -> None:
        """
        Start the next daemon.
        """
        self.current, self._next = self._next, self._standby()
        self.current.transport.write(b"\n")

    def assertSilent(self) -> None:
        """
        Assert that no error has occurred.
        """
        log = self.log.getContent().decode()
        self._test.assertNotIn("Traceback", log)
        self._test.assertEqual(self.current.errors, b"")


@needs("network")
class StoreRestartTests(LiveTestCase):
    """
    Tests for readers and publishers of a daemon that is restarted.
    """

    timeout = 3600 if LONG else 9 * PATIENCE

    def follow(self, port: int, count: int, wait: int = 20) -> list[Follower]:
        """
        Connect readers.

        @param wait: the delay before they reconnect, in milliseconds.
        """
        followers = [Follower(("127.0.0.1", port), wait) for _ in range(count)]

        def look() -> None:
            for follower in followers:
                follower.look()

        looking = LoopingCall(look)
        looking.clock = reactor
        for follower in followers:
            self.addCleanup(follower.close)
            follower.connect()
        looking.start(0.02)
        self.addCleanup(looking.stop)
        return followers

    async def allOpen(self, followers: list[Follower]) -> None:
        """
        Wait until all readers have a stream.
        """
        await until(
            lambda: all(each.isOpen and each.lastEventID for each in followers),
            "all are connected",
            3 * PATIENCE,
        )

    async def test_killed(self) -> None:
        """
        When the daemon is killed repeatedly while events are published, each acknowledged event is
        there, and each reader gets each event once and in order.
        """
        allowDescriptors(self, 2 * READERS + 100)
        # Enough for everything, so that no reader gets a reset.
        daemons = Daemons(self, "post", "--store-events=10000000", "--history=100")
        followers = self.follow(daemons.port, READERS)
        await self.allOpen(followers)
        publishers = [Publisher(self, [daemons.port], f"p{number}") for number in range(PUBLISHERS)]
        running = [Deferred.fromCoroutine(publisher.run()) for publisher in publishers]
        chance = random.Random(14)
        for _ in range(KILLS):
            before = [len(publisher.ids) for publisher in publishers]
            await until(
                lambda before=before: all(  # type: ignore[misc]
                    len(each.ids) > count + 2
                    for each, count in zip(publishers, before, strict=True)
                ),
                "all publish",
            )
            await self.allOpen(followers)
            await deferLater(reactor, chance.uniform(0, 0.02))
            await daemons.current.stop("KILL")
            await until(lambda: not any(each.isOpen for each in followers), "all were cut off")
            daemons.start()
        for publisher in publishers:
            publisher.stop()
        await gatherResults(running)
        total = sum(publisher.sent for publisher in publishers)
        await until(
            lambda: all(len(each.lines) >= total for each in followers), "all got all", 3 * PATIENCE
        )
        ids = [identifier for publisher in publishers for identifier in publisher.ids]
        self.assertEqual(len(set(ids)), total)
        self.assertGreater(sum(publisher.repeated for publisher in publishers), KILLS)
        for follower in followers:
            self.assertEqual(follower.types, {"message"})
            self.assertEqual(follower.lines, followers[0].lines)
            self.assertGreaterEqual(follower.broken, KILLS)
        for number, publisher in enumerate(publishers):
            mine = [line for line in followers[0].lines if line.startswith(f"p{number}-")]
            self.assertEqual(mine, [f"p{number}-{count + 1}" for count in range(publisher.sent)])
        daemons.assertSilent()

    async def test_terminated(self) -> None:
        """
        On SIGTERM everything is stored and the exit status is 0; readers resume exactly, including
        those that were disconnected.
        """
        daemons = Daemons(self, "post", "--history=3")
        [away, *followers] = self.follow(daemons.port, 3)
        await self.allOpen([away, *followers])
        away.close()
        publisher = Publisher(self, [daemons.port], "p")
        running = Deferred.fromCoroutine(publisher.run())
        for _ in range(2):
            before = len(publisher.ids)
            await until(lambda before=before: len(publisher.ids) > before + 20)  # type: ignore[misc]
            await daemons.current.stop()
            daemons.start()
        publisher.stop()
        await running
        away.stopped = False
        away.connect()
        expected = [f"p-{count + 1}" for count in range(publisher.sent)]
        await until(lambda: all(len(each.lines) >= publisher.sent for each in [away, *followers]))
        for follower in away, *followers:
            self.assertEqual((follower.lines, follower.types), (expected, {"message"}))
        self.assertEqual(daemons.log.getContent().count(b"Server Shut Down."), 2)
        daemons.assertSilent()


@needs("network", "browser")
class BrowserTests(Browsing):
    """
    Tests for a browser whose daemon is killed.
    """

    timeout = 9 * PATIENCE

    async def test_killed(self) -> None:
        """
        Chromium reconnects after each kill, and misses nothing.
        """
        daemons = Daemons(self, "post", "--retry=500")
        publisher = Publisher(self, [daemons.port], "p")
        running = Deferred.fromCoroutine(publisher.run())
        await until(lambda: publisher.ids, "it publishes")
        browser = await self.browse()
        await deferToThread(browser.get, f"http://127.0.0.1:{daemons.port}/page/page.js")
        await deferToThread(browser.execute_script, FOLLOW)

        async def told(enough: Any) -> list[list[str]]:
            found: list[list[str]] = []

            def look() -> Any:
                return browser.execute_script("return told")

            for _ in range(200):
                found = await deferToThread(look)
                if enough(found):
                    return found
                await deferLater(reactor, 0.1)
            raise AssertionError(f"got no further than {found[-3:]}")

        await told(lambda found: len(found) > 3)
        for _ in range(3):
            await daemons.current.stop("KILL")
            before = len(publisher.ids)
            daemons.start()
            await until(lambda before=before: len(publisher.ids) > before + 5)  # type: ignore[misc]
            last = f"p-{len(publisher.ids)}"
            await told(lambda found, last=last: any(each[1] == last for each in found))
        publisher.stop()
        await running
        found = await told(lambda found: found[-1][1] == f"p-{publisher.sent}")
        first = int(found[0][1].partition("-")[2])
        self.assertEqual(
            found,
            [["message", f"p-{count}"] for count in range(first, publisher.sent + 1)],
        )


#: Follows the stream in a page of the daemon.
FOLLOW = """
window.told = [];
const source = new EventSource("/");
for (const type of ["message", "stream-reset"])
    source.addEventListener(type, (event) => told.push([type, event.data]));
"""
