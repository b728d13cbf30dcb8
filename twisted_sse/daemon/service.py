"""
The daemon's parts, put together: sources, resources, the site and the ports.

Something that cannot be used is reported like an error in an option: see
L{twisted_sse.daemon.options}.

On SIGTERM or SIGINT the ports are closed, and each client is told when to reconnect and gets a
clean end to its stream; then the process exits with status 0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.usage import UsageError
from twisted.web.pages import errorPage
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from ..accesslog import AccessLog, formatRequest
from ..channel.channel import Channel
from ..hub.anonymous import ThisMachine
from ..hub.bearer import Tokens
from ..hub.publish import PublishResource
from ..hub.subscribe import byQuery
from ..observe import Observer, Observers
from ..server.address import checkedNetworks
from ..server.hosts import isLoopback
from ..server.resource import EventStreamResource
from ..store.contract import EventStore
from ..store.memory import History
from ..stream.pending import PendingTotal
from ..timing.reactors import installedReactor, makeSteady
from .access import KnownHosts, saysLocal, withPassword
from .connections import Connections
from .daemon import Daemon
from .health import makeProbes
from .limits import connectionLimit, raiseFileLimit
from .listen import CannotListen, Endpoint, ListeningService
from .logfile import WatchedFile, twistdLog
from .options import Options, exitUsage
from .pages import Greeting, StreamList
from .parameters import SHARED, STORED
from .paths import makeStreams
from .site import MOST_PUBLISHED, PublishedRequest, SmallSite
from .sources.errors import SourceError
from .sources.function import Connected
from .sources.lines import LONGEST_LINE
from .sources.spec import Kind, Spec, makeLines
from .storage import isURL

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ..store.redis.store import RedisStore
    from ..store.sqlite.store import SQLiteStore

__all__ = ["makeService"]

#: How long a connection may be open without a request, in seconds.
IDLE_TIMEOUT = 60

#: How large an event may be, in bytes: the longest line still fits if there is a CR after each of
#: its characters, since each CR begins a new line of data.
LARGEST_EVENT = 8 * LONGEST_LINE

_log = Logger()


def makeService(options: Options, reactor: Any = None) -> IService:
    """
    Make the daemon.  Its ports are open when this returns; requests are answered once the
    reactor runs.

    @param options: those of the command line.
    @param reactor: the installed one if not given.
    @raise SystemExit: with status 64, if something that the options name cannot be used: the
        error has been written to standard error then.

    @since: 0.1
    """
    if reactor is None:
        reactor = installedReactor()
    makeSteady(reactor)
    try:
        return _makeDaemon(options, reactor)
    except UsageError as e:
        exitUsage(str(e))


def _makeDaemon(options: Options, reactor: Any) -> Daemon:
    """
    @raise UsageError: if something that the options name cannot be used.
    """
    registry, observer = _makeObserver(options)
    files = raiseFileLimit()
    # Each path has its own limit.
    maxStreams = None if files is None else max(1, files // len(options.sources))
    connections = _makeConnections(options, reactor)
    listening = ListeningService(
        reactor, stallTimeout=options["stall-timeout"], opened=connections.guard
    )
    store = _makeStore(options, reactor)
    daemon = Daemon(
        reactor,
        listening,
        connections,
        options["drain"],
        options["drain-delay"],
        store,
        options.parent,
    )
    total = PendingTotal(options["max-pending-total"])
    resources: dict[str, IResource] = {}
    for path, spec in options.sources.items():
        channel = None
        if spec.isPrivate or path in options.channeled:
            kept = None if spec.kind is Kind.FILE else daemon.store
            channel = _makeChannel(options, path, kept, observer, reactor)
            daemon.addChannel(channel)
        if channel is None:
            connected = options.connected[path]
        elif spec.isLines:
            connected = _addLines(daemon, options, spec, channel, reactor)
        elif path in options.channeled:
            connected = partial(options.connected[path], channel=channel)
        else:
            connected = byQuery(channel, options["tail"])
        resource = EventStreamResource(
            connected,
            fallback=Greeting(path, tuple(options.sources)),
            name=path,
            observer=observer,
            **{**options.resourceArguments(maxStreams), "maxPendingTotal": total},
        )
        daemon.addResource(resource)
        resources[path] = resource
        if channel is not None and path in options.published:
            resources[path] = _makeDoor(options, channel, resource)
    if registry is not None:
        from .metrics import countSources, countStore

        countSources(registry, dict(zip(options.lines, daemon.sources, strict=True)))
        if store is not None:
            countStore(registry, store, daemon.unstored)
    resources.setdefault("/", StreamList(tuple(options.sources)))
    makeSite = partial(_makeSite, options, connections, reactor)
    _listen(options, daemon, listening, resources, _makeMetrics(registry), makeSite)
    try:
        daemon.logObserver = twistdLog(options.parent, reactor)
    except OSError as e:
        raise UsageError(f"--logfile {e.filename}: {e.strerror}") from e
    return daemon


def _makeStore(options: Options, reactor: Any) -> RedisStore | SQLiteStore | None:
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


def _makeChannel(
    options: Options,
    path: str,
    store: EventStore | None,
    observer: Observer | None,
    reactor: Any,
) -> Channel:
    """
    Make the channel of a source.

    @param store: keeps its events; L{None} for memory only.
    """
    return Channel(
        History(maxEvents=options["history"], maxAge=options["history-age"]),
        name=path,
        maxEventSize=LARGEST_EVENT,
        reactor=reactor,
        store=store,
        observer=observer,
    )


def _makeDoor(options: Options, channel: Channel, reader: IResource) -> PublishResource:
    """
    Make what clients publish to.

    @param reader: what answers those that do not publish.
    """
    tokens = options["publish-token"]
    return PublishResource(
        channel,
        tokens=tokens,
        anonymous=False if tokens else ThisMachine(),
        # A page publishes only with a token, whatever it may read.
        origins=options.resourceArguments()["origins"] if tokens else (),
        maxBody=MOST_PUBLISHED,
        reader=reader,
    )


def _addLines(
    daemon: Daemon, options: Options, spec: Spec, channel: Channel, reactor: Any
) -> Connected:
    """
    Add a source of lines.

    @return: the function to be called with each new stream.
    """

    def ended(status: int) -> None:
        daemon.sourceEnded(source, status)

    try:
        source = makeLines(
            spec,
            channel,
            reactor,
            options["format"],
            options["history"],
            ended if options["once"] else None,
        )
    except SourceError as e:
        raise UsageError(f"{spec.text}: {e}") from e
    daemon.addSource(source)
    return partial(channel.subscribe, last=options["tail"])


def _makeObserver(options: Options) -> tuple[CollectorRegistry | None, Observer | None]:
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


def _makeMetrics(registry: CollectorRegistry | None) -> IResource:
    """
    @return: what answers at C{/metrics}.
    """
    if registry is None:
        return errorPage(
            501, "Not Implemented", "Metrics need twisted-sse[metrics]: pip install it"
        )
    from .metrics import MetricsPage

    return MetricsPage(registry)


def _listen(
    options: Options,
    daemon: Daemon,
    listening: ListeningService,
    resources: dict[str, IResource],
    metrics: IResource,
    makeSite: Callable[[IResource], Site],
) -> None:
    """
    Open the ports.

    @param resources: what answers clients, by path.
    @param metrics: what answers at C{/metrics}.
    @param makeSite: makes the site of a root.
    """
    admin = options.adminEndpoint()
    if admin is None:
        streams = _guard(options, makeStreams({**resources, "/metrics": metrics}))
        root = makeProbes(daemon.state, daemon.delivery.problem, streams)
    else:
        root = _guard(options, makeStreams(resources))
        rest = _guard(options, makeStreams({"/metrics": metrics}), hosts=False)
        probes = makeProbes(daemon.state, daemon.delivery.problem, rest)
        _open(listening, admin, makeSite(probes))
    site = makeSite(root)
    for endpoint in options.endpoints():
        port = _open(listening, endpoint, site)
        if options.isPrivate:
            _checkLocal(endpoint, port)
        if endpoint.option == "port":
            _sayWhere(options, port)


def _guard(options: Options, resource: IResource, hosts: bool = True) -> IResource:
    """
    Put in front of a resource the checks that the options ask for.

    @param hosts: whether the name by which the client knows the server is checked.
    """
    if options["credCheckers"]:
        published = [path.encode() for path in options.published]
        resource = withPassword(resource, options["credCheckers"], published)
    if hosts and (options.isPrivate or options["allow-host"]):
        resource = KnownHosts(resource, options["allow-host"])
    return resource


def _makeConnections(options: Options, reactor: Any) -> Connections:
    """
    Make what limits the connections, after the limit on open files has been raised.
    """
    most = options["max-connections"] or connectionLimit()
    return Connections(
        reactor,
        options["request-timeout"],
        IDLE_TIMEOUT,
        most,
        options["max-connections-per-address"] or max(1, most // 2),
        checkedNetworks(options["trusted-proxy"]),
    )


def _makeSite(options: Options, connections: Connections, reactor: Any, root: IResource) -> Site:
    # To HTTP/2 a connection is idle while its streams are silent.
    timeout = max(IDLE_TIMEOUT, 2 * (options["heartbeat"] or 0))
    site = SmallSite(root, timeout=timeout, logFormatter=formatRequest, reactor=reactor)
    site.connections = connections
    if options.published:
        site.requestFactory = PublishedRequest
        site.check = _publishing(options["publish-token"])
    return site


def _publishing(tokens: list[str]) -> Callable[[Request], None]:
    """
    @return: raises L{Refused<twisted_sse.hub.refused.Refused>} if a request may not publish, as the
        resource does.
    """
    known = Tokens(tokens)

    def check(request: Request) -> None:
        if not known:
            ThisMachine().check(request, False)
        elif not known.check(request):
            raise known.ask()

    return check


def _open(listening: ListeningService, endpoint: Endpoint, site: Site) -> IListeningPort | None:
    """
    Listen on an endpoint.
    """
    try:
        return listening.listen(endpoint.description, site)
    except CannotListen as e:
        raise UsageError(f"{endpoint}: {e}") from e


def _checkLocal(endpoint: Endpoint, port: IListeningPort | None) -> None:
    """
    Refuse an endpoint where other machines could connect.

    @param port: what listens there; L{None} if it is not open yet.
    """
    if not (saysLocal(endpoint.description) or (port is not None and isLoopback(port.getHost()))):
        raise UsageError(
            f"{endpoint}: other machines could read your data there. Give --auth, or --public if"
            " everybody may, or listen on tcp:8080:interface=127.0.0.1"
        )


def _sayWhere(options: Options, port: IListeningPort | None) -> None:
    """
    Log where the page and the stream are.
    """
    number = getattr(port and port.getHost(), "port", None)
    _log.info(
        "http://localhost:{port}/ is the page for browsers, and the event stream for clients"
        " that accept text/event-stream",
        port=number,
    )
    if options.isPrivate:
        _log.info("It is for this machine only, as long as there is no --auth and no --public")
    if options.published and not options["publish-token"]:
        _log.info(
            "Only programs on this machine can publish, as long as there is no --publish-token"
        )
