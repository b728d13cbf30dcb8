"""
A model of channels in two processes that share a Redis server, with faults of every kind: a client
gets each event once and in order, unless it is first notified that it has missed some.

The content of the stream is the reference: the model reads it after each step.

With C{SSE_LONG=1} in the environment there are more examples.
"""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.support.redis_server import RedisServer, RedisTestCase
from tests.support.requirements import needs
from tests.support.socket_clock import SocketClock
from twisted_sse import Channel, EventStreamResource, History
from twisted_sse.store import NotStored, RedisStore
from twisted_sse.store.redis.places import EntryID, readID
from twisted_sse.testing import MemoryClient

EXAMPLES = 1000 if os.environ.get("SSE_LONG") == "1" else 60

#: The time the server may take to respond, in seconds.
TIMEOUT = 0.05

#: The number of readers.
READERS = 4

prefixes = count()
sides = st.integers(0, 1)
readers = st.integers(0, READERS - 1)


class Process:
    """
    A process: a store, a channel, and a server.
    """

    def __init__(self, server: RedisServer, clock: Any, prefix: str, window: int) -> None:
        self.store = RedisStore(server.url, prefix=prefix, timeout=TIMEOUT, reactor=clock)
        history = History(maxEvents=window)
        self.channel = Channel(history, "news", reactor=clock, store=self.store)
        self.server = MemoryClient(
            EventStreamResource(self.channel.subscribe, heartbeat=None), clock
        )

    def close(self) -> None:
        """
        End.
        """
        self.server.close()
        self.channel.close()
        self.store.close()


class Reader:
    """
    A client, across its connections.

    @ivar last: the ID of the last event received.
    @ivar must: the ID after which it must get everything; L{None} if that is not known.
    @ivar mayReset: whether it may be notified of missed events.
    @ivar mustReset: the ID after which it gets nothing before a notice; L{None} if no notice is
        required.
    """

    def __init__(self) -> None:
        self.browser: Any = None
        self.side = 0
        self.seen = 0
        self.lastEventID = ""
        self.last = EntryID(0, 0)
        self.must: EntryID | None = None
        self.mayReset = False
        self.mustReset: EntryID | None = None
        self.got: set[EntryID] = set()


