"""
Tests for faults of a Redis server, or on the connection to it, while two processes publish and
deliver.

With C{SSE_LONG=1} in the environment, a server is frozen for half a minute.
"""

from __future__ import annotations

import os

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.live import until
from tests.support.redis_sides import SidesTestCase
from tests.support.requirements import needs
from twisted_sse import Event

LONG = os.environ.get("SSE_LONG") == "1"


@needs("network", "redis")
class KilledTests(SidesTestCase):
    """
    Tests for a server that is killed and keeps everything in a file.
    """

    arguments = ("--appendonly", "yes", "--appendfsync", "always")

    async def test_killed(self) -> None:
        """
        When the server is killed and restarted everything continues, for open streams and for one
        that was closed meanwhile.
        """
        await self.begin()
        gone = await self.one.read()
        await self.one.write("a", "b")
        await self.assertGot("a", "b", readers=[*self.readers, gone])
        gone.leave()
        self.server.kill()
        await self.isAway()
        error = await self.failed(self.two, "lost")
        self.assertFalse(error.maybe)
        self.assertIn("No such file", str(error))
        await self.server.start()
        await self.isAway(False)
        gone.connect(self.two.server)
        await self.two.write("c")
        await self.one.write("d")
        await self.assertGot("a", "b", "c", "d", readers=[*self.readers, gone])
        logged = self.flushLogged()
        for part, times in (
            ("Cannot reach ", 2),
            ("Connected to ", 2),
            ("events are stored again; 1 were not stored", 1),
        ):
            self.assertEqual(sum(part in line for line in logged), times, logged)
        self.assertEqual(len(logged), 5, logged)

    async def test_killedWhileWriting(self) -> None:
        """
        However often the server is killed while two processes publish, acknowledged events are
        stored once and all readers get exactly the stored events, in their order.
        """
        await self.begin()
        acknowledged = []
        for run in range(4):
            done = []
            for number in range(300):
                for side in self.one, self.two:
                    data = f"{run} {number} {side is self.one}"
                    waiting = side.channel.publishAndWait(data, idempotencyKey=data)
                    done.append(waiting)
                    waiting.addCallbacks(
                        lambda event: acknowledged.append(event.data), lambda failure: None
                    )
                if number == 60 * run:
                    self.server.kill()
                await deferLater(reactor, 0)
                if number == 250:
                    await self.server.start()
            await gatherResults(done)
        await self.isAway(False)
        await self.one.write("last")
        stored = self.stored()
        self.assertEqual(len(set(stored)), len(stored))
        self.assertEqual(set(acknowledged) - set(stored), set())
        await self.assertGot(*stored)

    async def test_loading(self) -> None:
        """
        While the server loads its file it is unavailable, and then everything continues.
        """
        await self.begin(timeout=2)
        await self.one.write("a")
        # It answers every 1,024 commands.
        self.server.askAll(*(("SET", f"k{number}", "x") for number in range(5000)))
        self.server.kill()
        # It takes some microseconds for each key.
        self.server.arguments += ["--key-load-delay", "500"]
        self.server.begin()
        await until(lambda: "LOADING" in str(self.one.store.problem()), "it is loading")
        self.assertIn("LOADING", str(await self.failed(self.one, "lost")))
        await self.isAway(False)
        await self.two.write("b")
        await self.assertGot("a", "b")


@needs("network", "redis")
class FrozenTests(SidesTestCase):
    """
    Tests for a server that does not respond.
    """

    async def freeze(self, seconds: float) -> None:
        """
        Freeze the server while both processes publish, and check everything.
        """
        await self.begin()
        await self.one.write("a")
        self.server.stop()
        failing = [
            self.failed(side, f"{number} {side is self.one}")
            for number in range(5)
            for side in (self.one, self.two)
        ]
        pause = deferLater(reactor, seconds)
        for each in failing:
            self.assertTrue((await each).maybe)
        await self.isAway()
        await pause
        self.server.goOn()
        await self.isAway(False)
        await self.two.write("b")
        await self.assertGot(*self.stored())
        stored = self.stored()
        self.assertEqual(len(set(stored)), len(stored))
        self.assertEqual((stored[0], stored[-1]), ("a", "b"))

    async def test_stopped(self) -> None:
        """
        A server that is frozen for long is noticed; events published meanwhile are stored once or
        not at all, and all readers get exactly the stored events.
        """
        await self.freeze(30 if LONG else 3)

    async def test_stoppedBriefly(self) -> None:
        """
        A pause shorter than the timeout has no effect.
        """
        await self.begin()
        self.server.stop()
        waiting = self.one.channel.publishAllAndWait([(Event(each), ()) for each in "ab"])
        await deferLater(reactor, 0.25)
        self.server.goOn()
        await waiting
        await self.assertGot("a", "b")
        self.assertSaid()
        self.assertEqual(self.losses(), 0)

    async def test_once(self) -> None:
        """
        An event with an idempotency key is stored once, even if the response to the first try was
        lost.
        """
        await self.begin(timeout=2)
        self.server.stop()
        waiting = self.one.channel.publishAndWait("a", idempotencyKey="key")
        await deferLater(reactor, 0.1)
        # The connection is lost, and the sent command is in the server's buffer.
        self.one.store._session.commands.link.connection.abort("lost")
        await deferLater(reactor, 0.1)
        self.server.goOn()
        await waiting
        await self.two.write("b")
        await self.assertGot("a", "b")
        self.assertEqual(self.stored(), ["a", "b"])

    async def test_sleeping(self) -> None:
        """
        A slow command makes the server unavailable for its duration, without further effects.
        """
        await self.begin()
        process = deferToThread(self.server.cli, "DEBUG", "SLEEP", "1.5")
        await self.isAway()
        await process
        await self.isAway(False)
        await self.one.write("a")
        await self.assertGot("a")

    async def test_connections(self) -> None:
        """
        Killed connections are replaced, and nothing is lost.
        """
        await self.begin()
        for number in range(10):
            # With a key, since the connection may be lost between the command and its response.
            await self.one.channel.publishAndWait(f"{number}", idempotencyKey=f"{number}")
            self.server.ask("CLIENT", "KILL", "TYPE", "normal")
        await self.two.channel.publishAndWait("last", idempotencyKey="last")
        await self.assertGot(*map(str, range(10)), "last")
        await until(lambda: len(self.server.connections()) == 4, "each has two connections")

    def losses(self) -> float:
        """
        @return: the number of lost connections.
        """
        return sum(
            figure.value
            for side in (self.one, self.two)
            for figure in side.store.figures()
            if figure.name == "losses"
        )
