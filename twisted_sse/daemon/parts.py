"""
What the daemon is made of, wherever it is made: its store, channels, sources of lines, observers and
ports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.usage import UsageError
from twisted.web.server import Site

from ..accesslog import AccessLog
from ..channel.channel import Channel
from ..observe import Observer, Observers
from ..server.hosts import isLoopback
from ..store.contract import EventStore
from ..store.memory import History
from .access import saysLocal
from .announcing import Opened, announce, pageURL
from .browser import openPage
from .feeding import Feeding
from .listen import CannotListen, Endpoint, ListeningService, freePort
from .logfile import WatchedFile
from .options import Options
from .parameters import SHARED, STORED
from .sources.errors import SourceError
from .sources.lines import LONGEST_LINE
from .sources.linesource import LineSource
from .sources.spec import Spec, makeLines
from .storage import isURL

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ..store.redis.store import RedisStore
    from ..store.sqlite.store import SQLiteStore

__all__ = [
    "addLines",
    "begun",
    "checkLocal",
    "makeChannel",
    "makeObserver",
    "makeStore",
    "openPort",
]

#: How large an event may be, in bytes: the longest line still fits if there is a CR after each of
#: its characters, since each CR begins a new line of data.
LARGEST_EVENT = 8 * LONGEST_LINE

_log = Logger()


def makeStore(options: Options, reactor: Any) -> RedisStore | SQLiteStore | None:
    """
    Make the store, which is not opened yet.
    """
    if options["store"] is None:
        return None
    if isURL(options["store"]):
        from ..store.redis.store import RedisStore

        return RedisStore(
            options["store"],
            maxEvents=options["store-events"] or SHARED,
            maxAge=options["store-age"],
            reactor=reactor,
        )
    from ..store.sqlite.store import SQLiteStore

    return SQLiteStore(
        options["store"],
        maxEvents=options["store-events"] or STORED,
        maxAge=options["store-age"],
        synchronous="full" if options["store-sync"] else "normal",
        reactor=reactor,
    )


def makeChannel(
    options: Options,
    path: str,
    store: EventStore | None,
    observer: Observer | None,
    reactor: Any,
    liveComment: str | None = None,
) -> Channel:
    """
    Make the channel of a source.

    @param store: keeps its events; L{None} for memory only.
    @param liveComment: see L{Channel}.
    """
    return Channel(
        History(maxEvents=options["history"], maxAge=options["history-age"]),
        name=path,
        maxEventSize=LARGEST_EVENT,
        reactor=reactor,
        store=store,
        liveComment=liveComment,
        observer=observer,
    )


def addLines(
    feeding: Feeding,
    options: Options,
    spec: Spec,
    channel: Channel,
    reactor: Any,
    ended: Callable[[LineSource, int], object] | None = None,
) -> None:
    """
    Add a source of lines.

    @param ended: called when it has ended, with its exit status; L{None} if it has no end.
    """

    def tell(status: int) -> None:
        assert ended is not None, "it has an end"
        ended(source, status)

    try:
        source = makeLines(
            spec,
            channel,
            reactor,
            options["format"],
            options["history"],
            None if ended is None else tell,
        )
    except SourceError as e:
        raise UsageError(f"{spec.text}: {e}") from e
    feeding.addSource(source)


def makeObserver(options: Options) -> tuple[CollectorRegistry | None, Observer | None]:
    """
    Make the observers that the options ask for.

    @return: where metrics are collected, or L{None} without Prometheus' library; and the
        observer of resources and channels.
    """
    log: Observer | None = None
    path = options["access-log"]
    if path is not None:
        try:
            file: Any = sys.stdout if path == "-" else WatchedFile(path)
        except OSError as e:
            raise UsageError(f"--access-log {path}: {e.strerror}") from e
        log = AccessLog(file, options["access-log-format"])
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector

        from ..metrics import PrometheusObserver
    except ImportError:
        return None, log
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry, Observers(PrometheusObserver(registry), log)


def openPort(listening: ListeningService, endpoint: Endpoint, site: Site) -> IListeningPort | None:
    """
    Listen on an endpoint.
    """
    try:
        return listening.listen(endpoint.description, site)
    except CannotListen as e:
        if e.isInUse and endpoint.option == "port":
            host = "127.0.0.1" if saysLocal(endpoint.description) else ""
            free = freePort(int(endpoint.value), host)
            raise UsageError(
                f"port {endpoint.value} is already in use; stop the other program or try --port"
                f" {free}"
            ) from e
        raise UsageError(f"{endpoint}: {e}") from e


def checkLocal(endpoint: Endpoint, port: IListeningPort | None) -> None:
    """
    Refuse an endpoint where other machines could connect.

    @param port: what listens there; L{None} if it is not open yet.
    """
    if not (saysLocal(endpoint.description) or (port is not None and isLoopback(port.getHost()))):
        raise UsageError(
            f"{endpoint}: this address is reachable from other machines; add --auth to require a"
            " password or --public to allow everyone, or listen on tcp:8080:interface=127.0.0.1"
        )


def begun(options: Options, opened: Sequence[Opened], reactor: Any) -> None:
    """
    Announce the sources, and open the page for C{--open}, as soon as connections are accepted.

    @param opened: the endpoints that clients connect to.
    """
    reactor.callWhenRunning(announce, options, opened)
    url = pageURL(opened)
    if options["open"] and options.streams:
        if url is None:
            raise UsageError("--open: a browser cannot open a UNIX socket: also listen on a port")
        path = "" if len(options.streams) > 1 else next(iter(options.streams))[1:]
        reactor.callWhenRunning(openPage, url + path, reactor)
