"""
Tests of Klein routes, written as a user of pytest and pytest-twisted would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

try:
    import pytest
    import pytest_twisted
except ImportError:
    # trial imports this module too, and finds no TestCase in it.
    pass
else:
    from klein import Klein
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import deferLater
    from twisted.web.error import Error

    from twisted_sse import CloseReason, Event, EventStream
    from twisted_sse.klein import eventStream
    from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

    class Clocks:
        """
        The application under test: a class with Klein routes and a clock.
        """

        app = Klein()

        def __init__(self, clock: Any) -> None:
            self.clock = clock
            self.closed: list[CloseReason] = []

        @app.route("/ticks/<int:number>")
        @eventStream(retry=1000)
        async def ticks(self, request: Any, number: int) -> AsyncIterator[Event]:
            """
            Tick C{number} times, once a second.
            """
            EventStream.of(request).whenClosed().addCallback(self.closed.append)
            for each in range(number):
                yield Event("tick", id=each)
                await deferLater(self.clock, 1)

        @app.route("/private")
        @eventStream
        async def private(self, request: Any) -> None:
            """
            Refuse a request without the password.
            """
            if request.getHeader("authorization") != "please":
                raise Error(401)

        @app.route("/answers", methods=["POST"])
        @eventStream(once=True)
        def answers(self, request: Any) -> Generator[str, None, None]:
            """
            Return one event for each word.
            """
            yield from request.content.read().decode().split()

    @pytest.fixture
    def clock() -> MemoryClock:
        """
        Return the clock of a test.
        """
        return MemoryClock()

    @pytest.fixture
    def clocks(clock: MemoryClock) -> Clocks:
        """
        Return the application.
        """
        return Clocks(clock)

    @pytest.fixture
    def get(clocks: Clocks, clock: MemoryClock) -> Callable[..., MemoryStream]:
        """
        Return a function that makes GET requests to the application.
        """
        return MemoryClient(clocks.app.resource(), clock=clock).get

    def test_ticks(get: Callable[..., MemoryStream], clock: MemoryClock, clocks: Clocks) -> None:
        """
        The ticks come once a second with their IDs, and then the stream ends.
        """
        stream = get("/ticks/3")
        assert stream.status == 200
        assert stream.retry == 1000
        clock.advance(1)
        assert [event.lastEventID for event in stream.events] == ["0", "1"]
        clock.advance(2)
        assert stream.complete
        assert len(stream.events) == 3
        assert clocks.closed == [CloseReason.ENDED]

    def test_disconnect(
        get: Callable[..., MemoryStream], clock: MemoryClock, clocks: Clocks
    ) -> None:
        """
        A disconnect ends the ticks and leaves nothing.
        """
        get("/ticks/3").disconnect()
        assert clocks.closed == [CloseReason.CLIENT]
        assert clock.getDelayedCalls() == []

    @pytest.mark.parametrize(
        ("authorization", "status"), [("please", 200), ("now!", 401), ("", 401)]
    )
    def test_private(get: Callable[..., MemoryStream], authorization: str, status: int) -> None:
        """
        A request without the password is a 401.
        """
        assert get("/private", headers={"Authorization": authorization}).status == status

    def test_answers(clocks: Clocks, clock: MemoryClock) -> None:
        """
        The response to a POST arrives word by word, and then an C{end} event.
        """
        stream = MemoryClient(clocks.app.resource(), clock=clock).post("/answers", body="a b")
        clock.advance(1)
        assert [event.data for event in stream.events] == ["a", "b", "{}"]
        assert stream.events[-1].type == "end"
        assert stream.complete

    def test_failure(clock: MemoryClock, loggedErrors: Any) -> None:
        """
        A route that fails is a 500, and is logged once.
        """
        app = Klein()

        @app.route("/")
        @eventStream
        async def broken(request: Any) -> None:
            raise ZeroDivisionError

        assert MemoryClient(app.resource(), clock=clock).get("/").status == 500
        assert len(loggedErrors.flush(ZeroDivisionError)) == 1

    @pytest_twisted.ensureDeferred
    async def test_reactor(clocks: Clocks) -> None:
        """
        A test may wait on the reactor.
        """
        clocks.clock = reactor
        client = MemoryClient(clocks.app.resource())
        stream = client.get("/ticks/5")
        closed = Deferred[None]()
        [opened] = Clocks.ticks.resource.streams  # type: ignore[attr-defined]
        opened.whenClosed().addCallback(lambda reason: closed.callback(reason))
        reactor.callLater(0, stream.disconnect)  # type: ignore[attr-defined]
        assert await closed is CloseReason.CLIENT
        assert [event.data for event in stream.events] == ["tick"]

    @pytest_twisted.inlineCallbacks
    def test_inlineCallbacks(
        get: Callable[..., MemoryStream], clock: MemoryClock
    ) -> Generator[Any, Any, None]:
        """
        A test may wait on the reactor with C{inlineCallbacks}.
        """
        get("/ticks/2")
        [opened] = Clocks.ticks.resource.streams  # type: ignore[attr-defined]
        reactor.callLater(0, clock.advance, 2)  # type: ignore[attr-defined]
        reason = yield opened.whenClosed()
        assert reason is CloseReason.ENDED
