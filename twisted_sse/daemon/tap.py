"""
The daemon, C{twistd sse} and C{twist sse}: its options, and the service that they make.

What is wrong with an option, or with what it names, is told in one line on standard error, with
exit status 64 (C{EX_USAGE} of C{sysexits.h}), before anything is served and before C{twistd}
becomes a daemon.

On SIGTERM or SIGINT the ports are closed, and each client is told when to come back and gets a
clean end to its stream; then the process exits with status 0.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from getopt import GetoptError
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.service import IService
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python import usage
from twisted.web.pages import errorPage
from twisted.web.resource import IResource
from twisted.web.server import Site

from ..accesslog import AccessLog
from ..channel.channel import Channel
from ..checks import SHORTEST_RETRY, InvalidOption
from ..format.event import Event, InvalidEvent
from ..observe import Observer, Observers
from ..server.resource import EventStreamResource
from ..store.memory import History
from ..stream.pending import SlowReader
from ..timing.reactors import installedReactor
from .access import KnownHosts, isHostName, isLocal, saysLocal, withPassword
from .daemon import Daemon, WatchedFile, raiseFileLimit
from .listen import CannotListen, ListeningService
from .pages import Greeting, StreamList
from .paths import RESERVED, Metrics, makeProbes, makeStreams
from .site import SmallSite
from .sources.lines import LONGEST_LINE
from .sources.linesource import FORMATS
from .sources.spec import Connected, SourceError, checkLines, isLines, load, makeLines, tick

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Options", "makeService"]

#: The port if nothing is said about where to listen.
DEFAULT_PORT = 8080

#: The exit status for a command line that is wrong.
EX_USAGE = 64

#: How long a connection may be open without a request, in seconds.
IDLE_TIMEOUT = 60

#: How large an event may be, in bytes: that of the longest line, though there is a CR between
#: any two of its characters, each of which begins a new line of data.
LARGEST_EVENT = 8 * LONGEST_LINE

#: Where a stream may be.
_PATH = re.compile(r"/|(/[A-Za-z0-9._~-]+)+")

#: What the options of the resource are called here, where that is not the same name.
RENAMED = {"origins": "origin", "trustedProxies": "trusted-proxy"}

#: The options that are for ticks, and those for lines.
FOR_TICKS = ("interval", "event", "data", "id")
FOR_LINES = ("history", "history-age", "tail", "format")

EXAMPLES = """
Each client that asks for it, as EventSource does in a browser, gets the events of the source for
as long as it stays connected:

    {command} --port 8080
    curl -N -H 'Accept: text/event-stream' http://localhost:8080/

    http://localhost:8080/           in a browser, a page that shows the events as they come
    http://localhost:8080/healthz    answers "ok" while the daemon lives

Events of your own: write events.py,

    async def connected(stream):            # called for each client
        yield "hello"
        yield "good bye"

and in its directory run

    {command} --source python:events:connected

An endpoint is what Twisted calls a place to listen:

    tcp:8080:interface=127.0.0.1                        for this machine only
    tcp6:8080                                           IPv6
    ssl:8443:privateKey=key.pem:certKey=cert.pem        https
    unix:/run/sse.sock                                  behind a proxy
    systemd:domain=INET:index=0                         a socket of systemd's

