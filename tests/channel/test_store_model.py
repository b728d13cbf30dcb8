"""
A model of a channel with a store: across restarts, kills and failures, a client gets each event
that it chose once and in order, unless it is first notified that it has missed some.

The model has a list of all events, which of them are stored, and each client's position.  It does
not know how the channel or the store works.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.quiet_clock import QuietClock
from tests.support.store_worlds import (
    DelayedWorld,
    LateWorld,
    ListWorld,
    SharedWorld,
    SmallWorld,
    SQLiteWorld,
    World,
)
from twisted_sse import Channel, Event, EventStream, EventStreamResource, History
from twisted_sse.store import KeyReused, NotStored
from twisted_sse.testing import MemoryClient, MemoryStream

#: The number of clients.
CLIENTS = 4

Topics = frozenset[str] | None

opening = st.sampled_from([True, True, True, False])


class State(enum.Enum):
    """
    The fate of an event.
    """

    PENDING = "nobody knows yet"
    STORED = "it is stored"
    SEEN = "it is not stored, but was handed to subscribers"
    GONE = "it is not stored, and only those know it who have got it before a kill"
    VOID = "it is not stored, and nobody has seen it"


@dataclass
class Published:
    """
    An event that was published.

    @ivar run: in which process.
    """

    data: str
    topics: frozenset[str]
    given: str | None
    run: int
    key: str | None = None
    state: State = State.PENDING
    id: str | None = None


@dataclass
class Client:
    """
    A client, across its reconnections.

    @ivar lastEventID: the last ID that its parser had when it was disconnected.
    @ivar choices: the choices that may apply to the events not received yet.
    @ivar low: the number of the first event that it may get.
    @ivar placed: at most the number of the event after its last ID.
    @ivar must: the number of the first event that it must get, if it is chosen.
    @ivar last: the number of the event with its last ID; L{None} if there is none.
    @ivar mustReset: whether it must first be notified of missed events.
    @ivar mayReset: whether it may be notified, for a reason that the events do not show.
    @ivar isPaused: whether its stream was unsubscribed.
    """

    browser: MemoryStream | None = None
    stream: EventStream | None = None
    lastEventID: str = ""
    seen: int = 0
    choices: list[Topics] = field(default_factory=lambda: [None])
    low: int = 0
    placed: int = 0
    must: int = 0
    last: int | None = None
    mustReset: bool = False
    mayReset: bool = False
    isPaused: bool = False


def isAny(event: Event) -> bool:
    """
    Choose all events, one by one.
    """
    return True


class StoreMachine(RuleBasedStateMachine):
    """
    A channel with a store, and its clients, on which the rules act.
    """

    #: Makes the kind of store.
    makeWorld: type[World] = ListWorld

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Published] = []
        self.serial = 0
        #: The latest event with each key.
        self.keys: dict[str, Published] = {}
        #: The numbers of the events before which the store may have a hole.
        self.holes: list[int] = []
        self.clients = [Client() for _ in range(CLIENTS)]
        #: Errors in the outcomes.
        self.errors: list[Failure] = []
        self.run = 0
        self.isAway = self.isFailing = False
        #: The number of the first event that may not have been handed to new subscribers.
        self.settled = 0
        self.connecting: Callable[[EventStream], None] = lambda stream: None

    @initialize(
        window=st.sampled_from([1, 3, 10, 1000]),
        connected=st.integers(0, CLIENTS),
        opens=opening,
    )
    def begin(self, window: int, connected: int, opens: bool) -> None:
        """
        Make a store, a first process, and some clients.
        """
        self.world = self.makeWorld()
        self.window = window
        self.start(opens)
        for client in range(connected):
            self.connect(client, frozenset("x") if client % 2 else None, True, True)

    # Processes

    def start(self, opens: bool) -> None:
        """
        Start a process.

        @param opens: whether the store is open before anything else happens.
        """
        self.run += 1
        self.clock = QuietClock()
        self.store = self.world.begin(self.clock)
        history = History(maxEvents=self.window)
        self.channel = Channel(history, "news", reactor=self.clock, store=self.store)
        self.isReady = False

        def ready(_: None) -> None:
            self.isReady = True

        self.channel.whenReady().addCallbacks(ready, lambda failure: None)
        resource = EventStreamResource(lambda stream: self.connecting(stream))
        self.server = MemoryClient(resource, clock=self.clock)
        if opens:
            self.turn(10)

    def leave(self, client: Client) -> None:
        """
        The connection of a client has ended.
        """
        assert client.browser is not None
        client.lastEventID = client.browser._response.parser.lastEventID or client.lastEventID
        client.browser = client.stream = None

    @rule(settles=st.booleans(), opens=opening)
    def restart(self, settles: bool, opens: bool) -> None:
        """
        Close everything, and start the next process.
        """
        if settles:
            self.settle()
        self.setAway(False)
        self.channel.close()
        closed: list[object] = []
        self.store.close().addBoth(closed.append)
        self.advance()
        assert closed == [None], "the store is not closed"
        self.check()
        for client in self.clients:
            if client.browser is not None:
                self.leave(client)
        self.world.kill()
        self.account()
        self.start(opens)

    @rule(opens=opening)
    def kill(self, opens: bool) -> None:
        """
        Kill the process, and start the next.
        """
        self.check()
        for client in self.clients:
            if client.browser is not None:
                self.leave(client)
        # Nothing advances the clock any more.
        self.world.kill()
        self.account()
        self.start(opens)

    def account(self) -> None:
        """
        A process has ended: find out which events remain.
        """
        self.updateStored()
        ofRun = [number for number, each in enumerate(self.published) if each.run == self.run]
        last = max(
            (number for number in ofRun if self.published[number].state is State.STORED), default=-1
        )
        for number in ofRun:
            each = self.published[number]
            if each.state is State.PENDING or (each.state is State.SEEN and number > last):
                # No event follows it: only clients that received it know that it existed.
                each.state = State.GONE

    def updateStored(self) -> None:
        """
        Find out which events are stored.
        """
        stored = self.world.stored()
        for each in self.published:
            if each.data in stored and each.state is State.PENDING:
                each.state = State.STORED
            if each.state is State.STORED:
                each.id = stored.get(each.data) or each.id

    # Publishing

    @rule(
        topics=st.frozensets(st.sampled_from(["x", "y"])),
        many=st.sampled_from([1, 1, 2, 5, 12]),
        size=st.sampled_from([10, 10, 3000]),
        given=st.sampled_from([None, None, None, "a", "b"]),
        hasKey=st.booleans(),
        turns=st.sampled_from([0, 0, 1, 4]),
    )
    def publish(
        self,
        topics: frozenset[str],
        many: int,
        size: int,
        given: str | None,
        hasKey: bool,
        turns: int,
    ) -> None:
        """
        Publish some events.
        """
        for _ in range(many):
            self.serial += 1
            key = f"key {self.serial}" if hasKey else None
            data = f"{self.serial}:".ljust(size, "-")
            self.publishOne(
                Published(data, topics, None if self.world.makesIDs else given, self.run, key)
            )
        self.turn(turns)

    def publishOne(self, event: Published) -> None:
        """
        Publish an event that was not published, or whose publishing failed.
        """
        self.published.append(event)
        number = len(self.published) - 1
        for client in self.clients:
            # A client that connected with this ID, and has yet to read, means the position before.
            client.mayReset |= client.lastEventID == event.given and not client.seen
        if event.key is not None:
            self.keys[event.key] = event

        def done(outcome: Event | Failure) -> None:
            if event.run != self.run or event.state is not State.PENDING:
                return
            if isinstance(outcome, Event):
                event.state = State.STORED
                event.id = outcome.id
                return
            error = outcome.value
            assert isinstance(error, NotStored), error
            if self.world.makesIDs:
                self.updateStored()
                if event.state is State.PENDING:
                    event.state = State.VOID
                return
            self.holes.append(number)
            event.state = State.SEEN if error.maybe else State.VOID

        self.send(event).addBoth(done).addErrback(self.errors.append)

    def send(self, event: Published) -> Deferred[Event]:
        """
        Pass an event to the channel.
        """
        return self.channel.publishAndWait(
            event.data, topics=event.topics, id=event.given, idempotencyKey=event.key
        )

    @rule(number=st.integers(0, 100))
    def publishAgain(self, number: int) -> None:
        """
        Publish an event again with its key, as if the response had been lost.
        """
        if not self.keys:
            return
        event = list(self.keys.values())[-1 - number % len(self.keys)]
        if event.state not in (State.PENDING, State.STORED):
            self.publishOne(Published(event.data, event.topics, event.given, self.run, event.key))
            return

        run = self.run

        def done(outcome: Event | Failure) -> None:
            # The results of a process that was killed reach no publisher.
            if isinstance(outcome, Event) and run == self.run:
                self.updateStored()
                assert event.state is State.STORED, "it is said to be stored"
                assert event.id in (None, outcome.id), "not the ID from the first time"
                event.id = outcome.id

        self.send(event).addBoth(done).addErrback(self.errors.append)

    @rule(number=st.integers(0, 100))
    def publishOther(self, number: int) -> None:
        """
        Publish another event with a used key.
        """
        used = [each for each in self.keys.values() if each.state is State.STORED]
        if not used or self.isAway:
            return
        event = used[-1 - number % len(used)]
        outcomes: list[object] = []
        try:
            other = self.channel.publishAndWait("other", idempotencyKey=event.key)
        except KeyReused:
            return
        other.addBoth(outcomes.append)
        self.advance()
        [outcome] = outcomes
        assert isinstance(outcome, Failure), "it was published"
        expected = (KeyReused, NotStored) if self.isFailing else (KeyReused,)
        assert outcome.check(*expected), outcome

    # Clients

    def pick(self, number: int, connected: bool) -> Client | None:
        """
        Pick a client that is connected, or one that is not.
        """
        some = [client for client in self.clients if (client.browser is not None) is connected]
        return some[number % len(some)] if some else None

    @rule(
        number=st.integers(0, CLIENTS - 1),
        topics=st.sampled_from([None, frozenset("x"), frozenset("xy")]),
        keeps=st.sampled_from([True, True, True, False]),
        reads=st.sampled_from([True, True, False]),
        asks=st.booleans(),
    )
    def connect(
        self, number: int, topics: Topics, keeps: bool, reads: bool, asks: bool = False
    ) -> None:
        """
        Connect a client.

        @param keeps: whether it keeps its previous choice.
        @param asks: whether a function is asked about each event as well.
        """
        client = self.pick(number, connected=False)
        if client is not None:
            self.open(client, topics, keeps, reads, asks)

    def open(
        self, client: Client, topics: Topics, keeps: bool, reads: bool, asks: bool = False
    ) -> None:
        """
        Connect a client.
        """
        if not client.lastEventID:
            client.choices = [topics]
            client.placed, client.must = self.settled, len(self.published)
            client.last = None
        elif not keeps:
            client.choices.append(topics)
        chosen = client.choices[-1]
        self.place(client)

        def connecting(stream: EventStream) -> None:
            client.stream = stream
            self.channel.subscribe(stream, topics=chosen, where=isAny if asks else None)

        self.connecting = connecting
        headers = {"Last-Event-ID": client.lastEventID} if client.lastEventID else {}
        client.seen = 0
        client.browser = self.server.get("/", headers)
        if not reads:
            client.browser.stopReading(kernelBuffer=0)

    def place(self, client: Client) -> None:
        """
        Work out where a client with this ID must continue.
        """
        client.mustReset = client.mayReset = client.isPaused = False
        client.low = client.placed
        last = None if client.last is None else self.published[client.last]
        if client.lastEventID in ("a", "b"):
            # The next events are those after the last event with this ID.
            numbers = {
                state: [
                    number
                    for number, each in enumerate(self.published)
                    if each.given == client.lastEventID and each.state is state
                ]
                for state in State
            }
            sure = max(numbers[State.STORED], default=-1)
            unsure = [
                *(each for each in numbers[State.SEEN] + numbers[State.PENDING] if each > sure),
                *(numbers[State.GONE] and [sure]),
            ]
            client.low = sure + 1
            client.must = max([sure, *unsure]) + 1
            client.mayReset = sure < 0 or bool(unsure)
        elif last is not None and last.state is State.GONE:
            client.mustReset = True
        # The ID may be that of a position after a dropped event.
        client.mayReset |= any(
            each.state is State.GONE for each in self.published[max(0, client.low - 1) :]
        )

    @rule(number=st.integers(0, CLIENTS - 1))
    def disconnect(self, number: int) -> None:
        """
        A client ends its connection.
        """
        client = self.pick(number, connected=True)
        if client is not None and client.browser is not None:
            self.check()
            browser = client.browser
            if browser is not None:
                self.leave(client)
                browser._transport.connectionLost(Failure(ConnectionError()))

    @rule(
        number=st.integers(0, CLIENTS - 1),
        missed=st.integers(0, 12),
        given=st.sampled_from([None, "a"]),
        fails=st.booleans(),
        restarts=st.sampled_from([None, None, "closed", "killed"]),
    )
    def reconnect(
        self, number: int, missed: int, given: str | None, fails: bool, restarts: str | None
    ) -> None:
        """
        Let a client miss some events, where the first may not be stored, and perhaps a restart.
        """
        client = self.pick(number, connected=True)
        self.disconnect(number)
        if fails:
            self.setFailing(True)
            self.publish(frozenset("x"), 1, 10, None, False, 4)
            self.setFailing(False)
        self.publish(frozenset("xy"), missed, 10, given, False, 4)
        if restarts == "closed":
            self.restart(False, True)
        elif restarts == "killed":
            self.kill(True)
        if client is not None and client.browser is None:
            self.open(client, None, True, True)

    @rule(number=st.integers(0, CLIENTS - 1), kernelBuffer=st.sampled_from([0, 30, 10_000]))
    def stall(self, number: int, kernelBuffer: int) -> None:
        """
        Stop a client from reading, or let the kernel accept some more.
        """
        client = self.pick(number, connected=True)
        if client is not None and client.browser is not None:
            browser = client.browser
            browser.stopReading(kernelBuffer=kernelBuffer + len(browser._transport._kernel))

    @rule(number=st.integers(0, CLIENTS - 1))
    def read(self, number: int) -> None:
        """
        Let a client read again.
        """
        client = self.pick(number, connected=True)
        if client is not None and client.browser is not None:
            client.browser.resumeReading()

    @rule(
        number=st.integers(0, CLIENTS - 1),
        topics=st.sampled_from([None, frozenset("x"), frozenset("y")]),
        asks=st.booleans(),
    )
    def choose(self, number: int, topics: Topics, asks: bool) -> None:
        """
        Change a client's choice, or subscribe it again.
        """
        client = self.pick(number, connected=True)
        if client is not None and client.stream is not None and not client.stream.closed:
            client.choices.append(topics)
            client.isPaused = False
            self.channel.subscribe(client.stream, topics=topics, where=isAny if asks else None)

    @rule(number=st.integers(0, CLIENTS - 1))
    def pause(self, number: int) -> None:
        """
        Unsubscribe a client.
        """
        client = self.pick(number, connected=True)
        # A client that waits for the store has no position yet: later, it would begin at the end.
        if client is not None and client.stream is not None and self.isReady:
            client.isPaused = True
            self.channel.unsubscribe(client.stream)

    # Time and faults

    @rule(turns=st.sampled_from([1, 2, 5, 10]))
    def turn(self, turns: int) -> None:
        """
        Run some reactor turns.
        """
        for _ in range(turns):
            self.clock._turn()

    def advance(self) -> None:
        """
        Run turns until there is nothing left to do now.
        """
        self.clock.quiet = False
        # One call runs a limited number of turns.
        for _ in range(4):
            self.clock.advance(0.25)
        if not (self.isReady or self.isAway):
            # It retries opening the store from time to time.
            self.clock.advance(5)
        self.clock.quiet = True

    @rule()
    def settle(self) -> None:
        """
        Run turns until nothing is left to do: each client that reads then has everything.
        """
        self.advance()
        self.check()
        if self.isAway:
            return
        self.updateStored()
        assert all(each.state is not State.PENDING for each in self.published), "no outcome"
        self.settled = len(self.published)
        for client in self.clients:
            browser = client.browser
            if browser is not None and browser._transport.reading and not client.isPaused:
                self.checkAll(client)

    @rule(fails=st.booleans())
    def setFailing(self, fails: bool) -> None:
        """
        Make appending fail from now on, or not.
        """
        self.isFailing = fails
        self.world.setFailing(fails)

    @rule(isAway=st.booleans())
    def setAway(self, isAway: bool) -> None:
        """
        Make the store unreachable, if the store allows that, or reachable.
        """
        self.isAway = isAway and self.world.makesIDs
        self.world.setAway(self.isAway)

    # What must hold

    @invariant()
    @precondition(lambda self: hasattr(self, "channel"))
    def check(self) -> None:
        """
        Check the publishers' results, and the events that the clients have received.
        """
        for error in self.errors:
            error.raiseException()
        for client in self.clients:
            browser = client.browser
            if browser is None:
                continue
            events = browser._response.events
            for event in events[client.seen :]:
                self.checkEvent(client, event)
            client.seen = len(events)
            if browser._response.closed or browser._response.complete:
                self.leave(client)

    def checkEvent(self, client: Client, event: Any) -> None:
        """
        Check one event that a client has received.
        """
        if event.type == "stream-reset":
            assert event.data == "{}"
            assert client.mustReset or self.mayReset(client), "told for nothing"
            client.mustReset = False
            client.low, client.must = 0, len(self.published)
            client.placed, client.last = 0, None
            return
        assert not client.mustReset, "not told that it may have missed something"
        if event.type == "stream-position":
            assert event.data == "{}"
            client.last = None
            return
        for number in range(client.low, len(self.published)):
            published = self.published[number]
            if published.data == event.data and published.state not in (State.VOID, State.GONE):
                break
        else:
            raise AssertionError(f"{event.data[:10]} comes twice, out of order, or for nothing")
        assert any(self.wants(choice, published) for choice in client.choices), "not chosen"
        missing = self.missing(client, number)
        assert not missing, f"before {number} these are missing: {missing}"
        assert published.given in (None, event.lastEventID), "another ID"
        client.low = client.placed = client.must = number + 1
        client.last = number

    def wants(self, choice: Topics, event: Published) -> bool:
        """
        Tell whether an event is chosen.
        """
        return choice is None or bool(choice & event.topics)

    def mayReset(self, client: Client) -> bool:
        """
        Tell whether a client may be notified of missed events.
        """
        before = [
            number
            for number, each in enumerate(self.published[: client.low])
            if each.state is State.STORED
        ]
        # Its position is that after the last stored event, which may have been dropped itself; an
        # event that failed later is missing after its position.
        return (
            client.mayReset
            or 0 < self.world.dropped >= len(before)
            or any(number > max(before, default=-1) for number in self.holes)
        )

    def missing(self, client: Client, end: int) -> list[int]:
        """
        List what a client must have received before a number, and has not.
        """
        return [
            number
            for number in range(client.must, end)
            if self.published[number].state in (State.STORED, State.SEEN)
            and all(self.wants(choice, self.published[number]) for choice in client.choices)
        ]

    def checkAll(self, client: Client) -> None:
        """
        Check that a client has received everything.
        """
        assert not client.mustReset, "not told that it may have missed something"
        missing = self.missing(client, len(self.published))
        assert not missing, f"these are missing: {missing}"
        client.low = client.must = len(self.published)
        client.choices = client.choices[-1:]

    def teardown(self) -> None:
        """
        End everything: every client gets the rest.
        """
        if hasattr(self, "channel"):
            self.setAway(False)
            self.setFailing(False)
            for number in range(CLIENTS):
                self.connect(number, None, True, True)
            for client in self.clients:
                if client.browser is not None:
                    client.browser.resumeReading()
                if client.isPaused and client.stream is not None:
                    self.channel.subscribe(client.stream, topics=client.choices[-1])
                    client.isPaused = False
            self.settle()
            self.restart(False, True)
            self.world.end()


class StoreModelTests(SynchronousTestCase):
    """
    Runs the model: across restarts, kills and failures, a client gets each event that it chose
    exactly once and in order, unless a C{stream-reset} comes first.
    """

    def run_(self, world: type[World], examples: int = 50) -> None:
        """
        Run the model with a kind of store.
        """
        machine = type(f"{world.__name__}Machine", (StoreMachine,), {"makeWorld": world})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_list(self) -> None:
        """
        The model holds for a store that answers immediately.
        """
        self.run_(ListWorld)

    def test_sqlite(self) -> None:
        """
        The model holds for the store in a file.
        """
        self.run_(SQLiteWorld, 25)

    def test_delayed(self) -> None:
        """
        The model holds for a store that answers later.
        """
        self.run_(DelayedWorld)

    def test_late(self) -> None:
        """
        The model holds if subscribers get only stored events, and then a kill makes no difference.
        """
        self.run_(LateWorld)

    def test_shared(self) -> None:
        """
        The model holds for a store that makes the IDs, and can be unreachable.
        """
        self.run_(SharedWorld)

    def test_small(self) -> None:
        """
        The model holds for such a store that drops old events.
        """
        self.run_(SmallWorld)
