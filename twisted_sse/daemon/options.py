"""
The options of the daemon, C{twistd sse} and C{twist sse}.

An error in an option is one line on standard error, with exit status 64 (C{EX_USAGE} of
C{sysexits.h}), before anything is served and before C{twistd} becomes a daemon.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from getopt import GetoptError, gnu_getopt
from platform import python_version
from typing import Any, NoReturn

from twisted.logger import jsonFileLogObserver, textFileLogObserver
from twisted.python import usage

import twisted

from ..checks import InvalidOption
from ..release import release
from ..server.resource import EventStreamResource
from ..stream.pending import SlowReader
from .access import checkEmbedders, isHostName
from .help import HELP
from .listen import Endpoint
from .parameters import COMPLETIONS, DEFAULT_PORT, FLAGS, PARAMETERS
from .sourceoptions import SourceOptions
from .sources.spec import Kind
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


def exitUsage(message: str, program: str = "sse") -> NoReturn:
    """
    Write what is wrong with the command line to standard error, in one line, and exit.

    @param program: the program's name as the user typed it.
    """
    sys.stderr.write(f"{program}: {' '.join(message.split())}\n")
    raise SystemExit(EX_USAGE)


class Options(SourceOptions):
    """
    The options of the daemon: its sources, the arguments of the resource under their names
    there, where to listen, and who may read and publish.

    @ivar arguments: the command line.
    @ivar program: the program's name as the user typed it.

    @since: 0.2
    """

    program = "sse"

    optFlags = FLAGS
    optParameters = PARAMETERS
    compData = COMPLETIONS

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["allow-host"] = []
        self["publish-token"] = []
        self["credCheckers"] = []
        self["origin"] = []
        self["embed"] = []
        self["allow-headers"] = []
        self["expose-headers"] = []
        self["trusted-proxy"] = []

    def opt_allow_host(self, name: str) -> None:
        """
        name of this server that clients may ask for, besides localhost; may be repeated
        """
        self["allow-host"].append(name)

    def opt_publish_token(self, description: str) -> None:
        """
        file:PATH with the tokens of those who may publish to a source post, one in each line; may
        be repeated
        """
        self["publish-token"] += readTokens(description)

    def opt_listen(self, description: str) -> None:
        """
        endpoint to listen on, see below; may be repeated
        """
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_origin(self, origin: str) -> None:
        """
        origin whose pages may read the events (CORS), such as https://example.com, or * for all;
        of a hub also https://*.example.com for all hosts below one; may be repeated
        """
        self["origin"].append(origin)

    def opt_embed(self, origin: str) -> None:
        """
        origin whose pages may show the live page in a frame, such as https://example.com; may be
        repeated
        """
        self["embed"].append(origin)

    def opt_allow_headers(self, names: str) -> None:
        """
        headers that the pages of each --origin may send besides the usual ones, separated by
        commas; may be repeated
        """
        self["allow-headers"] += [name.strip() for name in names.split(",")]

    def opt_expose_headers(self, names: str) -> None:
        """
        headers of the responses that the pages of each --origin may read, separated by commas; may
        be repeated
        """
        self["expose-headers"] += [name.strip() for name in names.split(",")]

    def opt_trusted_proxy(self, network: str) -> None:
        """
        network such as 10.0.0.0/8 whose X-Forwarded-For is believed; may be repeated
        """
        self["trusted-proxy"].append(network)

    def getSynopsis(self) -> str:
        """
        See L{usage.Options<twisted.python.usage.Options>}.
        """
        return f"Usage: {self._typed} [OPTIONS] [FILE ... | - | -- COMMAND ...]"

    @property
    def _typed(self) -> str:
        # As a command of twist or twistd: options of that program may precede it.
        if self.parent is None:
            return self.program
        name = os.path.basename(sys.argv[0])
        return f"{name} -n sse" if "nodaemon" in self.parent else f"{name} sse"

    def getUsage(self, width: int | None = None) -> str:
        """
        See L{usage.Options<twisted.python.usage.Options>}.  The options are in groups, the most common
        first.
        """
        return HELP.replace("{program}", self._typed)

    def opt_version(self) -> NoReturn:
        """
        show the version
        """
        # Bug reports need the versions of Twisted and Python, too.
        sys.stdout.write(
            f"twisted-sse {release()} (Twisted {twisted.__version__}, Python {python_version()})\n"
        )
        raise SystemExit(0)

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
            exitUsage(f"{e}: see --help", self.program)
        except usage.UsageError as e:
            exitUsage(str(e), self.program)

    def _optionsFirst(self, arguments: Sequence[str]) -> Sequence[str]:
        """
        Sort a command line: Twisted accepts no options after the first source.  The words after C{--}
        are a command.
        """
        if arguments[-2:-1] == ["--_shell-completion"]:
            # A shell asks about a line that is not complete.
            return arguments
        mine, self.command = self._atDashes(list(arguments))
        found, sources = gnu_getopt(mine, self.shortOpt, self.longOpt)
        options: list[str] = []
        for name, value in found:
            takes = f"{name[2:]}=" in self.longOpt or f"{name[1:]}:" in self.shortOpt
            options += [name, value] if takes else [name]
        return [*options, "--", *sources]

    def _atDashes(self, arguments: list[str]) -> tuple[list[str], list[str]]:
        """
        @return: the words before and after the first C{--} that is not an option's value.
        """
        for place, each in enumerate(arguments):
            if each == "--" and not self._takesNext(arguments[:place]):
                if not arguments[place + 1 :]:
                    raise usage.UsageError("a command must follow --")
                return arguments[:place], arguments[place + 1 :]
        return arguments, []

    def _takesNext(self, arguments: list[str]) -> bool:
        """
        Whether the last argument is an option that still needs its value.
        """
        try:
            gnu_getopt(arguments, self.shortOpt, self.longOpt)
        except GetoptError as e:
            return "requires argument" in e.msg
        return False

    def postOptions(self) -> None:
        """
        Check everything that can be checked without opening or starting anything.
        """
        self.addSources()
        parent: Any = self.parent
        if self["log-format"] is not None and parent is not None and "logFile" in parent:
            # Set twist's own option.
            isJSON = self["log-format"] == "json"
            parent["fileLogObserverFactory"] = (
                jsonFileLogObserver if isJSON else textFileLogObserver
            )
        if self["once-wait"] != self.defaults["once-wait"] and not self["once"]:
            raise usage.UsageError("--once-wait only applies with --once: add --once")
        if self["publish-token"] and not self.published:
            raise usage.UsageError(
                f"--publish-token only applies to posted events, and {self.none()}"
            )
        if self.published and self["public"] and not self["publish-token"]:
            raise usage.UsageError(
                f"--public would let everyone publish at {self.published[0]}: add "
                "--publish-token file:PATH"
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