class RedisMachine(RuleBasedStateMachine):
    """
    Two processes, and the faults of these and of the server.
    """

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.readers = [Reader() for _ in range(READERS)]
        self.numbers = count()
        #: All events that were ever seen in the stream, and those that were deleted alone.
        self.events: dict[EntryID, str] = {}
        self.deleted: set[EntryID] = set()
        #: The results of publishing: an ID, or whether the event may be stored.
        self.outcomes: dict[str, str | bool | None] = {}
        self.isFrozen = False
        #: Whether there is a loss that may not have been noticed.
        self.isLost = False

    @initialize(window=st.sampled_from([1, 3, 1000]))
    def begin(self, window: int) -> None:
        """
        Start.
        """
        self.window = window
        self.prefix = f"{next(prefixes)}:"
        self.key = f"{self.prefix}news"
        self.clock = SocketClock(self.answers)
        self.processes = [self.start() for _ in range(2)]
        self.settle()
        for number in range(2):
            self.connect(number, number)

    def start(self) -> Process:
        """
        Start a process.
        """
        return Process(self.server, self.clock, self.prefix, self.window)

    def answers(self) -> None:
        """
        Wait until the server has done everything: after its second answer, it has sent all results
        of commands before the first.
        """
        if not self.isFrozen:
            for _ in range(2):
                self.server.ask("PING")

    # Publishing

    @rule(side=sides, number=st.integers(1, 4), keyed=st.booleans(), settles=st.booleans())
    def publish(self, side: int, number: int, keyed: bool, settles: bool) -> None:
        """
        Publish some events.
        """
        for _ in range(number):
            data = f"{next(self.numbers)}"
            self.outcomes[data] = None
            key = data if keyed else None
            waiting = self.processes[side].channel.publishAndWait(data, idempotencyKey=key)

            def stored(event: Any, data: str = data) -> None:
                self.outcomes[data] = event.id

            def failed(failure: Any, data: str = data) -> None:
                failure.trap(NotStored)
                self.outcomes[data] = failure.value.maybe

            waiting.addCallbacks(stored, failed)
        if settles:
            self.settle()

    @rule(number=st.integers(1, 5), isEvent=st.booleans(), settles=st.booleans())
    def add(self, number: int, isEvent: bool, settles: bool) -> None:
        """
        Another program adds events, or invalid entries.
        """
        if not self.isFrozen:
            for _ in range(number):
                data = f"{next(self.numbers)}"
                fields = ("data", data) if isEvent else ("foo", data)
                self.server.ask("XADD", self.key, "*", *fields)
            self.look()
        if settles:
            self.settle()

    # Readers

    @rule(number=readers, side=sides)
    def connect(self, number: int, side: int) -> None:
        """
        Connect a reader, if it is not, to any process.
        """
        reader = self.readers[number]
        if reader.browser is not None:
            return
        reader.side = side
        reader.seen = 0
        headers = {"Last-Event-ID": reader.lastEventID} if reader.lastEventID else {}
        reader.browser = self.processes[side].server.get("/", headers)
        # Its position may be dropped, or before an entry that is not an event.
        reader.mayReset |= bool(reader.lastEventID)
        if not reader.lastEventID:
            reader.must = None
        elif not (self.isFrozen or self.isLost):
            reader.mayReset = reader.lastEventID not in {str(each) for each in self.ids()}

    @rule(number=readers)
    def disconnect(self, number: int) -> None:
        """
        Disconnect a reader.
        """
        reader = self.readers[number]
        if reader.browser is not None:
            self.check()
            self.leave(reader)

    def leave(self, reader: Reader) -> None:
        """
        A connection has ended.
        """
        parser = reader.browser._response.parser
        reader.lastEventID = parser.lastEventID or reader.lastEventID
        if not reader.browser._response.closed:
            reader.browser.disconnect()
        reader.browser = None

    # Faults

    def lose(self) -> None:
        """
        Every reader may be notified of a loss.
        """
        self.isLost = True
        for reader in self.readers:
            reader.mayReset = True
            reader.must = None

    @rule()
    def kill(self) -> None:
        """
        Kill all connections.
        """
        if not self.isFrozen:
            self.server.ask("CLIENT", "KILL", "TYPE", "normal")

    @rule(number=st.integers(0, 3), side=sides)
    def pause(self, number: int, side: int) -> None:
        """
        Freeze the server for less than the timeout.
        """
        if not self.isFrozen:
            self.server.stop()
            self.isFrozen = True
            if number:
                self.publish(side, number, False, False)
            self.clock.advance(TIMEOUT / 3)
            self.thaw()

    @rule(number=st.integers(0, 3), side=sides)
    def freeze(self, number: int, side: int) -> None:
        """
        Freeze the server until that is noticed.
        """
        if not self.isFrozen:
            self.settle()
            self.server.stop()
            self.isFrozen = True
            if number:
                self.publish(side, number, bool(number % 2), False)
            self.clock.advance(TIMEOUT * 2)
            for process in self.processes:
                assert process.store.problem() is not None

    @rule()
    def thaw(self) -> None:
        """
        Resume the server.
        """
        if self.isFrozen:
            self.server.goOn()
            self.isFrozen = False

    @rule(settles=st.booleans())
    def flush(self, settles: bool) -> None:
        """
        Delete everything.
        """
        if not self.isFrozen:
            if settles:
                self.settle()
            self.look()
            self.server.ask("FLUSHALL")
            newest = max(self.events, default=EntryID(0, 0))
            self.deleted.update(self.events)
            self.lose()
            for reader in self.readers:
                if settles and (reader.browser is not None or reader.lastEventID):
                    reader.mustReset = newest

    @rule(settles=st.booleans())
    def deleteNewest(self, settles: bool) -> None:
        """
        Delete the newest entry.
        """
        if not self.isFrozen and self.ids():
            if settles:
                self.settle()
            self.look()
            id = self.ids()[-1]
            self.server.ask("XDEL", self.key, str(id))
            self.deleted.add(id)
            self.lose()
            for reader in self.readers:
                if settles and reader.browser is not None:
                    reader.mustReset = id

    @rule(number=st.integers(0, 100))
    def deleteOne(self, number: int) -> None:
        """
        Delete some other entry, which need not be noticed.
        """
        if not self.isFrozen:
            self.settle()
            ids = self.ids()[:-1]
            if ids:
                id = ids[number % len(ids)]
                self.server.ask("XDEL", self.key, str(id))
                self.deleted.add(id)

    @rule(number=st.integers(0, 3))
    def trim(self, number: int) -> None:
        """
        Drop all entries but a few.
        """
        if not self.isFrozen:
            self.settle()
            self.server.ask("XTRIM", self.key, "MAXLEN", str(number))
            if number == 0:
                self.lose()
            for reader in self.readers:
                # Unread entries may be dropped.
                if reader.browser is None:
                    reader.mayReset = True

    @rule(restarts=st.booleans())
    def restartServer(self, restarts: bool) -> None:
        """
        Kill the server, and restart it with its data.
        """
        if not self.isFrozen and restarts:
            self.look()
            self.server.kill()
            self.isFrozen = True
            self.clock.advance(TIMEOUT / 2)
            self.server.begin()
            while not self.server.isReady():
                self.clock.advance(0.005)
            self.isFrozen = False

    @rule(side=sides)
    def restart(self, side: int) -> None:
        """
        End a process, and start another.
        """
        self.check()
        for reader in self.readers:
            if reader.browser is not None and reader.side == side:
                self.leave(reader)
        self.processes[side].close()
        self.processes[side] = self.start()
        if not self.isFrozen:
            self.settle()

    # What must hold

    def ids(self) -> list[EntryID]:
        """
        @return: the IDs of all entries.
        """
        return [readID(id.encode()) for id, _ in self.server.ask("XRANGE", self.key, "-", "+")]

    def look(self) -> None:
        """
        Read the stream.
        """
        for id, fields in self.server.ask("XRANGE", self.key, "-", "+"):
            if fields[0] == "data":
                self.events[readID(id.encode())] = fields[1]

    @rule()
    def settle(self) -> None:
        """
        Wait until all is done: each reader has everything.
        """
        self.clock.settle()
        if self.isFrozen:
            self.check()
            return
        # It reconnects, checks whether everything is unchanged, and opens logs that are not open.
        for _ in range(1000):
            if all(
                process.store.problem() is None and process.channel._storage.log is not None
                for process in self.processes
            ):
                break
            self.clock.advance(TIMEOUT / 10)
        else:
            raise AssertionError([process.store.problem() for process in self.processes])
        if self.isLost or None in self.outcomes.values():
            # That is noticed, or given up, within the timeout.
            self.isLost = False
            self.clock.advance(TIMEOUT * 2)
        self.check()
        ids = self.ids()
        for reader in self.readers:
            if reader.browser is not None:
                assert reader.mustReset is None, "not told"
                if reader.must is not None:
                    missing = self.between(reader.must, None) - reader.got
                    assert not missing, f"{missing} are missing"
                reader.must = ids[-1] if ids else None
                reader.mayReset = False
        for data, outcome in self.outcomes.items():
            assert outcome is not None, f"the result of {data} is unknown"
        stored = list(self.events.values())
        assert len(set(stored)) == len(stored), "something is stored twice"
        for data, outcome in self.outcomes.items():
            if outcome is False:
                assert data not in stored, f"{data} was stored all the same"

    def between(self, after: EntryID, before: EntryID | None) -> set[EntryID]:
        """
        @return: the IDs of the events between two.
        """
        return {
            id
            for id in self.events
            if after < id and (before is None or id < before) and id not in self.deleted
        }

    def check(self) -> None:
        """
        Check what the readers have received.
        """
        if not self.isFrozen:
            self.look()
        for reader in self.readers:
            if reader.browser is None:
                continue
            events = reader.browser._response.events
            for event in events[reader.seen :]:
                self.checkEvent(reader, event)
            reader.seen = len(events)
            if reader.browser._response.closed or reader.browser._response.complete:
                self.leave(reader)

    def checkEvent(self, reader: Reader, event: Any) -> None:
        """
        Check one event.
        """
        if event.type == "stream-reset":
            assert reader.mayReset, "told for nothing"
            reader.must = reader.mustReset = None
            # Kept events are sent again.
            reader.last = EntryID(0, 0)
            return
        if event.type == "stream-position":
            return
        id = readID(event.lastEventID.encode())
        assert id > reader.last, f"{id} came after {reader.last}"
        assert reader.mustReset is None or id <= reader.mustReset, "not told"
        if not self.isFrozen:
            assert self.events.get(id) == event.data, f"{id} is {self.events.get(id)}"
        if reader.must is not None:
            missing = self.between(reader.must, id) - reader.got
            assert not missing, f"before {id} these are missing: {missing}"
            reader.must = id
        reader.got.add(id)
        reader.last = id

    def teardown(self) -> None:
        """
        End everything.
        """
        if self.processes:
            self.thaw()
            self.settle()
            for process in self.processes:
                process.close()
            self.clock.advance(0.01)
            assert not self.clock.transports, "connections are left"
            left = [call for call in self.clock.getDelayedCalls() if "Site" not in str(call)]
            assert not left, left


@needs("network", "redis")
class RedisModelTests(RedisTestCase):
    """
    Runs the model.
    """

    timeout = 3600

    arguments = ("--appendonly", "yes", "--appendfsync", "always")

    def test_model(self) -> None:
        """
        Whatever happens to the server and to the stream, a client gets each event once and in
        order, unless it is first notified that it has missed some; and acknowledged events are
        stored once.
        """
        machine = type("Machine", (RedisMachine,), {"server": self.server})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                # The time is real, so failures cannot be repeated exactly.
                phases=[Phase.generate],
                report_multiple_bugs=False,
                database=None,
            ),
        )
