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
import signal
import sys
from collections.abc import Callable, Sequence
from getopt import GetoptError
from typing import Any, NoReturn

from twisted.application.service import IService, MultiService, Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python import usage
from twisted.web.server import Site

from .event import Event, InvalidEvent
from .listen import CannotListen, ListeningService
from .pages import Greeting
from .pending import SlowReader
from .resource import SHORTEST_RETRY, EventStreamResource
from .root import makeRoot
from .sources import SourceError, load, tick

__all__ = ["Options", "makeService"]

#: The port if nothing is said about where to listen.
DEFAULT_PORT = 8080

#: The exit status for a command line that is wrong.
EX_USAGE = 64

#: How long a connection may be open without a request, in seconds.
IDLE_TIMEOUT = 60

#: As far as the limit on open files is raised: the most that Linux allows unless told otherwise
#: (C{fs.nr_open}).  "Unlimited" is more than there can be.
MOST_FILES = 2**20

#: What the options of the resource are called here, where that is not the same name.
RENAMED = {"origins": "origin", "trustedProxies": "trusted-proxy"}

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


def _policy(name: str) -> Callable[[str], str]:
    rule = ", ".join(policy.value for policy in SlowReader)
    return _reader(name, f"one of {rule}", lambda text: SlowReader(text).value, bool)


class Options(usage.Options):
    """
    The options of the daemon: those of the tick, those of the resource, under its names, and
    where to listen.

    @ivar connected: what is called with each stream.

    @since: 0.1
    """

    synopsis = "[options]"

    optFlags = [
        ["credentials", None, "let the pages of each --origin send cookies"],
        ["once", None, "the events have an end, after which a browser is not to come back"],
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
        ["source", "s", "tick", "where the events come from: tick, or python:module:callable"],
        ["interval", "i", 2, "seconds from one tick to the next", _seconds("interval")],
        ["event", "e", "message", "type of the event of a tick; empty for none"],
        ["data", "d", "hello", "data of a tick"],
        ["id", None, "1", "ID of a tick; empty for none"],
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
    ]

    compData = usage.Completions(
        multiUse=["listen", "origin", "trusted-proxy"],
        optActions={
            "source": usage.CompleteList(["tick", "python:"]),
            "slow": usage.CompleteList([policy.value for policy in SlowReader]),
        },
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []
        self["origin"] = []
        self["trusted-proxy"] = []

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
        event = self._event()
        if self["source"] == "tick":
            self.connected = tick(self["interval"], event)
        else:
            for name in ("interval", "event", "data", "id"):
                if self[name] != self.defaults[name]:
                    raise usage.UsageError(
                        f"--{name} is for ticks: it says nothing about --source {self['source']}"
                    )
            try:
                self.connected = load(self["source"])
            except SourceError as e:
                raise usage.UsageError(f"--source {self['source']}: {e}") from e
        if self["port"] is None and not self["listen"]:
            self["port"] = DEFAULT_PORT
        try:
            self.makeResource(maxStreams=None)
        except ValueError as e:
            name, _, what = str(e).partition(" ")
            raise usage.UsageError(f"--{RENAMED.get(name, name)} {what}") from e

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

    def makeResource(self, maxStreams: int | None) -> EventStreamResource:
        """
        Make the resource that these options describe.

        @param maxStreams: how many streams there may be if the options do not say.
        """
        origins: list[str] | str = self["origin"]
        return EventStreamResource(
            self.connected,
            fallback=Greeting(),
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
            endpoints.insert(0, (f"--port {self['port']}", f"tcp:{self['port']}"))
        return endpoints


def makeService(options: Options, reactor: Any = None) -> IService:
    """
    Make the daemon.  It listens from now on, and answers once the reactor runs.

    @param options: those of the command line.
    @param reactor: the installed one if not given.
    @raise SystemExit: with 64, if it cannot listen, which has been said then.

    @since: 0.1
    """
    if reactor is None:
        from twisted.internet import reactor
    stream = options.makeResource(maxStreams=_raiseFileLimit())
    # HTTP/2 counts a connection as idle while its streams are silent.
    timeout = max(IDLE_TIMEOUT, 2 * (options["heartbeat"] or 0))
    site = Site(makeRoot(stream), timeout=timeout, reactor=reactor)
    site.displayTracebacks = False
    listening = ListeningService(reactor, site, userTimeout=options["stall-timeout"])
    for said, description in options.endpoints():
        try:
            listening.listen(description)
        except CannotListen as e:
            _fail(f"{said}: {e}")

    daemon = MultiService()
    # They are stopped in the reverse order: first the ports are closed, then the streams ended.
    for service in (_SignalService(reactor), stream.service(options["drain"]), listening):
        service.setServiceParent(daemon)
    if options["port"] is not None:
        _log.info(
            "http://localhost:{port}/ is the page for browsers, and the event stream for clients"
            " that accept text/event-stream",
            port=getattr(listening.ports[0].getHost(), "port", None),
        )
    return daemon


class _SignalService(Service):
    """
    Stops the reactor on SIGTERM and SIGINT.

    Twisted does so too, but afterwards it sends itself the signal once more, without a handler:
    to who has started it, a clean stop looks like a death.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        # Twisted's handlers are set while the reactor starts.
        self._reactor.callWhenRunning(self._replaceHandlers)

    def _replaceHandlers(self) -> None:
        for number, name in ((signal.SIGINT, "sigInt"), (signal.SIGTERM, "sigTerm")):
            # If it is not Twisted's, somebody had a reason (a debugger, another main program).
            theirs = getattr(self._reactor, name, None)
            if theirs is not None and signal.getsignal(number) == theirs:
                signal.signal(number, self._received)

    def _received(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._stop, signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            _log.info("Received {signal}, and am shutting down already", signal=name)
        else:
            _log.info("Received {signal}, shutting down", signal=name)


def _raiseFileLimit() -> int | None:
    """
    Let the process open as many files as it is allowed to.

    @return: how many streams that is enough for.  Some files are left for connections that
        wait for a request or are told to come back later, and for everything else.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    elif soft == resource.RLIM_INFINITY:
        soft = MOST_FILES
    return max(1, soft - max(64, soft // 16))


def _fail(message: str) -> NoReturn:
    """
    Say what is wrong, in one line, and exit.
    """
    sys.stderr.write(f"sse: {' '.join(message.split())}\n")
    raise SystemExit(EX_USAGE)
