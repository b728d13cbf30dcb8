"""
A model of L{twisted_sse.channel.channel}: in any sequence of operations, a client gets each event
that it chose once and in order, unless it is first notified that it has missed some.

The model has a plain list of all events, how long they are kept, and each client's position.  It
does not know how the channel works.
"""

from __future__ import annotations

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
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import twisted_sse.channel.fanout
import twisted_sse.stream.response
from tests.support.channels import DirectTransport
from tests.support.quiet_clock import QuietClock
from twisted_sse import Channel, Event, EventStream, EventStreamResource, History, SlowReader
from twisted_sse.observe import Observer
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

#: The number of clients.
CLIENTS = 4

#: The duration of a write while the machine is busy, in seconds: two of them fill a slice, and the
#: value has no rounding error.
COST = 1 / 64


class Cost(Observer):
    """
    An observer that makes each write take time.
    """

    def __init__(self, clock: MemoryClock) -> None:
        self.clock = clock
        self.cost = 0.0

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Let time pass.
        """
        self.clock.rightNow += self.cost


@dataclass
class Published:
    """
    An event that was published.
    """

    data: str
    type: str
    topics: frozenset[str]
    id: str
    size: int
    time: float


@dataclass(frozen=True)
class Choice:
    """
    A client's choice.
    """

    topics: frozenset[str] | None = None
    even: bool = False

    def isAbout(self, event: Published) -> bool:
        """
        Tell whether an event is about the chosen topics.
        """
        return self.topics is None or bool(self.topics & event.topics)

    def wants(self, number: int, event: Published) -> bool:
        """
        Tell whether the choice includes an event.
        """
        return self.isAbout(event) and (not self.even or number % 2 == 0)

    def arguments(self) -> dict[str, Any]:
        """
        Make the arguments for C{subscribe}.
        """
        where: Callable[[Event], bool] | None = None
        if self.even:

            def where(event: Event) -> bool:
                return int((event.data or "").partition(":")[0]) % 2 == 0

        return {"topics": self.topics, "where": where}


choices = st.builds(
    Choice,
    st.one_of(st.none(), st.frozensets(st.sampled_from(["x", "y"]))),
    st.booleans(),
)


@dataclass(frozen=True)
class Connection:
    """
    How a client connects.
    """

    choice: Choice
    server: int
    last: int
    version: str
    reads: bool
    forged: str | None


connections = st.builds(
    Connection,
    choices,
    st.integers(0, 7),
    st.sampled_from([0, 0, 1, 3, 100]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]),
    st.sampled_from([True, True, False]),
    st.sampled_from([None, None, None, None, "forged"]),
)


@dataclass
class Client:
    """
    A client, across its reconnections.

    @ivar lastEventID: the last ID that its parser had when it was disconnected.
    @ivar due: the number of the first event that it has neither received nor passed.
    @ivar choices: the choices that may apply to the events not received yet.
    @ivar mustReset: whether the next event must report missed events.
    @ivar lostBelow: it was notified that it may have missed events before this number.
    @ivar gap: the number of events reported as dropped that are not accounted for yet.
    @ivar exact: whether its choice has never changed.
    @ivar end: the number from which it must receive no events; L{None} if it must receive all.
    @ivar ending: whether its stream was ended.
    """

    browser: MemoryStream | None = None
    stream: EventStream | None = None
    lastEventID: str = ""
    seen: int = 0
    start: int = 0
    due: int = 0
    choices: list[Choice] = field(default_factory=list)
    mustReset: bool = False
    lostBelow: int = 0
    gap: int = 0
    exact: bool = True
    end: int | None = None
    ending: bool = False


class ChannelMachine(RuleBasedStateMachine):
    """
    A channel and its clients, on which the rules act.
    """

    def __init__(self) -> None:
        super().__init__()
        self.direct = twisted_sse.stream.response.directTransport
        self.round = twisted_sse.channel.fanout.ROUND
        twisted_sse.stream.response.directTransport = lambda request: DirectTransport(  # type: ignore[assignment, return-value]
            request.transport  # type: ignore[arg-type]
        )
        twisted_sse.channel.fanout.ROUND = 1
        self.clock = QuietClock()
        self.cost = Cost(self.clock)
        self.published: list[Published] = []
        #: The number of the first event still kept.
        self.first = 0
        #: For an ID that belongs to no event: the number of the event that follows it.
        self.marks: dict[str, int] = {}
        #: For an ID that came with a reset: the client's C{due} and C{lostBelow} at that time.
        self.resets: dict[str, tuple[int, int]] = {}
        self.clients = [Client() for _ in range(CLIENTS)]
        self.closed = False
        self.connecting: Callable[[EventStream], None] = lambda stream: None

    @initialize(
        maxEvents=st.sampled_from([2, 5, 20, None]),
        maxBytes=st.sampled_from([500, 100_000, 10**6]),
        maxAge=st.sampled_from([None, None, 3, 20]),
        busy=st.booleans(),
        connections=st.lists(connections, min_size=2, max_size=CLIENTS),
    )
    def begin(
        self,
        maxEvents: int | None,
        maxBytes: int,
        maxAge: int | None,
        busy: bool,
        connections: list[Connection],
    ) -> None:
        """
        Make the channel and the resources, and connect some clients.
        """
        self.bounds = (maxEvents, maxBytes, maxAge)
        self.channel = Channel(History(maxEvents, maxBytes, maxAge), reactor=self.clock)
        self.servers: list[MemoryClient] = []
        for fast in (False, True):
            for options in (
                {},
                {"maxPending": 100_000},
                {"maxPending": 30_000, "slow": SlowReader.DROP_OLDEST},
                {"maxPending": 30_000, "slow": SlowReader.LATEST},
            ):
                arguments: dict[str, Any] = {**options, "observer": self.cost}
                cls = type("Resource", (EventStreamResource,), {"fastWrite": fast})
                resource = cls(lambda stream: self.connecting(stream), **arguments)
                self.servers.append(MemoryClient(resource, clock=self.clock))
        self.publish(0, None, None, frozenset("x"), 2, 0)
        for client, connection in zip(self.clients, connections, strict=False):
            self.open(client, connection)
        self.clock._turn()
        self.work(busy)

    def teardown(self) -> None:
        """
        Close the channel: every client gets the rest, and nothing remains.
        """
        try:
            if hasattr(self, "channel"):
                self.finish()
        finally:
            twisted_sse.stream.response.directTransport = self.direct
            twisted_sse.channel.fanout.ROUND = self.round

    def finish(self) -> None:
        """
        Do the work of L{teardown}.
        """
        self.cost.cost = 0
        for client in self.clients:
            if client.browser is not None:
                client.browser.resumeReading()
        self.channel.close()
        self.settle()
        for client in self.clients:
            if client.browser is not None and client.end is not None:
                client.browser._transport.connectionLost(Failure(ConnectionDone()))
        self.settle()
        assert all(client.browser is None for client in self.clients), "not all have ended"
        assert not self.channel.streams
        assert not self.clock.getDelayedCalls(), self.clock.getDelayedCalls()

    def pick(self, number: int, connected: bool) -> Client | None:
        """
        Pick a client that is connected, or one that is not.
        """
        some = [client for client in self.clients if (client.browser is not None) is connected]
        return some[number % len(some)] if some else None

    # Rules

    @rule(topics=st.frozensets(st.sampled_from(["x", "y"])), turns=st.sampled_from([0, 0, 1]))
    def publishOne(self, topics: frozenset[str], turns: int) -> None:
        """
        Publish a small event.
        """
        self.publish(10, None, None, topics, 1, turns)

    @rule(
        size=st.sampled_from([0, 100, 5000, 20_000, 20_000, 70_000, 200_000]),
        type=st.sampled_from([None, "t", "u"]),
        identifier=st.sampled_from([None, None, None, "a", "b"]),
        topics=st.frozensets(st.sampled_from(["x", "y", "z"])),
        many=st.sampled_from([1, 1, 2, 5, 12]),
        turns=st.sampled_from([0, 0, 1]),
    )
    def publish(
        self,
        size: int,
        type: str | None,
        identifier: str | None,
        topics: frozenset[str],
        many: int,
        turns: int,
    ) -> None:
        """
        Publish some events.
        """
        for _ in range(many):
            number = len(self.published)
            text = f"{number}:".ljust(size, "-")
            event = self.channel.publish(text, event=type, id=identifier, topics=topics)
            assert event.id is not None
            assert event.id == identifier or identifier is None
            assert identifier or all(
                event.id > each.id for each in self.published[-1:] if len(each.id) > 1
            )
            self.published.append(
                Published(
                    text,
                    type or "message",
                    topics,
                    event.id,
                    len(event.encode()),
                    self.clock.rightNow,
                )
            )
            self.trim()
        self.turn(turns)

    @rule(client=st.integers(0, CLIENTS - 1), connection=connections)
    def connect(self, client: int, connection: Connection) -> None:
        """
        Connect a client, which resumes if it can.
        """
        each = self.pick(client, connected=False)
        if each is not None:
            self.open(each, connection)

    @rule(
        client=st.integers(0, CLIENTS - 1),
        act=st.sampled_from(["client", "abort", "end"]),
        missed=st.integers(0, 4),
        connection=connections,
    )
    def reconnect(self, client: int, act: str, missed: int, connection: Connection) -> None:
        """
        Disconnect a client, let it miss some events, and connect it again.
        """
        each = self.pick(client, connected=True)
        if each is not None:
            self.close(each, act)
            self.turn(2)
            self.check()
            if each.browser is None:
                self.publish(100, None, None, frozenset("xy"), missed, 0)
                self.open(each, connection)

    def open(self, each: Client, connection: Connection) -> None:
        """
        Connect a client.
        """

        def connecting(stream: EventStream) -> None:
            each.stream = stream
            self.channel.subscribe(stream, last=connection.last, **connection.choice.arguments())

        identifier = connection.forged or each.lastEventID
        self.trim()
        self.resume(each, identifier, connection.choice, connection.last)
        self.connecting = connecting
        headers = {"Last-Event-ID": identifier} if identifier else {}
        server = self.servers[connection.server]
        each.browser = server.request("GET", "/", headers, version=connection.version)
        if not connection.reads:
            each.browser.stopReading(kernelBuffer=0)

    def resume(self, client: Client, identifier: str, choice: Choice, last: int) -> None:
        """
        Work out what a client with this ID must get.
        """
        client.seen = client.gap = 0
        client.choices = [choice]
        client.exact = True
        client.end = None
        client.ending = client.mustReset = False
        numbers = [number for number, event in enumerate(self.published) if event.id == identifier]
        if not identifier:
            client.lostBelow = 0
            client.due = len(self.published)
            while last and client.due > self.first:
                client.due -= 1
                last -= choice.wants(client.due, self.published[client.due])
        elif numbers:
            client.lostBelow = 0
            client.due = numbers[-1] + 1
            # The position of an ID that the channel made is known even if its event is not kept.
            made = len(identifier) > 1
            isKnown = numbers[-1] >= self.first or (made and choice.topics is not None)
            if client.due == self.first and not isKnown:
                # As the ID of a position, it is known as long as nothing after it is lost.
                history = self.channel.history
                assert history is not None
                isKnown = history.find(identifier, choice.topics) == client.due
            client.mustReset = not isKnown or self.isLost(client)
        elif identifier in self.marks:
            client.lostBelow = 0
            client.due = self.marks[identifier]
            client.mustReset = self.isLost(client)
        elif identifier in self.resets:
            client.due, client.lostBelow = self.resets[identifier]
        else:
            client.due = client.lostBelow = 0
            client.mustReset = True
        client.start = client.due

    @rule(client=st.integers(0, CLIENTS - 1), act=st.sampled_from(["client", "abort", "end"]))
    def disconnect(self, client: int, act: str) -> None:
        """
        End a stream, from one side or the other.
        """
        each = self.pick(client, connected=True)
        if each is not None:
            self.close(each, act)

    def close(self, each: Client, act: str) -> None:
        """
        End a client's stream.
        """
        assert each.browser is not None and each.stream is not None
        if act == "client":
            each.browser._transport.connectionLost(Failure(ConnectionDone()))
        elif act == "abort":
            each.stream.abort()
        else:
            each.stream.end()
            each.ending = True
            if each.end is None:
                each.end = len(self.published)
            each.exact = False

    @rule(client=st.integers(0, CLIENTS - 1), kernelBuffer=st.sampled_from([0, 30, 10_000]))
    def stall(self, client: int, kernelBuffer: int) -> None:
        """
        Stop a client from reading, or let the kernel accept some more.
        """
        each = self.pick(client, connected=True)
        if each is not None and each.browser is not None:
            browser = each.browser
            browser.stopReading(kernelBuffer=kernelBuffer + len(browser._transport._kernel))

    @rule(client=st.integers(0, CLIENTS - 1))
    def read(self, client: int) -> None:
        """
        Let a client read again.
        """
        each = self.pick(client, connected=True)
        if each is not None and each.browser is not None:
            each.browser.resumeReading()

    @rule(client=st.integers(0, CLIENTS - 1), choice=choices)
    def choose(self, client: int, choice: Choice) -> None:
        """
        Change a client's choice.
        """
        each = self.pick(client, connected=True)
        if each is not None and each.stream is not None and not each.ending:
            self.channel.subscribe(each.stream, **choice.arguments())
            # A stream that was unsubscribed continues where it stopped.
            each.end = None
            if each.due < len(self.published):
                each.exact = False
                each.choices.append(choice)
            else:
                each.choices = [choice]

    @rule(client=st.integers(0, CLIENTS - 1))
    def unsubscribe(self, client: int) -> None:
        """
        Unsubscribe a client.
        """
        each = self.pick(client, connected=True)
        if each is not None and each.stream is not None and each.end is None:
            self.channel.unsubscribe(each.stream)
            each.end = len(self.published)
            each.exact = False

    @rule(busy=st.booleans())
    def work(self, busy: bool) -> None:
        """
        Make writes take time from now on, so that rounds are cut into slices, or not.
        """
        self.cost.cost = COST if busy else 0

    @rule(turns=st.sampled_from([1, 1, 2, 5]))
    def makeTurns(self, turns: int) -> None:
        """
        Run some reactor turns.
        """
        self.turn(turns)

    def turn(self, turns: int) -> None:
        """
        Run some reactor turns.
        """
        for _ in range(turns):
            self.clock._turn()

    @rule(seconds=st.sampled_from([0.5, 2, 2.5, 7, 30]))
    def advance(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.clock.quiet = False
        self.clock.advance(seconds)
        self.clock.quiet = True

    @rule()
    def settle(self) -> None:
        """
        Run turns until nothing is left to do: every client that reads then has everything.
        """
        cost, self.cost.cost = self.cost.cost, 0
        self.clock.quiet = False
        # One call runs a limited number of turns, and a long replay needs more; a stream whose
        # bytes are in the transport needs a little time.
        for _ in range(3):
            self.clock.advance(0.5)
        self.clock.quiet = True
        self.cost.cost = cost
        self.check()
        for client in self.clients:
            if client.browser is not None and client.browser._transport.reading:
                self.checkAll(client)

    # Invariants

    def trim(self) -> None:
        """
        Work out which events are kept.
        """
        maxEvents, maxBytes, maxAge = self.bounds
        now = self.clock.rightNow
        while self.first < len(self.published) and (
            (maxEvents is not None and len(self.published) - self.first > maxEvents)
            or sum(event.size for event in self.published[self.first :]) > maxBytes
            or (maxAge is not None and self.published[self.first].time + maxAge <= now)
        ):
            self.first += 1

    @invariant()
    @precondition(lambda self: hasattr(self, "channel"))
    def check(self) -> None:
        """
        Check what the clients have received.
        """
        self.trim()
        for client in self.clients:
            browser = client.browser
            if browser is None:
                continue
            events = browser._response.events
            for event in events[client.seen :]:
                self.checkEvent(client, event)
            client.seen = len(events)
            identifier = browser._response.parser.lastEventID
            if browser._response.closed or browser._response.complete:
                client.lastEventID = identifier or client.lastEventID
                client.browser = client.stream = None

    def checkEvent(self, client: Client, event: Any) -> None:
        """
        Check one event that a client has received.
        """
        if event.type == "stream-reset":
            assert event.data == "{}"
            assert client.mustReset or self.isLost(client), "told for nothing"
            client.mustReset = client.exact = False
            client.lostBelow = self.first
            self.resets[event.lastEventID] = client.due, client.lostBelow
            return
        assert not client.mustReset, "not told that it has missed something"
        if event.type == "stream-position":
            self.checkPosition(client, event)
            return
        if event.type == "stream-gap":
            assert event.json()["dropped"] > 0
            client.gap += event.json()["dropped"]
            return
        number = int(event.data.partition(":")[0])
        assert number >= client.due, f"{number} again, or too late: due is {client.due}"
        published = self.published[number]
        assert event.data == published.data, "not as it was published"
        assert (event.type, event.lastEventID) == (published.type, published.id)
        assert client.end is None or number < client.end, "after it was unsubscribed"
        assert any(choice.wants(number, published) for choice in client.choices), "not chosen"
        client.gap -= len(self.missing(client, number))
        assert client.gap >= 0, f"something is missing between {client.due} and {number}"
        client.due = number + 1

    def checkPosition(self, client: Client, event: Any) -> None:
        """
        Check that a client that receives its position has received everything before it.
        """
        assert event.data == "{}"
        history = self.channel.history
        assert history is not None
        numbers = [n for n, each in enumerate(self.published) if each.id == event.lastEventID]
        if numbers:
            # An event with the same ID may have been published since.
            places = [number + 1 for number in numbers if number + 1 >= client.due]
            place = min(places, default=-1)
        else:
            # With topics, the position of an ID that the channel made is found even if it is no
            # longer kept.
            found = history.find(event.lastEventID, frozenset())
            assert isinstance(found, int), "an ID of no place"
            place = found
        assert place >= client.due, f"a place before {client.due}"
        client.gap -= len(self.missing(client, place))
        assert client.gap >= 0, f"something is missing between {client.due} and {place}"
        client.due = place
        if not numbers:
            self.marks[event.lastEventID] = place

    def isLost(self, client: Client) -> bool:
        """
        Tell whether an event that a client may have wanted is no longer kept.
        """
        return any(
            choice.isAbout(event)
            for event in self.published[client.due : self.first]
            for choice in client.choices
        )

    def missing(self, client: Client, end: int) -> list[int]:
        """
        List what a client should have received before a number, and has not.
        """
        return [
            number
            for number in range(max(client.due, client.lostBelow), end)
            if all(choice.wants(number, self.published[number]) for choice in client.choices)
        ]

    def checkAll(self, client: Client) -> None:
        """
        Check that a client that reads has received everything.
        """
        if client.end is not None:
            return
        assert not client.mustReset, "not told that it has missed something"
        missing = self.missing(client, len(self.published))
        assert not missing, f"these are missing: {missing}"
        assert not client.gap or not client.exact, f"{client.gap} were dropped, and are not"
        client.due = len(self.published)
        client.choices = client.choices[-1:]
        client.gap = 0
        client.exact = True


class ModelTests(SynchronousTestCase):
    """
    Runs the model.
    """

    def test_model(self) -> None:
        """
        A client that resumes gets each event that it chose exactly once and in order, unless a
        C{stream-reset} or C{stream-gap} comes first.
        """
        run_state_machine_as_test(
            ChannelMachine,
            settings=settings(
                max_examples=75,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