The first SIGTERM, or Ctrl-C, ends the daemon with status 0, after each client was told when to come
back. What is wrong with an option is one line, and status 64.
"""

_log = Logger()


def _encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _reader(
    name: str, rule: str, convert: Callable[[str], Any], allowed: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """
    @return: what reads the value of an option.
    """

    def read(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            pass
        else:
            if allowed(value):
                return value
        raise usage.UsageError(f"--{name} is {text!r}: it must be {rule}")

    return read


def _seconds(name: str) -> Callable[[str], float]:
    return _reader(name, "a number of seconds above 0", float, lambda value: 0 < value < math.inf)


def _secondsOrOff(name: str) -> Callable[[str], float | None]:
    return _reader(
        name,
        'a number of seconds above 0, or "off"',
        lambda text: None if text == "off" else float(text),
        lambda value: value is None or 0 < value < math.inf,
    )


def _integer(name: str, least: int, most: float = math.inf) -> Callable[[str], int]:
    upTo = f" to {most}" if most < math.inf else " up"
    return _reader(
        name, f"a whole number from {least}{upTo}", int, lambda value: least <= value <= most
    )


def _oneOf(name: str, choices: Sequence[str]) -> Callable[[str], str]:
    return _reader(name, f"one of {', '.join(choices)}", str, lambda value: value in choices)


def _policy(name: str) -> Callable[[str], str]:
    rule = ", ".join(policy.value for policy in SlowReader)
    return _reader(name, f"one of {rule}", lambda text: SlowReader(text).value, bool)


class Options(usage.Options, AuthOptionMixin):
    """
    The options of the daemon: those of its sources, those of the resource, under its names,
    where to listen, and who may read.

    @ivar sources: what is served, by path.
    @ivar connected: what is called with each stream, by path, where that is known already.

    @since: 0.1
    """

    synopsis = "[options]"

    # Else it is the docstring of whatever program this is.
    longdesc = ""

    supportedInterfaces = (IUsernamePassword,)

    optFlags = [
        ["credentials", None, "let the pages of each --origin send cookies"],
        [
            "once",
            None,
            "the events have an end; there a browser stops, and with - or command: the daemon",
        ],
        ["public", None, "let other machines read what comes from -, file: or command:"],
    ]

    optParameters = [
        # Where, and what.
        [
            "port",
            "p",
            None,
            f"TCP port to listen on, for IPv4 ({DEFAULT_PORT} if there is no --listen either)",
            _integer("port", 0, 65535),
        ],
        ["interval", "i", 2, "seconds from one tick to the next", _seconds("interval")],
        ["event", "e", "message", "type of the event of a tick; empty for none"],
        ["data", "d", "hello", "data of a tick"],
        ["id", None, "1", "ID of a tick; empty for none"],
        [
            "history",
            None,
            1000,
            "how many lines are kept for clients that come back",
            _integer("history", 1),
        ],
        [
            "history-age",
            None,
            None,
            "for how many seconds a line is kept at most, or off",
            _secondsOrOff("history-age"),
        ],
        ["tail", None, 0, "how many lines a new client gets first", _integer("tail", 0)],
        [
            "format",
            None,
            "text",
            "what a line is: text, or json (an object with data, event, id, retry)",
            _oneOf("format", FORMATS),
        ],
        # What the resource takes, in its order.
        [
            "heartbeat",
            None,
            15,
            "send a comment after so many silent seconds, or off",
            _secondsOrOff("heartbeat"),
        ],
        [
            "retry",
            None,
            None,
            "milliseconds after which a client that was cut off is to come back",
            _integer("retry", SHORTEST_RETRY),
        ],
        [
            "max-streams",
            None,
            None,
            "how many clients at once (if not given, what the limit on open files allows)",
            _integer("max-streams", 1),
        ],
        [
            "max-streams-per-address",
            None,
            None,
            "how many at once from one IP address",
            _integer("max-streams-per-address", 1),
        ],
        [
            "max-pending",
            None,
            2**20,
            "bytes that may wait for a client that does not read",
            _integer("max-pending", 1),
        ],
        [
            "slow",
            None,
            SlowReader.DISCONNECT.value,
            "what happens beyond that: disconnect, drop-oldest, or latest (of each type)",
            _policy("slow"),
        ],
        [
            "stall-timeout",
            None,
            60,
            "disconnect a client that has taken nothing for so many seconds, or off",
            _secondsOrOff("stall-timeout"),
        ],
        [
            "open-timeout",
            None,
            30,
            "answer 503 if the callable has decided nothing for so many seconds, or off",
            _secondsOrOff("open-timeout"),
        ],
        [
            "close-timeout",
            None,
            5,
            "seconds that a generator or coroutine has for its end when its client has gone",
            _seconds("close-timeout"),
        ],
        ["drain", None, 5, "seconds that streams have for their end on SIGTERM", _seconds("drain")],
        [
            "drain-delay",
            None,
            0,
            "seconds before that in which /readyz says no and everything else goes on",
            _reader(
                "drain-delay", "a number of seconds", float, lambda value: 0 <= value < math.inf
            ),
        ],
        ["admin", None, None, "endpoint of its own for /metrics, /healthz and /readyz"],
        ["access-log", None, None, "file to log each stream to, or - for standard output"],
        [
            "access-log-format",
            None,
            "combined",
            "combined, or json",
            _oneOf("access-log-format", ("combined", "json")),
        ],
    ]

    compData = usage.Completions(
        multiUse=["allow-host", "auth", "listen", "origin", "source", "trusted-proxy"],
        optActions={
            "source": usage.CompleteList(["tick", "-", "file:", "command:", "python:"]),
            "slow": usage.CompleteList([policy.value for policy in SlowReader]),
        },
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["source"] = []
        self["listen"] = []
        self["allow-host"] = []
        self["credCheckers"] = []
        self["origin"] = []
        self["trusted-proxy"] = []

    def opt_source(self, description: str) -> None:
        """
        where the events come from: tick, - (standard input), file:PATH, command:LINE or
        python:module:callable; /path=... for another path than /; may be given several times
        """
        self["source"].append(description)

    opt_s = opt_source

    def opt_allow_host(self, name: str) -> None:
        """
        name of this server that clients may ask for, besides localhost; may be given several
        times
        """
        self["allow-host"].append(name)

    def opt_auth(self, description: str) -> None:
        """
        who may read: file:PATH with lines name:password, memory:name:password, or what
        --help-auth lists; may be given several times
        """
        kind, _, path = description.partition(":")
        if kind == "file":
            try:
                with open(path, "rb") as file:
                    lines = file.readlines()
            except OSError as e:
                raise usage.UsageError(f"--auth {description}: {e.strerror}") from e
            for number, line in enumerate(lines, 1):
                # Twisted would take what is before the second one for the password.
                if line.count(b":") > 1:
                    raise usage.UsageError(
                        f"--auth {description}: line {number} has more than one colon: it must be"
                        " name:password, and there can be none in these"
                    )
            if not any(b":" in line for line in lines):
                raise usage.UsageError(
                    f"--auth {description}: there is no line name:password in it"
                )
        try:
            super().opt_auth(description)  # type: ignore[no-untyped-call]
        except usage.UsageError as e:
            # With memory: there is a password in it.
            raise usage.UsageError(f"--auth {kind}: {e}: see --help-auth") from e
        checker = self["credCheckers"][-1]
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # Its plugin keeps text, but what clients send are bytes: nobody could log in.
            checker.users = {_encoded(name): _encoded(it) for name, it in checker.users.items()}

    def opt_listen(self, description: str) -> None:
        """
        endpoint to listen on, see below; may be given several times
        """
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_origin(self, origin: str) -> None:
        """
        origin whose pages may read the events (CORS), such as https://example.com, or * for all;
        may be given several times
        """
        self["origin"].append(origin)

    def opt_trusted_proxy(self, network: str) -> None:
        """
        network such as 10.0.0.0/8 whose X-Forwarded-For is believed; may be given several times
        """
        self["trusted-proxy"].append(network)

    def getUsage(self, width: int | None = None) -> str:
        """
        Add examples to the list of the options.
        """
        parent = getattr(self.parent, "getSynopsis", str)().split()
        command = "twist sse" if "twist" in parent[1:2] else "twistd -n sse"
        return super().getUsage(width) + EXAMPLES.replace("{command}", command)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read a command line.

        @param options: its arguments.
        @raise SystemExit: with 64, if there is something wrong, which has been said then.
        """
        # Of a UsageError twistd would make its own list of options, ours and a status of 1.
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as e:
            # What getopt says, it says without any advice.
            _fail(f"{e}: see --help" if isinstance(e.__context__, GetoptError) else str(e))

    def parseArgs(self, *arguments: str) -> None:
        """
        There are only options.
        """
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is no option: see --help")

    def postOptions(self) -> None:
        """
        Check what can be checked without doing anything yet.
        """
        self.sources: dict[str, str] = {}
        self.connected: dict[str, Connected] = {}
        for description in self["source"] or ["tick"]:
            self._addSource(description)
        self.lines = [path for path, each in self.sources.items() if isLines(each)]
        self._checkSuits(FOR_TICKS, "ticks", "tick" in self.sources.values())
        self._checkSuits(FOR_LINES, "lines", bool(self.lines))
        for name in self["allow-host"]:
            if not isHostName(name):
                raise usage.UsageError(
                    f"--allow-host is {name!r}: it must be the name of a host, without a port"
                )
        if self["port"] is None and not self["listen"]:
            self["port"] = DEFAULT_PORT
        try:
            self.makeResource(lambda stream: None, maxStreams=None)
        except InvalidOption as e:
            raise usage.UsageError(f"--{RENAMED.get(e.name, e.name)} {e.why}") from e

    def _addSource(self, said: str) -> None:
        """
        Read what C{--source} says.
        """
        path, equals, description = said.partition("=")
        if not (equals and path.startswith("/")):
            path, description = "/", said
        parts = path.split("/")
        if not _PATH.fullmatch(path) or parts[1] in RESERVED or {".", ".."} & {*parts}:
            raise usage.UsageError(
                f"--source {said}: a path is letters, digits and -._~ between slashes, and not"
                f" one of {', '.join('/' + each for each in RESERVED)}"
            )
        if path in self.sources:
            raise usage.UsageError(
                f"--source {said}: there is one at {path} already. Give them paths:"
                " --source /path=SPEC"
            )
        try:
            if description == "tick":
                self.connected[path] = tick(self["interval"], self._event())
            elif isLines(description):
                checkLines(description)
            else:
                self.connected[path] = load(description)
        except SourceError as e:
            raise usage.UsageError(f"--source {said}: {e}") from e
        if description == "-":
            if "-" in self.sources.values():
                raise usage.UsageError(f"--source {said}: there is only one standard input")
            if not self._inForeground():
                raise usage.UsageError(
                    f"--source {said}: a daemon has no standard input. Use twistd -n."
                )
        if description.startswith("file:") and self["once"]:
            raise usage.UsageError(f"--once: --source {said} has no end")
        self.sources[path] = description

    def _inForeground(self) -> bool:
        # Only twistd has this option.
        parent: Any = self.parent
        return parent is None or bool(parent.get("nodaemon", True))

    def _checkSuits(self, names: Sequence[str], what: str, suits: bool) -> None:
        for name in names:
            if not suits and self[name] != self.defaults[name]:
                raise usage.UsageError(
                    f"--{name} is for {what}: it says nothing about"
                    f" --source {', '.join(self.sources.values())}"
                )

    @property
    def isPrivate(self) -> bool:
        """
        Whether what is served is for this machine only.
        """
        return bool(self.lines) and not self["public"] and not self["credCheckers"]

    def guard(self, resource: IResource, hosts: bool = True) -> IResource:
        """
        Put before a resource what these options ask for.

        @param hosts: whether it matters what the server is called.
        """
        if self["credCheckers"]:
            resource = withPassword(resource, self["credCheckers"])
        if hosts and (self.isPrivate or self["allow-host"]):
            resource = KnownHosts(resource, self["allow-host"])
        return resource

    def _event(self) -> Event:
        """
        @return: the event of a tick.
        """
        fields = {name: self[name] for name in ("event", "id") if self[name]}
        for name, value in (*fields.items(), ("data", self["data"])):
            try:
                Event(**{name: value})
            except InvalidEvent as e:
                raise usage.UsageError(f"--{name}: {e}") from e
        return Event(self["data"], **fields)

    def makeResource(
        self,
        connected: Connected,
        maxStreams: int | None,
        path: str = "/",
        observer: Observer | None = None,
    ) -> EventStreamResource:
        """
        Make the resource that these options describe.

        @param connected: what is called with each stream.
        @param maxStreams: how many streams there may be if the options do not say.
        @param path: where it is to be.
        @param observer: who is told what happens.
        """
        origins: list[str] | str = self["origin"]
        return EventStreamResource(
            connected,
            fallback=Greeting(path, tuple(self.sources)),
            name=path,
            observer=observer,
            heartbeat=self["heartbeat"],
            retry=self["retry"],
            once=bool(self["once"]),
            origins="*" if origins == ["*"] else origins,
            credentials=bool(self["credentials"]),
            maxStreams=self["max-streams"] or maxStreams,
            maxStreamsPerAddress=self["max-streams-per-address"],
            trustedProxies=self["trusted-proxy"],
            maxPending=self["max-pending"],
            slow=SlowReader(self["slow"]),
            stallTimeout=self["stall-timeout"],
            openTimeout=self["open-timeout"],
            closeTimeout=self["close-timeout"],
            # Nobody here looks at a request again.
            slim=True,
        )

    def endpoints(self) -> list[tuple[str, str]]:
        """
        @return: where to listen: as it was said on the command line, and as endpoints.
        """
        endpoints = [(f"--listen {description}", description) for description in self["listen"]]
        if self["port"] is not None:
            # What is for this machine only, is offered to no other.
            where = ":interface=127.0.0.1" if self.isPrivate else ""
            endpoints.insert(0, (f"--port {self['port']}", f"tcp:{self['port']}{where}"))
        return endpoints


