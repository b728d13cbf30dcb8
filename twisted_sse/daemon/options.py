"""
The options of the daemon, C{twistd sse} and C{twist sse}.

An error in an option is one line on standard error, with exit status 64 (C{EX_USAGE} of
C{sysexits.h}), before anything is served and before C{twistd} becomes a daemon.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from getopt import GetoptError, gnu_getopt
from typing import Any, NoReturn

from twisted.python import usage

from ..checks import InvalidOption
from ..format.event import Event, InvalidEvent
from ..server.resource import EventStreamResource
from ..stream.pending import SlowReader
from .access import checkEmbedders, isHostName
from .listen import Endpoint
from .mercureoptions import WELL_KNOWN, MercureOptions
from .parameters import COMPLETIONS, DEFAULT_PORT, EXAMPLES, FLAGS, PARAMETERS
from .paths import RESERVED, isFree
from .sources.errors import SourceError
from .sources.function import load, takesChannel, tick
from .sources.spec import Kind, Spec, checkLines, readSource
from .storage import checkFile, checkURL, inJail, isURL
from .tokens import readTokens

__all__ = ["EX_USAGE", "RENAMED", "Options", "exitUsage"]

#: The exit status for a wrong command line.
EX_USAGE = 64

#: The options for arguments of the resource that have another name there.
RENAMED = {
    "origins": "origin",
    "allowHeaders": "allow-headers",
    "exposeHeaders": "expose-headers",
    "trustedProxies": "trusted-proxy",
}

#: The options that are for ticks, those that are for lines, those that are for all events that are
#: kept, and those for clients that read them, where no function decides what they get.
FOR_TICKS = ("interval", "event", "data", "id")
FOR_LINES = ("format",)
FOR_KEPT = ("history", "history-age")
FOR_READERS = ("tail",)

#: The options of a store.
FOR_STORE = ("store-events", "store-age", "store-sync")


def exitUsage(message: str) -> NoReturn:
    """
    Write what is wrong with the command line to standard error, in one line, and exit.
    """
    sys.stderr.write(f"sse: {' '.join(message.split())}\n")
    raise SystemExit(EX_USAGE)


class Options(MercureOptions):
    """
    The options of the daemon: its sources, the arguments of the resource under their names
    there, where to listen, and who may read and publish.

    @ivar arguments: the command line.
    @ivar sources: the sources, by path.
    @ivar lines: the paths of those that are lines.
    @ivar published: the paths of those that clients publish to.
    @ivar connected: the functions to be called with each new stream, by path, for the other
        sources.
    @ivar channeled: the paths of those functions that want a channel.

    @since: 0.1
    """

    synopsis = "[options] [source ...]"

    # Without this, the help would show the docstring of the main program.
    longdesc = ""

    optFlags = FLAGS
    optParameters = PARAMETERS
    compData = COMPLETIONS

    def __init__(self) -> None:
        super().__init__()
        # Twisted wraps the lines of a docstring as they are, indented.
        self.docs = {name: " ".join(text.split()) for name, text in self.docs.items()}
        self["source"] = []
        self["listen"] = []
        self["allow-host"] = []
        self["publish-token"] = []
        self["credCheckers"] = []
        self["origin"] = []
        self["embed"] = []
        self["allow-headers"] = []
        self["expose-headers"] = []
        self["trusted-proxy"] = []

    def opt_source(self, description: str) -> None:
        """
        where the events come from, as without the name of this option: a file, tick, - (standard
        input), post, file:PATH, command:LINE or python:module:callable; /path=... for another path
        than /; may be given several times
        """
        self["source"].append(description)

    opt_s = opt_source

    def opt_allow_host(self, name: str) -> None:
        """
        name of this server that clients may ask for, besides localhost; may be given several
        times
        """
        self["allow-host"].append(name)

    def opt_publish_token(self, description: str) -> None:
        """
        file:PATH with the tokens of those who may publish to a source post, one in each line; may be
        given several times
        """
        self["publish-token"] += readTokens(description)

    def opt_listen(self, description: str) -> None:
        """
        endpoint to listen on, see below; may be given several times
        """
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_origin(self, origin: str) -> None:
        """
        origin whose pages may read the events (CORS), such as https://example.com, or * for all;
        of a hub also https://*.example.com for all hosts below one; may be given several times
        """
        self["origin"].append(origin)

    def opt_embed(self, origin: str) -> None:
        """
        origin whose pages may show the live page in a frame, such as https://example.com; may be
        given several times
        """
        self["embed"].append(origin)

    def opt_allow_headers(self, names: str) -> None:
        """
        headers that the pages of each --origin may send besides the usual ones, separated by
        commas; may be given several times
        """
        self["allow-headers"] += [name.strip() for name in names.split(",")]

    def opt_expose_headers(self, names: str) -> None:
        """
        headers of the responses that the pages of each --origin may read, separated by commas; may
        be given several times
        """
        self["expose-headers"] += [name.strip() for name in names.split(",")]

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
        given = sys.argv[1:] if options is None else options
        self.arguments = list(given)
        # A UsageError would make twistd print its own options and ours, and exit with status 1.
        try:
            super().parseOptions(self._optionsFirst(given))  # type: ignore[no-untyped-call]
        except GetoptError as e:
            # Its messages give no advice.
            exitUsage(f"{e}: see --help")
        except usage.UsageError as e:
            exitUsage(str(e))

    def _optionsFirst(self, arguments: Sequence[str]) -> Sequence[str]:
        """
        Sort a command line: Twisted takes no options after the first source.
        """
        if arguments[-2:-1] == ["--_shell-completion"]:
            # A shell asks about a line that is not complete.
            return arguments
        found, sources = gnu_getopt(list(arguments), self.shortOpt, self.longOpt)
        options: list[str] = []
        for name, value in found:
            takes = f"{name[2:]}=" in self.longOpt or f"{name[1:]}:" in self.shortOpt
            options += [name, value] if takes else [name]
        return [*options, "--", *sources]

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the sources.
        """
        self._arguments = arguments

    def postOptions(self) -> None:
        """
        Check everything that can be checked without opening or starting anything.
        """
        self.sources: dict[str, Spec] = {}
        self.connected: dict[str, Callable[..., object]] = {}
        self._addHub()
        for description in self["source"]:
            self._addSource(description, f"--source {description}")
        for description in self._arguments:
            self._addSource(description, description)
        if not self.sources:
            self._addSource("tick", "--source tick")
        self.lines = [path for path, spec in self.sources.items() if spec.isLines]
        self.channeled = [path for path, each in self.connected.items() if takesChannel(each)]
        self.published = [path for path, spec in self.sources.items() if spec.kind is Kind.POST]
        self._checkSuits(FOR_TICKS, "ticks", self._has(Kind.TICK))
        self._checkSuits(FOR_LINES, "lines", bool(self.lines))
        what = "lines and what is posted"
        self._checkSuits(FOR_KEPT, what, self._isOwnData or bool(self.channeled))
        self._checkSuits(FOR_READERS, what, bool(self.lines or self.published))
        self._checkStore()
        if self["processes"] > 1:
            self._checkProcesses()
        if self["publish-token"] and not self.published:
            raise usage.UsageError(
                f"--publish-token is for a source post: there is only {self._said()}"
            )
        if self.published and self["public"] and not self["publish-token"]:
            raise usage.UsageError(
                f"--public: everybody could publish at {self.published[0]}. Give --publish-token"
                " file:PATH, too"
            )
        for name in self["allow-host"]:
            if not isHostName(name):
                raise usage.UsageError(
                    f"--allow-host is {name!r}: it must be the name of a host, without a port"
                )
        if self["port"] is None and not self["listen"]:
            self["port"] = DEFAULT_PORT
        checkEmbedders(self["embed"])
        arguments = self.resourceArguments()
        isHub = all(spec.kind is Kind.HUB for spec in self.sources.values())
        if isHub and arguments["origins"] != "*":
            # It checks them itself, since they may be patterns.
            del arguments["origins"]
        try:
            EventStreamResource(lambda stream: None, **arguments)
        except InvalidOption as e:
            raise usage.UsageError(f"--{RENAMED.get(e.name, e.name)} {e.why}") from e

    def _addHub(self) -> None:
        """
        Take the hub, if there is one, as the source that it is.
        """
        self.checkHub()
        if not self["mercure"]:
            return
        if self["presence"] and isURL(self["store"] or ""):
            raise usage.UsageError(
                "--presence is for one process: with --store redis://.. there may be others, and"
                " each knows its own subscribers only"
            )
        if self["once"]:
            raise usage.UsageError("--once: --mercure has no end")
        self.sources[WELL_KNOWN] = Spec(Kind.HUB, "", "--mercure")

    def _addSource(self, description: str, said: str) -> None:
        """
        Take a source.

        @param said: the same as the user wrote it, for errors.
        """
        try:
            path, spec = readSource(description, said)
            if spec.kind is Kind.TICK:
                connected = tick(self["interval"], self._event())
            elif spec.kind is Kind.FUNCTION:
                connected = load(spec.value)
            else:
                connected = None
                checkLines(spec)
        except SourceError as e:
            raise usage.UsageError(f"{said}: {e}") from e
        if not isFree(path):
            raise usage.UsageError(
                f"{said}: a path is letters, digits and -._~ between slashes, and not one of"
                f" {', '.join('/' + each for each in RESERVED)}"
            )
        if path in self.sources:
            raise usage.UsageError(
                f"{said}: there is one at {path} already. Give them paths: /path=SOURCE"
            )
        if spec.kind is Kind.INPUT:
            if self._has(Kind.INPUT):
                raise usage.UsageError(f"{said}: there is only one standard input")
            if not self._inForeground():
                raise usage.UsageError(f"{said}: a daemon has no standard input. Use twistd -n.")
        if spec.kind in (Kind.FILE, Kind.POST) and self["once"]:
            raise usage.UsageError(f"--once: {said} has no end")
        self.sources[path] = spec
        if connected is not None:
            self.connected[path] = connected

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
                    f"--{name} is for {what}: it says nothing about {self._said()}"
                )

    def _checkStore(self) -> None:
        """
        Check the options of a store.
        """
        if self["store"] is None:
            for name in FOR_STORE:
                if self[name] != self.defaults.get(name, 0):
                    raise usage.UsageError(f"--{name} is for a store: give --store, too")
        elif not (self.channeled or any(spec.isStored for spec in self.sources.values())):
            raise usage.UsageError(
                f"--store keeps what is posted, or comes from - or command:, and the channels of"
                f" functions. There is only {self._said()}: a file is a store itself"
            )
        elif isURL(self["store"]):
            if self["store-sync"]:
                raise usage.UsageError(
                    "--store-sync is for a file: for Redis, set appendfsync in its configuration"
                )
            checkURL(self["store"])
        else:
            now, self["store"] = inJail(self["store"], self.parent)
            checkFile(now)

    def _checkProcesses(self) -> None:
        """
        Check that the sources can be served by several processes.
        """
        if not hasattr(os, "fork"):  # pragma: no cover
            raise usage.UsageError("--processes: this system cannot do that")
        parent: Any = self.parent
        if parent is not None and parent.get("chroot") is not None:
            raise usage.UsageError("--processes: after --chroot no other process can be started")
        shared = [
            spec for path, spec in self.sources.items() if spec.isStored or path in self.channeled
        ]
        if shared and not isURL(self["store"] or ""):
            raise usage.UsageError(
                f"--processes: several processes share what comes from {shared[0].text} through"
                " Redis only: give --store redis://HOST"
            )
        once = [spec for spec in shared if spec.isReadOnce]
        if once and self["once"]:
            raise usage.UsageError(f"--once: with --processes, {once[0].text} has no end")

    def _said(self) -> str:
        """
        @return: the sources as the user wrote them.
        """
        return ", ".join(spec.text for spec in self.sources.values())

    @property
    def streams(self) -> dict[str, str]:
        """
        The sources that have a page: what they are called, by path.
        """
        return {path: spec.label for path, spec in self.sources.items() if path != self.hub}

    @property
    def hub(self) -> str | None:
        """
        The path of the hub; L{None} if there is none.
        """
        return WELL_KNOWN if self["mercure"] else None

    @property
    def isPrivate(self) -> bool:
        """
        Whether only this machine may read the events.
        """
        return self._isOwnData and not self["public"] and not self["credCheckers"]

    @property
    def _isOwnData(self) -> bool:
        """
        Whether any of the events are the user's own data.
        """
        return any(spec.isPrivate for spec in self.sources.values())

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
            "allowHeaders": self["allow-headers"],
            "exposeHeaders": self["expose-headers"],
            "maxStreams": self["max-streams"] or maxStreams,
            "maxStreamsPerAddress": self["max-streams-per-address"],
            "trustedProxies": self["trusted-proxy"],
            "maxPending": self["max-pending"],
            "maxPendingTotal": self["max-pending-total"],
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

    def allEndpoints(self) -> list[Endpoint]:
        """
        @return: where to listen, in the order in which that is done.
        """
        admin = self.adminEndpoint()
        return [*([] if admin is None else [admin]), *self.endpoints()]

    def adminEndpoint(self) -> Endpoint | None:
        """
        @return: where to listen for metrics and probes; L{None} if that is where clients are.
        """
        where = self["admin"]
        return Endpoint("admin", where, where) if where else None
