"""
Tests for two daemons that share a Redis server with faults of every kind: it is killed and
restarted, it freezes, it cuts off connections, and a replica takes over, with or without the newest
events.

With C{SSE_LONG=1} in the environment, two hundred readers resume five times around each of a hundred
faults.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from tempfile import mkdtemp
from typing import NamedTuple

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.python import log
from twisted.python.filepath import FilePath

from tests.support.daemons import FOREGROUND
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
from tests.support.redis_pair import Pair
from tests.support.redis_server import Entry
from tests.support.requirements import needs
from twisted_sse import MessageEvent

LONG = os.environ.get("SSE_LONG") == "1"

#: The number of readers, and how often each resumes around a fault, and how often each fault
#: occurs.
READERS = 204 if LONG else 12
HOPS = 5 if LONG else 4
ROUNDS = 15 if LONG else 1

#: The number of readers that stay connected, and show the effect of a failover.
STAYING = 4

#: The duration of a fault in seconds, while readers connect and disconnect.
SECONDS = 1.5 if LONG else 0.5

#: The number of publishers, and the pause of each after an event, in seconds.
PUBLISHERS = 4
PAUSE = 0.1 if LONG else 0.02

#: The stream.
KEY = "sse:/"


def number(identifier: str) -> tuple[int, int]:
    """
    @return: the ID of an entry, to be compared.
    """
    ms, _, seq = identifier.partition("-")
    return int(ms), int(seq)


class Seen(NamedTuple):
    """
    An event that a reader has received.
    """

    identifier: str
    data: str

    @property
    def number(self) -> tuple[int, int]:
        """
        Its ID, to be compared.
        """
        return number(self.identifier)


class Reset(NamedTuple):
    """
    A notice to a reader that it has lost events.

    @ivar place: the ID that it has from then on.
    """

    place: str


class Lost(NamedTuple):
    """
    The newest events that a replica lacked when it took over.

    @ivar fork: the last entry that it had.
    @ivar events: the events after it.
    """

    fork: str
    events: list[Seen]

    def isBetween(self, before: Seen | None, after: Seen) -> bool:
        """
        Whether this loss lies between two events, where the first may itself be lost; the next
        events may be all kept ones.
        """
        fork = number(self.fork)
        if before in self.events:
            return True
        return (before is None or before.number <= fork) and after.number > fork


class Reader(Follower):
    """
    A reader that changes between the daemons.

    @ivar story: the events and notices it has received.
    @ivar resumed: how often it has reconnected with an ID.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, 20)
        self.story: list[Seen | Reset] = []
        self.resumed = 0

    def connect(self) -> None:
        """
        See L{Follower}.
        """
        self.resumed += self.lastEventID != ""
        super().connect()

    def received(self, event: MessageEvent) -> None:
        """
        See L{Follower}.
        """
        if event.type == "stream-reset":
            self.story.append(Reset(event.lastEventID))
        else:
            assert event.type == "message", event
            self.story.append(Seen(event.lastEventID, event.data))

    @property
    def resets(self) -> int:
        """
        The number of notices of lost events.
        """
        return sum(isinstance(each, Reset) for each in self.story)

    @property
    def newest(self) -> Seen | None:
        """
        The newest event that it has received.
        """
        return next((each for each in reversed(self.story) if isinstance(each, Seen)), None)


def isAfter(reader: Reader, entry: str) -> bool:
    """
    Whether a reader has an event that is newer than an entry.
    """
    newest = reader.newest
    return newest is not None and newest.number > number(entry)


def eventsOf(entries: Sequence[Entry]) -> list[Seen]:
    """
    @return: the entries that are events.
    """
    return [Seen(identifier, fields["data"]) for identifier, fields in entries if "data" in fields]


class Histories:
    """
    The permitted order of events: the final sequence, from which lost events branch off.
    """

    def __init__(self, kept: list[Seen], losses: Sequence[Lost]) -> None:
        self.kept = kept
        self.losses = losses
        self._follow: dict[Seen | None, set[Seen | None]] = {None: {kept[0]}}
        lines: list[Sequence[Seen | None]] = [kept]
        lines += [[self._lastUntil(loss.fork), *loss.events] for loss in losses]
        for line in lines:
            for before, after in pairwise(line):
                self._follow.setdefault(before, set()).add(after)

    def _lastUntil(self, fork: str) -> Seen | None:
        return next((each for each in reversed(self.kept) if each.number <= number(fork)), None)

    def _firstAfter(self, place: str) -> Seen | None:
        if not place:
            return None
        if place.startswith("<"):
            return next((each for each in self.kept if each.number >= number(place[1:])), None)
        return next((each for each in self.kept if each.number > number(place)), None)

    def check(self, story: Sequence[Seen | Reset]) -> str | None:
        """
        @return: the error in the events that a reader has received; L{None} if there is none.
        """
        before: Seen | None = None
        reset: Reset | None = None
        # Each is reported at most once.
        left = list(self.losses)
        for seen in story:
            if isinstance(seen, Reset):
                if reset is not None:
                    return f"after {before}: two resets"
                reset = seen
                continue
            if reset is None:
                if seen not in self._follow.get(before, ()):
                    return f"{seen} follows {before}"
            else:
                # A reader that resumes gets all kept events; a connected one continues from a
                # position.
                if seen not in (self.kept[0], self._firstAfter(reset.place)):
                    return f"{seen} follows {reset}"
                loss = next((each for each in left if each.isBetween(before, seen)), None)
                if loss is None:
                    return f"a reset between {before} and {seen}"
                left.remove(loss)
                reset = None
            before = seen
        if before != self.kept[-1]:
            return f"it ends with {before}"
        return None


