"""
The parent: it opens the ports and reads what must be read once, and leaves the clients to its
children.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.usage import UsageError
from twisted.web.pages import notFound
from twisted.web.server import Site

from ...channel.channel import Channel
from ...store.contract import EventStore
from ...store.memory import History
from ..announcing import Opened
from ..console import NAMESPACE
from ..feeding import Feeding
from ..launch import Launch
from ..listen import Endpoint, ListeningService
from ..logfile import twistdLog
from ..options import EX_USAGE, Options
from ..parts import (
    addLines,
    begun,
    checkLocal,
    makeChannel,
    makeObserver,
    makeStore,
    openPort,
)
from ..signals import SignalService
from ..sources.errors import SourceError
from ..sources.spec import Kind, Spec, makeLines
from .gathering import Gathering
from .sockets import handOver
from .spawning import Spawner
from .sums import Families, described
from .supervisor import Child, Handle, Supervisor

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Parent", "makeParent"]

#: The signal on which the children are replaced.
ROLL = getattr(signal, "SIGUSR2", None)

_log = Logger(namespace=NAMESPACE)


class Parent(Feeding):
    """
    The parent as one service.

    It stops in this order:

      - the children say that they are not ready, and for a while nothing else happens;
      - the ports are closed, the sources are stopped, and the children are stopped, as a daemon
        alone stops;
      - the channels and the store are closed.

    @ivar registry: where the metrics of this process are collected; L{None} for none.
    """

    def __init__(
        self,
        reactor: Any,
        listening: ListeningService,
        count: int,
        start: Callable[[Child], Handle],
        drain: float,
        drainDelay: float,
        store: EventStore | None = None,
        options: Any = None,
    ) -> None:
        """
        @param listening: the ports, which the children accept from.
        @param count: how many children.
        @param start: starts the process of a child.
        @param drain: how many seconds the streams of a child have to end.
        @param drainDelay: for how many seconds the children are not ready before anything else
            happens.
        @param store: keeps what we publish; L{None} if we publish nothing.
        @param options: those of C{twistd}, or of another program; L{None} for none.
        """
        super().__init__(reactor, store, options)
        self.registry: CollectorRegistry | None = None
        self._launch = Launch(reactor, options)
        self._inForeground = options is None or bool(options.get("nodaemon", True))
        self._listening = listening
        self._drainDelay = drainDelay
        self._hasGivenUp = False
        self._supervisor = supervisor = Supervisor(reactor, count, start, drain, self.giveUp)
        supervisor.heard = self._heard
        supervisor.begun = self._launch.succeeded
        self._gathering = Gathering(
            reactor, supervisor.children, lambda: supervisor.replaced, self.describe
        )
        supervisor.lost = self._gathering.ended
        others = {} if ROLL is None else {ROLL: supervisor.roll}
        for part in (
            SignalService(reactor, others, isImpatient=options is None),
            listening,
            supervisor,
        ):
            part.setServiceParent(self)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """
        Start the children, and read what is read here.
        """
        super().startService()
        self._launch.begin()
        # From now on the process cannot just exit.
        self.failed = lambda why: self.giveUp(why, EX_USAGE)

    def describe(self) -> Families:
        """
        @return: the metrics of this process.
        """
        return [] if self.registry is None else described(self.registry.collect())

    def _heard(self, child: Child, kind: str, fields: dict[str, Any]) -> None:
        """
        A child has said something.
        """
        if kind == "metrics":
            self._gathering.told(child, fields["round"], fields["families"])
        elif kind == "gather":
            number = fields["number"]
            self._gathering.ask().addCallback(
                lambda total: child.say("sum", {"number": number, "families": total})
            )

    def giveUp(self, why: str, status: int) -> None:
        """
        End, because this cannot work.

        @param why: reported to the user, once.
        """
        if self._hasGivenUp:
            return
        self._hasGivenUp = True
        self.status = status
        if self._inForeground and sys.__stderr__ is not None:
            # Twisted has put its log in the place of the other.
            sys.__stderr__.write(f"{self.program}: {' '.join(why.split())}\n")
            sys.__stderr__.flush()
        else:
            _log.critical("The processes cannot be started: {why}", why=why)
            self._launch.failed(why)
        self.leave()

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop.

        @return: a L{Deferred} that fires when no child is left.
        """
        # Not MultiService's method, which would stop everything at once.
        Service.stopService(self)
        if self._drainDelay and not self._hasGivenUp:
            self._supervisor.unready()
            yield deferLater(self.reactor, self._drainDelay)
        sources = [source for source in self.sources if source.running]
        parts = [self._listening, *sources, self._supervisor]
        yield self.stopAll([part.stopService for part in parts])
        yield self.closeAll()
        _log.info("Stopped", terminal="Stopped.")


