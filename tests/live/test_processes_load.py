"""
Tests for clients of a daemon with several processes, which are killed and replaced: nothing is lost
or duplicated.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread

from tests.support.live import reactor, until
from tests.support.requirements import needs
from tests.support.several import Follower, Several, SeveralTestCase, pause

#: The duration of the killing, in seconds, and the number of clients.
SECONDS = 60 if os.environ.get("SSE_LONG") else 10
CLIENTS = 200


class LoadTestCase(SeveralTestCase):
    """
    Clients that follow lines with numbers.
    """

    timeout = 120 + 2 * SECONDS

    def setUp(self) -> None:
        """
        No line has been written yet.
        """
        super().setUp()
        self.count = 0

    def write(self, write: Callable[[str], object]) -> LoopingCall:
        """
        Write a line repeatedly, until the test ends.
        """

        def line() -> None:
            self.count += 1
            write(str(self.count))

        writing = LoopingCall(line)
        writing.clock = reactor
        writing.start(0.02).addErrback(self.fail)
        self.addCleanup(lambda: writing.running and writing.stop())
        return writing

    async def clients(self, daemon: Several) -> list[Follower]:
        """
        Connect the clients, one after another.
        """
        url = f"http://127.0.0.1:{daemon.port}/"
        followers = []
        for _ in range(CLIENTS):
            followers.append(self.follow(url))
            await pause(0.002)
        await until(lambda: all(each.opened for each in followers), "all are connected")
        return followers

    async def assertComplete(self, followers: list[Follower], writing: LoopingCall) -> None:
        """
        Assert that each client gets each line once, from its first to the last of all.
        """
        writing.stop()
        last = str(self.count)
        await until(
            lambda: all(each.texts[-1:] == [last] for each in followers), f"all have {last}", 60
        )
        for follower in followers:
            first = int(follower.texts[0])
            self.assertEqual(follower.resets, 0)
            self.assertEqual(
                follower.texts, [str(number) for number in range(first, self.count + 1)]
            )

    async def killSome(self, daemon: Several) -> None:
        """
        Kill a child each second.
        """
        for number in range(SECONDS):
            await pause(1)
            children = daemon.children()
            if children:
                chance = random.Random(number)
                os.kill(chance.choice(children), signal.SIGKILL)

    def file(self) -> Callable[[str], object]:
        """
        Make a log.

        @return: a function that writes a line.
        """
        self.path = self.directory / "app.log"
        self.path.write_text("0\n")
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.addCleanup(os.close, fd)
        return lambda text: os.write(fd, f"{text}\n".encode())


@needs("network", "processes")
class FileTests(LoadTestCase):
    """
    Tests for the lines of a file.
    """

    async def test_killed(self) -> None:
        """
        A child is killed each second, and each client gets each line once.
        """
        write = self.file()
        daemon = await self.several(f"file:{self.path}", "--retry=500", "--history=5000").ready()
        writing = self.write(write)
        followers = await self.clients(daemon)
        await self.killSome(daemon)
        await self.assertComplete(followers, writing)
        resumed = sum([each.opened > 1 for each in followers])
        self.assertGreater(resumed, CLIENTS // 2)
        self.assertEqual(await daemon.stop(), 0)

    async def test_rolling(self) -> None:
        """
        On SIGUSR2 each child is replaced: no connection is refused, and each client gets each line
        once.
        """
        write = self.file()
        daemon = await self.several(f"file:{self.path}", "--retry=500").ready()
        before = daemon.children()
        writing = self.write(write)
        followers = await self.clients(daemon)
        daemon.signal(signal.SIGUSR2)
        daemon.signal(signal.SIGUSR2)
        refused = 0
        asked = 0
        while "The processes were replaced" not in daemon.log():
            status, _ = await deferToThread(daemon.ask, "/healthz")
            asked += 1
            refused += status != 200
            await pause(0.01)
        self.assertGreater(asked, 10)
        self.assertEqual(refused, 0)
        self.assertEqual(set(before) & set(daemon.children()), set())
        await self.assertComplete(followers, writing)
        # A connection may end without a response, but none may be refused.
        for follower in followers:
            for failure in follower.failures:
                self.assertNotIn("refused", str(failure))
        self.assertEqual(await daemon.stop(), 0)


@needs("network", "processes", "redis")
class RedisTests(LoadTestCase):
    """
    Tests for lines that pass through Redis.
    """

    async def test_killed(self) -> None:
        """
        The parent reads the lines of its standard input; a child is killed each second, and each
        client gets each line once.
        """
        redis = await self.redis()
        read, written = os.pipe()
        self.addCleanup(os.close, written)
        daemon = self.several("-", f"--store={redis.url}", "--retry=500", stdin=read)
        os.close(read)
        await daemon.ready()
        writing = self.write(lambda text: os.write(written, f"{text}\n".encode()))
        followers = await self.clients(daemon)
        await self.killSome(daemon)
        await self.assertComplete(followers, writing)
        self.assertEqual(await daemon.stop(), 0)

    async def test_posted(self) -> None:
        """
        Events posted to any child are delivered by all, in one order, while children are replaced.
        """
        redis = await self.redis()
        daemon = await self.several("post", f"--store={redis.url}", "--retry=500").ready()
        followers = [self.follow(f"http://127.0.0.1:{daemon.port}/") for _ in range(20)]
        await until(lambda: all(each.opened for each in followers), "all are connected")
        daemon.signal(signal.SIGUSR2)
        posting: list[Deferred[tuple[int, str]]] = []
        for number in range(100):
            posting.append(deferToThread(daemon.ask, "/", b"%d" % number))
            await pause(0.02)
        statuses = [(await each)[0] for each in posting]
        self.assertEqual(statuses, [200] * 100)
        await until(lambda: all(len(each.texts) >= 100 for each in followers), "all have all")
        for follower in followers:
            self.assertEqual(follower.texts, followers[0].texts)
            self.assertEqual(sorted(map(int, follower.texts)), list(range(100)))
        self.assertEqual(await daemon.stop(), 0)