def makeService(options: Options, reactor: Any = None) -> IService:
    """
    Make the daemon.  It listens from now on, and answers once the reactor runs.

    @param options: those of the command line.
    @param reactor: the installed one if not given.
    @raise SystemExit: with 64, if something that they name cannot be used, which has been said
        then.

    @since: 0.1
    """
    if reactor is None:
        reactor = installedReactor()
    registry, observer = _makeObserver(options)
    files = raiseFileLimit()
    # Each path has a limit of its own.
    maxStreams = None if files is None else max(1, files // len(options.sources))
    listening = ListeningService(reactor, userTimeout=options["stall-timeout"])
    resources: dict[str, EventStreamResource] = {}
    daemon = Daemon(
        reactor, listening, resources.values(), options["drain"], options["drain-delay"]
    )
    for path, description in options.sources.items():
        connected = options.connected.get(path)
        if connected is None:
            connected = _addLines(daemon, options, path, description, observer, reactor)
        resources[path] = options.makeResource(connected, maxStreams, path, observer)
    if registry is not None:
        from .metrics import countSources

        countSources(registry, dict(zip(options.lines, daemon.sources, strict=True)))

    streams: dict[str, IResource] = dict(resources)
    streams.setdefault("/", StreamList(tuple(resources)))
    metrics = _makeMetrics(registry)
    shown = makeStreams(streams if options["admin"] else {**streams, "/metrics": metrics})
    root = options.guard(shown)
    if options["admin"]:
        admin = options.guard(makeStreams({"/metrics": metrics}), hosts=False)
        probes = _makeSite(options, makeProbes(lambda: daemon.ready, admin), reactor)
        _listen(options, listening, f"--admin {options['admin']}", options["admin"], probes)
    else:
        root = makeProbes(lambda: daemon.ready, root)
    site = _makeSite(options, root, reactor)
    for said, description in options.endpoints():
        port = _listen(options, listening, said, description, site)
        if said.startswith("--port"):
            _sayWhere(options, port)
    return daemon


def _addLines(
    daemon: Daemon,
    options: Options,
    path: str,
    description: str,
    observer: Observer | None,
    reactor: Any,
) -> Connected:
    """
    Add a source of lines.

    @return: what is called with each stream that wants them.
    """
    channel = Channel(
        History(maxEvents=options["history"], maxAge=options["history-age"]),
        name=path,
        maxEventSize=LARGEST_EVENT,
        reactor=reactor,
        observer=observer,
    )

    def ended(status: int) -> None:
        daemon.sourceEnded(source, status)

    try:
        source = makeLines(
            description,
            channel,
            reactor,
            options["format"],
            options["history"],
            ended if options["once"] else None,
        )
    except SourceError as e:
        _fail(f"--source {description}: {e}")
    daemon.addSource(source)
    return partial(channel.subscribe, last=options["tail"])


def _makeObserver(options: Options) -> tuple[CollectorRegistry | None, Observer | None]:
    """
    @return: where metrics are found, if what makes them is installed, and who is told what
        happens.
    """
    log: Observer | None = None
    path = options["access-log"]
    if path is not None:
        try:
            file: Any = sys.stdout if path == "-" else WatchedFile(path)
        except OSError as e:
            _fail(f"--access-log {path}: {e.strerror}")
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
    if registry is None:
        return errorPage(
            501, "Not Implemented", "Metrics need twisted-sse[metrics]: pip install it"
        )
    return Metrics(registry)


def _makeSite(options: Options, root: IResource, reactor: Any) -> Site:
    # HTTP/2 counts a connection as idle while its streams are silent.
    timeout = max(IDLE_TIMEOUT, 2 * (options["heartbeat"] or 0))
    return SmallSite(root, timeout=timeout, reactor=reactor)  # type: ignore[no-untyped-call]


def _listen(
    options: Options, listening: ListeningService, said: str, description: str, site: Site
) -> IListeningPort | None:
    """
    Listen, or say why not.
    """
    try:
        port = listening.listen(description, site)
    except CannotListen as e:
        _fail(f"{said}: {e}")
    if options.isPrivate and not said.startswith("--admin"):
        # Of one that takes its time there is no port yet.
        if not (saysLocal(description) or (port is not None and isLocal(port.getHost()))):
            _fail(
                f"{said}: other machines could read your data there. Give --auth, or --public if"
                " everybody may, or listen on tcp:8080:interface=127.0.0.1"
            )
    return port


def _sayWhere(options: Options, port: IListeningPort | None) -> None:
    number = getattr(port and port.getHost(), "port", None)
    _log.info(
        "http://localhost:{port}/ is the page for browsers, and the event stream for clients"
        " that accept text/event-stream",
        port=number,
    )
    if options.isPrivate:
        _log.info("It is for this machine only, as long as there is no --auth and no --public")


def _fail(message: str) -> NoReturn:
    """
    Say what is wrong, in one line, and exit.
    """
    sys.stderr.write(f"sse: {' '.join(message.split())}\n")
    raise SystemExit(EX_USAGE)
