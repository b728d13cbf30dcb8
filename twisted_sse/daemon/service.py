"""
The daemon's parts, put together: sources, resources, the site and the ports.

Something that cannot be used is reported like an error in an option: see
L{twisted_sse.daemon.options}.

On SIGTERM or SIGINT the ports are closed, and each client is sent a time to reconnect and a clean
end to its stream; then the process exits with status 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.application.service import IService
from twisted.python.usage import UsageError
from twisted.web.pages import errorPage
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from ..accesslog import formatRequest
from ..channel.channel import Channel
from ..hub.anonymous import ThisMachine
from ..hub.bearer import Tokens
from ..hub.publish import PublishResource
from ..hub.refused import Refused
from ..observe import Observers
from ..server.address import checkedNetworks
from ..server.resource import EventStreamResource
from ..stream.pending import PendingTotal
from ..timing.reactors import installedReactor, makeSteady
from ..timing.ticker import steady
from .access import KnownHosts, withPassword
from .announcing import Opened
from .connections import Connections
from .control import makeControl
from .daemon import Daemon
from .first import FirstClient
from .health import makeProbes
from .limits import connectionLimit, raiseFileLimit
from .listen import ListeningService
from .logfile import twistdLog
from .mercure import Admission, checkHub, makeHub
from .mercureoptions import METADATA
from .options import Options, exitUsage
from .overview import Activity, Overview
from .pages import AllPage, Greeting, Shown, SourceList
from .parts import addLines, begun, checkLocal, makeChannel, makeObserver, makeStore, openPort
from .paths import makeStreams
from .processes.sums import described, made
from .site import MOST_BODY, MOST_PUBLISHED, PublishedRequest, SmallSite
from .sources.linesource import LineSource
from .sources.spec import Kind
from .subscribing import subscribing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ..hub.mercure.hub import Hub
    from .processes.member import Member

__all__ = ["makeDaemon", "makeService"]

#: How long a connection may be open without a request, in seconds.
IDLE_TIMEOUT = 60

#: The comment that marks for the live page where new events begin.
LIVE = "live"


def makeService(options: Options, reactor: Any = None) -> IService:
    """
    Make the daemon.  Its ports are open when this returns; requests are answered once the
    reactor runs.

    @param options: those of the command line.
    @param reactor: the installed one if not given.
    @raise SystemExit: with status 64, if something that the options name cannot be used: the
        error has been written to standard error then.

    @since: 0.2
    """
    if reactor is None:
        reactor = installedReactor()
    makeSteady(reactor)
    try:
        if options["processes"] > 1:
            # Not all systems have what it needs.
            from .processes.parent import makeParent

            checkHub(options, reactor)
            return makeParent(options, reactor)
        return makeDaemon(options, reactor)
    except UsageError as e:
        exitUsage(str(e), options.program)


def makeDaemon(options: Options, reactor: Any, member: Member | None = None) -> Daemon:
    """
    Make what serves clients.

    @param options: those of the command line.
    @param member: what makes this process one of several; L{None} if it is the only one.
    @raise UsageError: if something that the options name cannot be used.
    """
    registry, observer = makeObserver(options)
    files = raiseFileLimit()
    # Each path has its own limit.
    maxStreams = None if files is None else max(1, files // len(options.sources))
    connections = _makeConnections(options, reactor)
    listening = ListeningService(
        reactor,
        stallTimeout=options["stall-timeout"],
        opened=connections.guard,
        makeEndpoint=None if member is None else member.makeEndpoint,
    )
    store = makeStore(options, reactor)
    daemon = Daemon(
        reactor,
        listening,
        connections,
        options["drain"],
        # The parent of several processes waits for all of them.
        options["drain-delay"] if member is None else 0,
        store,
        options.parent,
        None if member is None else member.signals(),
    )
    daemon.program = options.program
    if options["once"] and options["once-wait"] is not None:
        daemon.first = FirstClient(reactor, options["once-wait"])
    total = PendingTotal(options["max-pending-total"])
    resources: dict[str, IResource] = {}
    lines: dict[str, LineSource] = {}
    arguments = {**options.resourceArguments(maxStreams), "maxPendingTotal": total}
    hub = None
    overview = Overview()
    index = "/" if "/" not in options.sources else "/all" if len(options.streams) > 1 else None
    for path, spec in options.sources.items():
        if spec.kind is Kind.HUB:
            kept = makeChannel(options, path, daemon.store, observer, reactor)
            hub = makeHub(options, kept, reactor, name=path, observer=observer, **arguments)
            for each in hub.channels:
                daemon.addChannel(each)
            daemon.addResource(hub.resource)
            daemon.addEnd(hub.close)
            resources[path] = hub
            resources.update(dict.fromkeys(hub.metadata.paths, hub.metadata))
            continue
        channel = None
        activity = Activity(path, spec, steady(reactor))
        overview.activities.append(activity)
        if spec.isPrivate or path in options.channeled:
            itsStore = None if spec.kind is Kind.FILE else daemon.store
            watching = Observers(observer, activity)
            channel = makeChannel(options, path, itsStore, watching, reactor, LIVE)
            activity.channel = channel
            daemon.addChannel(channel)
        if channel is None:
            connected = options.connected[path]
        elif spec.isLines:
            connected = subscribing(channel, options.tailOf(path), options["history"], False)
            if member is None or not spec.isReadOnce:
                ended = daemon.sourceEnded if options["once"] else None
                addLines(daemon, options, spec, channel, reactor, ended)
                lines[path] = daemon.sources[-1]
                activity.loaded(lines[path].loadedAt)
        elif path in options.channeled:
            connected = partial(options.connected[path], channel=channel)
        else:
            connected = subscribing(channel, options.tailOf(path), options["history"], True)
        resource = EventStreamResource(
            connected,
            fallback=Greeting(
                Shown(path, spec.kind.value, spec.label, spec.detail),
                len(options.streams),
                index,
                options["heartbeat"],
                options["embed"],
            ),
            name=path,
            observer=observer if daemon.first is None else Observers(observer, daemon.first),
            **arguments,
        )
        daemon.addResource(resource)
        resources[path] = resource
        if channel is not None and path in options.published:
            resources[path] = _makeDoor(options, channel, resource)
    if registry is not None:
        from .metrics import countHub, countSources, countStore

        countSources(registry, lines)
        if store is not None:
            countStore(registry, store, daemon.unstored)
        if hub is not None:
            countHub(registry, hub)
    if index is not None:
        resources.setdefault("/", SourceList(options.streams, options.hub, options["embed"]))
        resources["/all"] = AllPage(
            Shown("/all", "all", "All sources"),
            len(options.streams),
            None if index == "/all" else index,
            options["heartbeat"],
            options["embed"],
        )
    makeSite = partial(_makeSite, options, connections, reactor, hub)
    metrics = _makeMetrics(registry, member)
    control = {} if hub is None else makeControl(hub)
    _listen(
        options,
        daemon,
        listening,
        resources,
        overview,
        metrics,
        control,
        makeSite,
        member is None,
        reactor,
    )
    if member is not None:
        member.balance(listening, connections.count)
        member.unready = daemon.becomeUnready
        return daemon
    try:
        daemon.logObserver = twistdLog(options.parent, reactor, options["log-format"])
    except OSError as e:
        raise UsageError(f"--logfile {e.filename}: {e.strerror}") from e
    return daemon


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


def _makeMetrics(registry: CollectorRegistry | None, member: Member | None) -> IResource:
    """
    @param registry: those of this process; L{None} without Prometheus' library.
    @param member: what makes this process one of several; L{None} if it is the only one.
    @return: what answers at C{/metrics}.
    """
    if registry is None:
        return errorPage(
            501, "Not Implemented", "Metrics are not installed: pip install 'twisted-sse[metrics]'"
        )
    from .metrics import MetricsPage

    if member is None:
        return MetricsPage(registry.collect)
    member.describe = lambda: described(registry.collect())
    return MetricsPage(lambda: member.gather().addCallback(made))


def _listen(
    options: Options,
    daemon: Daemon,
    listening: ListeningService,
    resources: dict[str, IResource],
    overview: IResource,
    metrics: IResource,
    control: dict[str, IResource],
    makeSite: Callable[[IResource], Site],
    says: bool,
    reactor: Any,
) -> None:
    """
    Open the ports.

    @param resources: what answers clients, by path.
    @param overview: answers with the activity of the sources.
    @param metrics: what answers at C{/metrics}.
    @param control: what answers those who run the daemon, by path.
    @param makeSite: makes the site of a root.
    @param says: whether to announce the sources.
    """
    admin = options.adminEndpoint()
    if admin is None:
        streams = _guard(
            options, makeStreams({**resources, "/metrics": metrics}, options.hub, overview)
        )
        root = makeProbes(daemon.state, daemon.delivery.problem, streams)
    else:
        root = _guard(options, makeStreams(resources, options.hub, overview))
        known = {
            path: KnownHosts(resource, options["allow-host"]) for path, resource in control.items()
        }
        rest = _guard(options, makeStreams({"/metrics": metrics, **known}), hosts=False)
        probes = makeProbes(daemon.state, daemon.delivery.problem, rest)
        openPort(listening, admin, makeSite(probes))
    site = makeSite(root)
    opened: list[Opened] = []
    for endpoint in options.endpoints():
        port = openPort(listening, endpoint, site)
        if options.isPrivate:
            checkLocal(endpoint, port)
        opened.append((endpoint, port))
    if says:
        begun(options, opened, reactor)


def _guard(options: Options, resource: IResource, hosts: bool = True) -> IResource:
    """
    Put in front of a resource the checks that the options ask for.

    @param hosts: whether the name by which the client knows the server is checked.
    """
    if options["credCheckers"]:
        published = [path.encode() for path in options.published]
        open = (options.hub.encode(), METADATA.encode()) if options.hub else ()
        resource = withPassword(resource, options["credCheckers"], published, open)
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


def _makeSite(
    options: Options, connections: Connections, reactor: Any, hub: Hub | None, root: IResource
) -> Site:
    # To HTTP/2 a connection is idle while its streams are silent.
    timeout = max(IDLE_TIMEOUT, 2 * (options["heartbeat"] or 0))
    site = SmallSite(root, timeout=timeout, logFormatter=formatRequest, reactor=reactor)
    site.connections = connections
    if options.published or hub is not None:
        site.requestFactory = PublishedRequest
        site.check = _publishing(options, hub)
    return site


def _publishing(options: Options, hub: Hub | None) -> Callable[[Request], object]:
    """
    @return: decides whether a request may publish, as the resource does: see L{SmallSite.check}.
    """
    known = Tokens(options["publish-token"])
    admission = None if hub is None else Admission(hub)

    def check(request: Request) -> object:
        path = unquote_to_bytes(request.uri.partition(b"?")[0]).decode("utf-8", "replace")
        if admission is not None and path == options.hub and request.method == b"POST":
            return admission.check(request)
        if path not in options.published:
            raise Refused(413, f"the body is larger than {MOST_BODY} bytes")
        if not known:
            ThisMachine().check(request, False)
        elif not known.check(request):
            raise known.ask()
        return None

    return check