def makeParent(options: Options, reactor: Any) -> Parent:
    """
    Make the parent.  Its ports are open when this returns; the children are started with it.

    @raise UsageError: if something that the options name cannot be used.
    """
    registry, observer = makeObserver(options)
    listening = ListeningService(reactor, stallTimeout=options["stall-timeout"])
    opened: list[Opened] = []
    sockets = []
    for endpoint in options.allEndpoints():
        port = _bind(options, listening, endpoint, reactor)
        sockets.append(_inherited(endpoint, port))
        if endpoint.option != "admin":
            opened.append((endpoint, port))
    own = {path: spec for path, spec in options.sources.items() if spec.isReadOnce}
    store = makeStore(options, reactor) if own else None
    about = {
        "arguments": options.arguments,
        "reactor": type(reactor).__module__,
        "path": sys.path,
        "sockets": len(sockets),
    }
    parent = Parent(
        reactor,
        listening,
        options["processes"],
        Spawner(reactor, sockets, about).start,
        options["drain"],
        options["drain-delay"],
        store,
        options.parent,
    )
    parent.program = options.program
    parent.registry = registry
    for path, spec in options.sources.items():
        if path in own:
            channel = makeChannel(options, path, parent.store, observer, reactor)
            parent.addChannel(channel)
            addLines(parent, options, spec, channel, reactor)
        elif spec.kind is Kind.FILE:
            _checkFile(options, spec, reactor)
    if registry is not None:
        from ..metrics import countSources, countStore

        countSources(registry, dict(zip(own, parent.sources, strict=True)))
        if store is not None:
            countStore(registry, store, parent.unstored)
    begun(options, opened, reactor)
    try:
        parent.logObserver = twistdLog(options.parent, reactor, options["log-format"])
    except OSError as e:
        raise UsageError(f"--logfile {e.filename}: {e.strerror}") from e
    return parent


def _bind(
    options: Options, listening: ListeningService, endpoint: Endpoint, reactor: Any
) -> IListeningPort | None:
    """
    Open a port that accepts nothing.
    """
    site = Site(notFound(), reactor=reactor)
    # Its port is in the log.
    site.noisy = False
    port = openPort(listening, endpoint, site)
    if options.isPrivate and endpoint.option != "admin":
        checkLocal(endpoint, port)
    return port


def _inherited(endpoint: Endpoint, port: IListeningPort | None) -> socket.socket:
    """
    @return: the socket of a port, for the children.
    """
    inherited = None if port is None else handOver(port)
    if inherited is None:
        raise UsageError(f"{endpoint}: --processes needs a socket that can be inherited")
    return inherited


def _checkFile(options: Options, spec: Spec, reactor: Any) -> None:
    """
    Check that a file can be read, which the children do.
    """
    try:
        channel = Channel(History(maxEvents=1), reactor=reactor)
        makeLines(spec, channel, reactor, "text", 1, None).stopService()
    except SourceError as e:
        raise UsageError(f"{spec.text}: {e}") from e
