"""
The options of the daemon, C{twistd sse} and C{twist sse}.

An error in an option is one line on standard error, with exit status 64 (C{EX_USAGE} of
C{sysexits.h}), before anything is served and before C{twistd} becomes a daemon.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getopt import GetoptError
from typing import Any, NoReturn

from twisted.python import usage

from ..checks import InvalidOption
from ..format.event import Event, InvalidEvent
from ..server.resource import EventStreamResource
from ..stream.options import SHORTEST_RETRY
from ..stream.pending import SlowReader
from .access import isHostName
from .auth import AuthOptions
from .listen import Endpoint
from .paths import RESERVED, isFree
from .sources.errors import SourceError
from .sources.function import Connected, load, tick
from .sources.linesource import FORMATS
from .sources.spec import Kind, Spec, checkLines, readSpec
from .values import integer, oneOf, seconds, secondsOrOff

__all__ = ["Options", "exitUsage"]

#: The port if no option says where to listen.
DEFAULT_PORT = 8080

#: The exit status for a wrong command line.
EX_USAGE = 64

#: The options for arguments of the resource that have another name there.
RENAMED = {"origins": "origin", "trustedProxies": "trusted-proxy"}

#: The options that are for ticks, and those that are for lines.
FOR_TICKS = ("interval", "event", "data", "id")
FOR_LINES = ("history", "history-age", "tail", "format")

#: The values of C{--slow}.
POLICIES = [policy.value for policy in SlowReader]

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


def exitUsage(message: str) -> NoReturn:
    """
    Write what is wrong with the command line to standard error, in one line, and exit.
    """
    sys.stderr.write(f"sse: {' '.join(message.split())}\n")
    raise SystemExit(EX_USAGE)


class Options(AuthOptions):
    """
    The options of the daemon: its sources, the arguments of the resource under their names
    there, where to listen, and who may read.

    @ivar sources: the sources, by path.
    @ivar lines: the paths of those that are lines.
    @ivar connected: the functions to be called with each new stream, by path, for the other
        sources.

    @since: 0.1
    """

    synopsis = "[options]"

    # Without this, the help would show the docstring of the main program.
    longdesc = ""

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
            integer("port", 0, 65535),
        ],
        ["interval", "i", 2, "seconds from one tick to the next", seconds("interval")],
        ["event", "e", "message", "type of the event of a tick; empty for none"],
        ["data", "d", "hello", "data of a tick"],
        ["id", None, "1", "ID of a tick; empty for none"],
        [
            "history",
            None,
            1000,
            "how many lines are kept for clients that come back",
            integer("history", 1),
        ],
        [
            "history-age",
            None,
            None,
            "for how many seconds a line is kept at most, or off",
            secondsOrOff("history-age"),
        ],
        ["tail", None, 0, "how many lines a new client gets first", integer("tail", 0)],
        [
            "format",
            None,
            "text",
            "what a line is: text, or json (an object with data, event, id, retry)",
            oneOf("format", FORMATS),
        ],
        # What the resource takes, in its order.
        [
            "heartbeat",
            None,
            15,
            "send a comment after so many silent seconds, or off",
            secondsOrOff("heartbeat"),
        ],
        [
            "retry",
            None,
            None,
            "milliseconds after which a client that was cut off is to come back",
            integer("retry", SHORTEST_RETRY),
        ],
        [
            "max-streams",
            None,
            None,
            "how many clients at once (if not given, what the limit on open files allows)",
            integer("max-streams", 1),
        ],
        [
            "max-streams-per-address",
            None,
            None,
            "how many at once from one IP address",
            integer("max-streams-per-address", 1),
        ],
        [
            "request-timeout",
            None,
            30,
            "seconds that a client has to send a whole request, or off",
            secondsOrOff("request-timeout"),
        ],
        [
            "max-connections",
            None,
            None,
            "how many connections may wait for a request (by the limit on open files if not given)",
            integer("max-connections", 1),
        ],
        [
            "max-connections-per-address",
            None,
            None,
            "how many of these from one IP address (half of them if not given)",
            integer("max-connections-per-address", 1),
        ],
        [
            "max-pending",
            None,
            2**20,
            "bytes that may wait for a client that does not read",
            integer("max-pending", 1),
        ],
        [
            "slow",
            None,
            SlowReader.DISCONNECT.value,
            "what happens beyond that: disconnect, drop-oldest, or latest (of each type)",
            oneOf("slow", POLICIES),
        ],
        [
            "stall-timeout",
            None,
            60,
            "disconnect a client that has taken nothing for so many seconds, or off",
            secondsOrOff("stall-timeout"),
        ],
        [
            "open-timeout",
            None,
            30,
            "answer 503 if the callable has decided nothing for so many seconds, or off",
            secondsOrOff("open-timeout"),
        ],
        [
            "close-timeout",
            None,
            5,
            "seconds that a generator or coroutine has for its end when its client has gone",
            seconds("close-timeout"),
        ],
        ["drain", None, 5, "seconds that streams have for their end on SIGTERM", seconds("drain")],
        [
            "drain-delay",
            None,
            0,
            "seconds before that in which /readyz says no and everything else goes on",
            seconds("drain-delay", zero=True),
        ],
        ["admin", None, None, "endpoint of its own for /metrics, /healthz and /readyz"],
        ["access-log", None, None, "file to log each stream to, or - for standard output"],
        [
            "access-log-format",
            None,
            "combined",
            "combined, or json",
            oneOf("access-log-format", ("combined", "json")),
        ],
    ]

    compData = usage.Completions(
        multiUse=["allow-host", "auth", "listen", "origin", "source", "trusted-proxy"],
        optActions={
            "source": usage.CompleteList(["tick", "-", "file:", "command:", "python:"]),
            "slow": usage.CompleteList(POLICIES),
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
        Add examples to the list of options.
        """
        parent = getattr(self.parent, "getSynopsis", str)().split()
        command = "twist sse" if "twist" in parent[1:2] else "twistd -n sse"
        return super().getUsage(width) + EXAMPLES.replace("{command}", command)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read a command line.

        @param options: the arguments; those of the process if not given.
        @raise SystemExit: with status 64, if an option is wrong: the error has been written to
            standard error then.
        """
        # A UsageError would make twistd print its own options and ours, and exit with status 1.
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as e:
            # The messages of getopt give no advice.
            exitUsage(f"{e}: see --help" if isinstance(e.__context__, GetoptError) else str(e))

    def parseArgs(self, *arguments: str) -> None:
        """
        Refuse arguments: there are only options.
        """
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is no option: see --help")

    def postOptions(self) -> None:
        """
        Check everything that can be checked without opening or starting anything.
        """
        self.sources: dict[str, Spec] = {}
        self.connected: dict[str, Connected] = {}
        for description in self["source"] or ["tick"]:
            self._addSource(description)
        self.lines = [path for path, spec in self.sources.items() if spec.isLines]
        self._checkSuits(FOR_TICKS, "ticks", self._has(Kind.TICK))
        self._checkSuits(FOR_LINES, "lines", bool(self.lines))
        for name in self["allow-host"]:
            if not isHostName(name):
                raise usage.UsageError(
                    f"--allow-host is {name!r}: it must be the name of a host, without a port"
                )
        if self["port"] is None and not self["listen"]:
            self["port"] = DEFAULT_PORT
        try:
            EventStreamResource(lambda stream: None, **self.resourceArguments())
        except InvalidOption as e:
            raise usage.UsageError(f"--{RENAMED.get(e.name, e.name)} {e.why}") from e

    def _addSource(self, said: str) -> None:
        """
        Read a value of C{--source}.
        """
        path, equals, description = said.partition("=")
        if not (equals and path.startswith("/")):
            path, description = "/", said
        if not isFree(path):
            raise usage.UsageError(
                f"--source {said}: a path is letters, digits and -._~ between slashes, and not"
                f" one of {', '.join('/' + each for each in RESERVED)}"
            )
        if path in self.sources:
            raise usage.UsageError(
                f"--source {said}: there is one at {path} already. Give them paths:"
                " --source /path=SPEC"
            )
        spec = readSpec(description)
        try:
            if spec.kind is Kind.TICK:
                self.connected[path] = tick(self["interval"], self._event())
            elif spec.isLines:
                checkLines(spec)
            else:
                self.connected[path] = load(description)
        except SourceError as e:
            raise usage.UsageError(f"--source {said}: {e}") from e
        if spec.kind is Kind.INPUT:
            if self._has(Kind.INPUT):
                raise usage.UsageError(f"--source {said}: there is only one standard input")
            if not self._inForeground():
                raise usage.UsageError(
                    f"--source {said}: a daemon has no standard input. Use twistd -n."
                )
        if spec.kind is Kind.FILE and self["once"]:
            raise usage.UsageError(f"--once: --source {said} has no end")
        self.sources[path] = spec

    def _has(self, kind: Kind) -> bool:
        """
        Whether there is a source of this kind.
        """
        return any(spec.kind is kind for spec in self.sources.values())

    def _inForeground(self) -> bool:
        # Only twistd has this option.
        parent: Any = self.parent
        return parent is None or bool(parent.get("nodaemon", True))

    def _checkSuits(self, names: Sequence[str], what: str, suits: bool) -> None:
        """
        Refuse options that have no effect on any source.

        @param names: the options.
        @param what: what they are for.
        @param suits: whether there is a source of that.
        """
        for name in names:
            if not suits and self[name] != self.defaults[name]:
                raise usage.UsageError(
                    f"--{name} is for {what}: it says nothing about"
                    f" --source {', '.join(spec.text for spec in self.sources.values())}"
                )

    @property
    def isPrivate(self) -> bool:
        """
        Whether only this machine may read the events.
        """
        return bool(self.lines) and not self["public"] and not self["credCheckers"]

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

    def resourceArguments(self, maxStreams: int | None = None) -> dict[str, Any]:
        """
        Find the arguments of the resources.

        @param maxStreams: the limit if the command line has none.
        @return: by the names that L{EventStreamResource} has for them.
        """
        origins: list[str] | str = self["origin"]
        return {
            "heartbeat": self["heartbeat"],
            "retry": self["retry"],
            "once": bool(self["once"]),
            "origins": "*" if origins == ["*"] else origins,
            "credentials": bool(self["credentials"]),
            "maxStreams": self["max-streams"] or maxStreams,
            "maxStreamsPerAddress": self["max-streams-per-address"],
            "trustedProxies": self["trusted-proxy"],
            "maxPending": self["max-pending"],
            "slow": SlowReader(self["slow"]),
            "stallTimeout": self["stall-timeout"],
            "openTimeout": self["open-timeout"],
            "closeTimeout": self["close-timeout"],
            # Nothing here looks at a request again.
            "slim": True,
        }

    def endpoints(self) -> list[Endpoint]:
        """
        @return: where to listen for clients.
        """
        endpoints = [Endpoint("listen", each, each) for each in self["listen"]]
        if self["port"] is not None:
            # Streams that only this machine may read are not offered to others.
            where = ":interface=127.0.0.1" if self.isPrivate else ""
            port = str(self["port"])
            endpoints.insert(0, Endpoint("port", port, f"tcp:{port}{where}"))
        return endpoints

    def adminEndpoint(self) -> Endpoint | None:
        """
        @return: where to listen for metrics and probes; L{None} if that is where clients are.
        """
        where = self["admin"]
        return Endpoint("admin", where, where) if where else None
