"""
The daemon as one service: how it starts, and in which order it stops.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.logger import Logger

from ..channel.channel import Channel
from ..server.resource import EventStreamResource
from ..store.contract import EventStore
from ..store.memory import History
from ..stream.stream import EventStream
from .connections import Connections
from .console import NAMESPACE
from .delivery import NAME, Delivery
from .feeding import Feeding
from .first import FirstClient
from .listen import ListeningService
from .signals import SignalService
from .sources.linesource import LineSource

__all__ = ["Daemon"]


_log = Logger(namespace=NAMESPACE)


class Daemon(Feeding):
    """
    The daemon as one service.

    It stops in this order:

      - L{ready} becomes false, and for a while nothing else happens, so that load balancers send
        no more clients;
      - the ports are closed;
      - the sources are stopped;
      - the resources are drained: each client is sent a time to reconnect, and its stream ends;
        other requests are answered;
      - what checks the delivery ends, and so does the hub; then the channels are closed;
      - the store is closed, with all that was published.

    With C{--once} it stops by itself when all sources have ended.

    @ivar delivery: checks whether events are delivered.
    @ivar first: the first client, which C{--once} waits for; L{None} not to wait.
    @ivar ready: whether new clients are accepted.
    """

    def __init__(
        self,
        reactor: Any,
        listening: ListeningService,
        connections: Connections,
        drain: float,
        drainDelay: float,
        store: EventStore | None = None,
        options: Any = None,
        signals: IService | None = None,
    ) -> None:
        """
        @param listening: the ports.
        @param connections: the connections to them.
        @param drain: how many seconds streams have to end, and other requests to be answered.
        @param drainDelay: for how many seconds it is not L{ready} before anything else happens.
        @param store: keeps the events of channels; L{None} for none.
        @param options: those of C{twistd}, or of another program; L{None} for none.
        @param signals: what handles signals, if not the usual.
        """
        super().__init__(reactor, store, options)
        self.ready = True
        self.first: FirstClient | None = None
        self._isAlone = signals is None
        self.delivery = Delivery(reactor, self._makeCheck)
        self.delivery.setServiceParent(self)  # type: ignore[no-untyped-call]
        self._resources: list[EventStreamResource] = []
        self._drains: list[IService] = []
        self._ends: list[Callable[[], object]] = []
        self._listening = listening
        self._connections = connections
        self._drain = drain
        self._drainDelay = drainDelay
        self._running = 0
        handlers: Any = signals
        if signals is None:
            handlers = SignalService(
                reactor, clients=lambda: len(self._streams()), isImpatient=options is None
            )
        handlers.setServiceParent(self)
        listening.setServiceParent(self)  # type: ignore[no-untyped-call]

    def state(self) -> tuple[bool, str]:
        """
        @return: whether new clients are accepted, and in what state we are.
        """
        if not self.ready:
            return False, "draining"
        problem = None if self.store is None else self.store.problem()
        if not self.isOpen:
            return False, f"starting: {problem or 'the store is not open yet'}"
        # Without its store it still delivers, so that it is better than nothing.
        return True, "ok" if problem is None else f"degraded: {problem}"

    def becomeUnready(self) -> None:
        """
        Say that no more clients are wanted, before the daemon is stopped.
        """
        self.ready = False

    def addResource(self, resource: EventStreamResource) -> None:
        """
        Add a resource: it is drained when the daemon stops.
        """
        drain = resource.service(self._drain)
        drain.setServiceParent(self)
        self._resources.append(resource)
        self._drains.append(drain)

    def addEnd(self, end: Callable[[], object]) -> None:
        """
        Add what is to be called when all requests are answered, before the channels are closed.
        """
        self._ends.append(end)

    def addSource(self, source: LineSource) -> None:
        """
        See L{Feeding}.
        """
        super().addSource(source)
        self._running += 1

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop.

        @return: a L{Deferred} that fires when no stream is left.
        """
        # Not MultiService's method, which would stop everything at once.
        Service.stopService(self)
        self.ready = False
        if self.first is not None:
            self.first.stop()
        if self._drainDelay:
            yield deferLater(self.reactor, self._drainDelay)
        sources = [source for source in self.sources if source.running]
        parts = [self._listening, *sources, *self._drains]
        drain = partial(self._connections.drain, self._drain)
        yield self.stopAll([*(part.stopService for part in parts), drain])
        yield self.stopAll([self.delivery.stopService, *self._ends])
        yield self.closeAll()
        if self._isAlone:
            _log.info("Stopped", terminal="Stopped.")

    def _makeCheck(self) -> Channel:
        """
        Make the channel of L{delivery}, which keeps one event.
        """
        if self.store is not None:
            self.store.keepOnly(NAME, 1)
        return Channel(History(maxEvents=1), name=NAME, reactor=self.reactor, store=self.store)

    @inlineCallbacks
    def sourceEnded(self, source: LineSource, status: int) -> Generator[Deferred[Any], Any, None]:
        """
        A source has ended: its clients get the events queued for them, and their streams end.  If no
        client has connected yet and there are lines to show, wait for the first one.  After the last
        source, the daemon stops and exits with the first status that is not 0.

        @param status: an exit status.
        """
        self._running -= 1
        self.status = self.status or status
        if self.first is not None and not self.first.hasCome and source.lines and self.running:
            seconds = f"{self.first.seconds:g} s"
            _log.info(
                "Waiting up to {seconds} for a first client",
                seconds=seconds,
                terminal=f"Waiting up to {seconds} for a first client.",
            )
            yield self.first.wait()
        source.channel.close()
        if self._running or not self.running:
            return
        yield self._whenStreamsEnded()
        self.leave()

    def _streams(self) -> list[EventStream]:
        return [stream for resource in self._resources for stream in resource.streams]

    def _whenStreamsEnded(self) -> Deferred[Any]:
        """
        @return: a L{Deferred} that fires when the streams that are open now have ended, or the
            time for a drain is over.
        """
        streams = self._streams()
        ended = gatherResults([stream.whenClosed() for stream in streams], consumeErrors=True)
        return ended.addTimeout(self._drain, self.reactor, lambda result, seconds: None)