@needs("network", "redis")
class StormTests(LiveTestCase):
    """
    Tests for readers and publishers of two daemons with one Redis server, which has a replica.
    """

    timeout = 3600 if LONG else 180

    async def begin(self) -> None:
        """
        Start everything.
        """
        allowDescriptors(self, 4 * READERS + 100)
        self.chance = random.Random(15)
        self.losses: list[Lost] = []
        self.pair = Pair(self)
        await self.pair.start()
        directory = FilePath(mkdtemp(prefix="twisted-sse-"))
        self.addCleanup(directory.remove)
        self.ports = [freePort(), freePort()]
        self.logs = [directory.child(str(port)) for port in self.ports]
        self.daemons = [self.daemon(*each) for each in zip(self.ports, self.logs, strict=True)]
        addresses = [("127.0.0.1", port) for port in self.ports]
        self.readers = [Reader(addresses[count % 2]) for count in range(READERS)]
        looking = LoopingCall(self.look)
        looking.clock = reactor
        looking.start(0.02)
        self.addCleanup(looking.stop)
        for reader in self.readers:
            self.addCleanup(reader.close)
            reader.connect()
        await self.allOpen()
        self.publishers = [
            Publisher(self, self.ports[count % 2 :] + self.ports[: count % 2], f"p{count}", PAUSE)
            for count in range(PUBLISHERS)
        ]

    def look(self) -> None:
        """
        Have all readers process their received bytes.
        """
        for reader in self.readers:
            reader.look()

    def daemon(self, port: int, logFile: FilePath[str]) -> Child:
        """
        Start a daemon.
        """
        _, *command = FOREGROUND
        return Child(
            self,
            *(*command, f"--logfile={logFile.path}"),
            *("sse", "post", f"--port={port}", f"--store={self.pair.url}"),
            # Enough for everything, so that no reader gets a reset because of dropped events.
            *("--store-events=10000000", "--history=50"),
        )

    async def allOpen(self) -> None:
        """
        Wait until all readers have a stream.
        """
        await until(
            lambda: all(each.isOpen and each.lastEventID for each in self.readers),
            "all are connected",
            3 * PATIENCE,
        )

    async def hop(self, reader: Reader) -> None:
        """
        Have a reader resume repeatedly, at one daemon or the other.
        """
        for _ in range(HOPS):
            await deferLater(reactor, self.chance.uniform(0, 2 * SECONDS / HOPS))
            reader.move(("127.0.0.1", self.chance.choice(self.ports)))

    async def published(self, count: int = 3) -> None:
        """
        Wait until more events of all publishers were acknowledged.
        """
        before = [len(publisher.ids) for publisher in self.publishers]
        await until(
            lambda: all(
                len(each.ids) >= least + count
                for each, least in zip(self.publishers, before, strict=True)
            ),
            "all publish",
            3 * PATIENCE,
        )

    # The faults

    async def killed(self) -> None:
        """
        The server is killed, and started again.
        """
        self.pair.master.kill()
        await deferLater(reactor, self.chance.uniform(0, SECONDS / 2))
        await self.pair.master.start()
        await self.pair.inSync()

    async def frozen(self) -> None:
        """
        The server does nothing for a while: in the long form, at times for longer than a daemon
        waits for an answer.
        """
        self.pair.master.stop()
        await deferLater(reactor, 6.0 if LONG and self.chance.random() < 0.2 else SECONDS)
        self.pair.master.goOn()
        await self.pair.inSync()

    async def disconnected(self) -> None:
        """
        The server closes all connections, repeatedly.
        """
        for _ in range(3):
            self.pair.master.ask("CLIENT", "KILL", "TYPE", "normal")
            await deferLater(reactor, self.chance.uniform(0, SECONDS / 3))

    async def cut(self) -> None:
        """
        The network fails for a while.
        """
        self.pair.shut()
        await deferLater(reactor, self.chance.uniform(0, SECONDS))
        self.pair.reopen()

    async def handedOver(self) -> None:
        """
        The replica takes over when it has everything.
        """
        pair = self.pair
        pair.master.ask("CLIENT", "PAUSE", "10000", "WRITE")
        await until(
            lambda: pair.replica.last(KEY) == pair.master.last(KEY), "the replica has everything"
        )
        pair.replica.ask("REPLICAOF", "NO", "ONE")
        self.pair.swap()
        await pair.replicate()

    async def failedOver(self) -> None:
        """
        The replica takes over, and lacks the newest events.
        """
        pair = self.pair
        behind, ahead, *there = self.readers[:STAYING]
        await pair.inSync()
        behind.close()
        resets = behind.resets
        pair.replica.ask("REPLICAOF", "NO", "ONE")
        fork = pair.replica.last(KEY)
        await self.published(2)
        await until(lambda: isAfter(ahead, fork), "it has an event that will be lost")
        ahead.close()
        pair.shut()
        # Commands received until now are carried out now, or never.
        pair.master.ask("CLIENT", "KILL", "TYPE", "normal")
        self.losses.append(Lost(fork, eventsOf(pair.master.entries(KEY, fork))))
        await deferLater(reactor, self.chance.uniform(0, SECONDS / 2))
        begin = pair.replica.last(KEY)
        pair.swap()
        # When both daemons know it.
        before = [each.resets for each in there]
        await until(
            lambda: all(
                each.resets > count and isinstance(each.story[-1], Seen)
                for each, count in zip(there, before, strict=True)
            ),
            "notices to the connected readers",
        )
        for reader in behind, ahead:
            reader.stopped = False
            reader.connect()
        await until(lambda: isAfter(behind, begin) and isAfter(ahead, begin), "both continue")
        # It had none of the lost events.
        self.assertEqual(behind.resets, resets)
        await pair.replicate()

    async def test_storm(self) -> None:
        """
        Whatever happens to the server, each reader gets each event once and in order, wherever it
        resumes; if events are lost, it is notified exactly there, and never otherwise; all
        acknowledged events are there, except for the lost ones.
        """
        await self.begin()
        running = [Deferred.fromCoroutine(publisher.run()) for publisher in self.publishers]
        await self.published()
        faults: list[Callable[[], Awaitable[None]]] = [
            self.killed,
            self.frozen,
            self.disconnected,
            self.cut,
            self.handedOver,
            self.failedOver,
        ] * ROUNDS
        # Until the number defined above is reached.
        faults += [self.killed, self.disconnected] * ((100 - len(faults)) // 2 if LONG else 0)
        self.chance.shuffle(faults)
        for fault in faults:
            hopping = [Deferred.fromCoroutine(self.hop(each)) for each in self.readers[STAYING:]]
            await deferLater(reactor, self.chance.uniform(0, SECONDS / 2))
            await fault()
            await gatherResults(hopping)
            await self.published()
            await self.allOpen()
        for publisher in self.publishers:
            publisher.stop()
        await gatherResults(running)
        kept = eventsOf(self.pair.master.entries(KEY))
        await until(
            lambda: all(reader.newest == kept[-1] for reader in self.readers),
            "all got all",
            3 * PATIENCE,
        )
        self.verify(Histories(kept, self.losses))

    def verify(self, histories: Histories) -> None:
        """
        Assert that everything is as it must be.
        """
        wrong = [why for each in self.readers if (why := histories.check(each.story)) is not None]
        self.assertEqual(wrong, [])
        texts = [seen.data for seen in histories.kept]
        self.assertEqual(len(set(texts)), len(texts))
        lost = [seen for loss in self.losses for seen in loss.events]
        known = {seen.identifier for seen in [*histories.kept, *lost]}
        for publisher in self.publishers:
            self.assertEqual(set(publisher.ids) - known, set())
            name = publisher.name
            mine = [int(text.partition("-")[2]) for text in texts if text.startswith(f"{name}-")]
            self.assertEqual(mine, sorted(mine))
            missing = set(range(1, publisher.sent + 1)) - set(mine)
            self.assertLessEqual({f"{name}-{count}" for count in missing}, {e.data for e in lost})
        self.assertTrue(all(loss.events for loss in self.losses))
        resets = sum(reader.resets for reader in self.readers)
        resumed = sum(reader.resumed for reader in self.readers)
        self.assertGreaterEqual(resumed, (READERS - STAYING) * HOPS)
        for daemon, said in zip(self.daemons, self.logs, strict=True):
            self.assertNotIn("Traceback", said.getContent().decode())
            self.assertEqual(daemon.errors, b"")
        log.msg(
            f"{resumed} resumes, {len(texts)} events kept, {len(lost)} lost in"
            f" {len(self.losses)} failovers, {resets} resets"
        )
