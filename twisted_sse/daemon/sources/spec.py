"""
The values of the daemon's option C{--source}.

A source of lines (standard input, a file, a command) publishes them in a channel, for all
clients.  Any other source is a function that is called with each new stream.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from ...channel.channel import Channel
from .command import Command
from .errors import SourceError
from .file import Tail
from .linesource import LineSource
from .stdin import StandardInput

__all__ = ["Kind", "Spec", "checkLines", "makeLines", "readSpec"]


class Kind(Enum):
    """
    The kinds of sources.
    """

    TICK = auto()
    INPUT = auto()
    FILE = auto()
    COMMAND = auto()
    FUNCTION = auto()


class Spec(NamedTuple):
    """
    The description of one source.

    @ivar kind: what kind of source it is.
    @ivar value: the path of a file, or the line of a command; empty for other kinds.
    @ivar text: the description as the user wrote it.
    """

    kind: Kind
    value: str
    text: str

    @property
    def isLines(self) -> bool:
        """
        Whether it is a source of lines, and so of the user's own data.
        """
        return self.kind in (Kind.INPUT, Kind.FILE, Kind.COMMAND)


def readSpec(text: str) -> Spec:
    """
    Read the description of a source.

    @param text: C{"tick"}, C{"-"}, C{"file:PATH"} or C{"command:LINE"}.  Anything else is taken
        for a function, and L{load<twisted_sse.daemon.sources.load>} says what is wrong with it.
    """
    prefix, colon, value = text.partition(":")
    if colon and prefix == "file":
        return Spec(Kind.FILE, value, text)
    if colon and prefix == "command":
        return Spec(Kind.COMMAND, value, text)
    simple = {"tick": Kind.TICK, "-": Kind.INPUT}
    return Spec(simple.get(text, Kind.FUNCTION), "", text)


def checkLines(spec: Spec) -> None:
    """
    Check what can be checked of a source of lines before it is read.

    @raise SourceError: if it cannot be used.
    """
    # This is how Python says that descriptor 0 was closed.  By now it may be another file's.
    if spec.kind is Kind.INPUT and sys.stdin is None:
        raise SourceError(
            "the standard input is closed: there have to be lines, or the end of them"
        )
    if spec.kind is Kind.FILE and not spec.value:
        raise SourceError("it names no file: it must be like file:/var/log/app.log")
    if spec.kind is Kind.COMMAND:
        _split(spec.value)


def makeLines(
    spec: Spec,
    channel: Channel,
    reactor: Any,
    format: str,
    history: int,
    ended: Callable[[int], None] | None,
) -> LineSource:
    """
    Make a source of lines.  It reads when its service is started.

    @param channel: where it publishes.
    @param format: see L{LineSource}.
    @param history: how many lines of a file are loaded at the start, to be replayed.
    @param ended: see L{LineSource}.  If given, a command is run only once.
    @raise SourceError: if it cannot be used.
    """
    if spec.kind is Kind.COMMAND:
        return Command(channel, reactor, _split(spec.value), format, ended)
    if spec.kind is Kind.FILE:
        tail = Tail(channel, reactor, spec.value, format)
        try:
            tail.load(history)
        except OSError as e:
            raise SourceError(e.strerror or str(e)) from e
        return tail
    return StandardInput(channel, reactor, format, ended)


def _split(line: str) -> list[str]:
    """
    Split a command as a shell would.
    """
    try:
        arguments = shlex.split(line)
    except ValueError as e:
        raise SourceError(f"it cannot be split as a shell would: {e}") from e
    if not arguments:
        raise SourceError("it names no command: it must be like command:'vmstat -n 1'")
    if shutil.which(arguments[0]) is None:
        raise SourceError(
            f"there is no command {arguments[0]!r}. It is run without a shell: for pipes and"
            " variables, command:'sh -c \"...\"'"
        )
    return arguments
