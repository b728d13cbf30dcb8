"""
Where the daemon's events come from: what its option C{--source} may say.

A source of lines (standard input, a file, a command) publishes them in a channel, for all.  Any
other is a C{connected}, as L{EventStreamResource<twisted_sse.EventStreamResource>} takes it: it
is called with every new stream.
"""

from __future__ import annotations

import os
import reprlib
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ...channel.channel import Channel
from ...format.event import Event
from .command import Command
from .file import Tail
from .linesource import LineSource
from .stdin import StandardInput

if TYPE_CHECKING:
    from ...stream.stream import EventStream

__all__ = ["SourceError", "checkLines", "isLines", "load", "makeLines", "tick"]

Connected = Callable[["EventStream"], object]


class SourceError(Exception):
    """
    A source cannot be used.  The message says why.

    @since: 0.1
    """


def tick(interval: float, event: Event) -> Connected:
    """
    Send each client the same event again and again, from the time that it came.

    @param interval: in seconds.
    @param event: what is sent.
    @return: a function to be called with each new stream.

    @since: 0.1
    """

    def connected(stream: EventStream) -> None:
        stream.every(interval, lambda: event)

    return connected


def isLines(description: str) -> bool:
    """
    Whether a source is one of lines: your data.
    """
    return description == "-" or description.startswith(("file:", "command:"))


def checkLines(description: str) -> None:
    """
    Check what can be checked of a source of lines without beginning to read it.

    @param description: C{"-"}, C{"file:PATH"} or C{"command:LINE"}.
    @raise SourceError: if it cannot be used.

    @since: 0.1
    """
    kind, _, what = description.partition(":")
    # So Python says it: its descriptor may be another file's by now.
    if kind == "-" and sys.stdin is None:
        raise SourceError(
            "the standard input is closed: there have to be lines, or the end of them"
        )
    if kind == "file" and not what:
        raise SourceError("it names no file: it must be like file:/var/log/app.log")
    if kind == "command":
        _split(what)


def makeLines(
    description: str,
    channel: Channel,
    reactor: Any,
    format: str,
    history: int,
    ended: Callable[[int], None] | None,
) -> LineSource:
    """
    Make a source of lines.  It reads when its service is started.

    @param description: as for L{checkLines}.
    @param channel: where it publishes.
    @param format: see L{LineSource}.
    @param history: how many lines of a file are there to be replayed from the beginning.
    @param ended: see L{LineSource}; if given, a command is run only once.
    @raise SourceError: if it cannot be used.

    @since: 0.1
    """
    kind, _, what = description.partition(":")
    if kind == "command":
        return Command(channel, reactor, _split(what), format, ended)
    if kind == "file":
        tail = Tail(channel, reactor, what, format)
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


def load(description: str) -> Connected:
    """
    Find a function of the user's.  The working directory is importable, as it is for
    C{python -m}, but not for a script such as C{twistd}.

    @param description: C{"python:package.module:callable"}; the callable may be an attribute of
        something else, as in C{"python:shop.events:channel.subscribe"}.
    @return: the function, to be called with each new stream.
    @raise SourceError: if there is no such function.

    @since: 0.1
    """
    kind, _, place = description.partition(":")
    moduleName, _, path = place.partition(":")
    names = path.split(".")
    if kind != "python" or not all(map(str.isidentifier, (*moduleName.split("."), *names))):
        raise SourceError(
            "it must be tick, -, file:PATH, command:LINE or python:package.module:callable"
        )
    found: object = _importModule(moduleName)
    where = moduleName
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise SourceError(f"{where} has no {name!r}") from None
        where = f"{where}.{name}"
    if not callable(found):
        raise SourceError(
            f"{where} is {reprlib.repr(found)}: it must be a function, to be called with each"
            " new stream"
        )
    return cast(Connected, found)


def _importModule(name: str) -> object:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except (Exception, SystemExit) as e:
        if isinstance(e, ModuleNotFoundError) and e.name and f"{name}.".startswith(f"{e.name}."):
            raise SourceError(f"there is no module {e.name!r}, here or where Python looks") from e
        raise SourceError(f"importing {name} failed{_place(e)}: {_describe(e)}") from e


def _place(error: BaseException) -> str:
    """
    @return: where it was raised, if that was not in the import machinery.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if frames and not frames[-1].filename.startswith("<"):
        return f" in {frames[-1].filename}, line {frames[-1].lineno}"
    return ""


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
