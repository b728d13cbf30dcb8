"""
The daemon's sources, as its command line names them.

A source of lines (standard input, a file, a command) publishes them in a channel, for all
clients; to a source C{post}, and to the hub, clients publish.  Any other source is a function that is called with
each new stream.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from enum import Enum
from typing import Any, NamedTuple

from ...channel.channel import Channel
from .command import Command
from .errors import SourceError
from .file import Tail
from .linesource import LineSource
from .stdin import StandardInput

__all__ = ["Kind", "Spec", "checkLines", "makeCommand", "makeLines", "readSource"]


class Kind(Enum):
    """
    The kinds of sources, by the names that the live page uses.
    """

    TICK = "tick"
    INPUT = "stdin"
    FILE = "file"
    COMMAND = "command"
    POST = "post"
    HUB = "hub"
    FUNCTION = "python"


#: The sources that are named by a word, and those that are named by a prefix and a value.
WORDS = {"tick": Kind.TICK, "-": Kind.INPUT, "post": Kind.POST}
PREFIXES = {"file": Kind.FILE, "command": Kind.COMMAND, "python": Kind.FUNCTION}

#: The labels of sources without a name of their own.
LABELS = {Kind.TICK: "Ticks", Kind.INPUT: "Standard input", Kind.POST: "Posted events"}

#: How similar two names must be for one to be a typing error for the other: b.log and app.log are
#: not.
CLOSE = 0.7

#: Characters that mean something to a shell: pipes, redirections, several commands, patterns,
#: variables, homes.
_SHELL = frozenset("|><&;*$~")

#: Characters that are not allowed in paths.
_NOT_IN_PATHS = re.compile(r"[^A-Za-z0-9._~-]+")

#: What one would write for a function, without the prefix.
_FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


class Spec(NamedTuple):
    """
    The description of one source.

    @ivar kind: what kind of source it is.
    @ivar value: the path of a file, the line of a command, or the whole description of a function;
        empty for other kinds.
    @ivar text: the source as the user wrote it, after the name of the option if there was one.
    """

    kind: Kind
    value: str
    text: str

    @property
    def label(self) -> str:
        """
        The short name for users.
        """
        if self.kind is Kind.FILE:
            return os.path.basename(self.value) or self.value
        return LABELS.get(self.kind) or self._named

    @property
    def said(self) -> str:
        """
        The name in logs.
        """
        if self.kind is Kind.HUB:
            return "a Mercure hub"
        name = LABELS.get(self.kind)
        return f"{self.kind.value} {self.label}" if name is None else name.lower()

    @property
    def name(self) -> str:
        """
        The name of its path, if several sources are given without one.
        """
        if self.kind is Kind.COMMAND:
            name = os.path.basename(shlex.split(self.value)[0])
        elif self.kind is Kind.FUNCTION:
            name = re.split("[.:]", self.value)[-1]
        elif self.kind is Kind.FILE:
            name = self.label
        else:
            name = self.kind.value
        return _NOT_IN_PATHS.sub("-", name)

    @property
    def detail(self) -> str:
        """
        The full name: the path of a file, the line of a command, the name of a function; empty if there
        is none.
        """
        return os.path.abspath(self.value) if self.kind is Kind.FILE else self._named

    @property
    def _named(self) -> str:
        return self.value.removeprefix("python:") if self.kind is Kind.FUNCTION else self.value

    @property
    def isLines(self) -> bool:
        """
        Whether it is a source of lines.
        """
        return self.kind in (Kind.INPUT, Kind.FILE, Kind.COMMAND)

    @property
    def isPrivate(self) -> bool:
        """
        Whether its events are the user's own data.
        """
        return self.isLines or self.kind in (Kind.POST, Kind.HUB)

    @property
    def isReadOnce(self) -> bool:
        """
        Whether only one process can read it.
        """
        return self.kind in (Kind.INPUT, Kind.COMMAND)

    @property
    def isStored(self) -> bool:
        """
        Whether a store can keep its events.  A file is a store itself.
        """
        return self.isPrivate and self.kind is not Kind.FILE


def readSource(description: str, text: str) -> tuple[str | None, Spec]:
    """
    Read the description of a source.

    @param description: C{"tick"}, C{"-"}, C{"post"}, C{"file:PATH"}, C{"command:LINE"},
        C{"python:MODULE:CALLABLE"} or the name of a file that exists; before it there may be a path
        to serve it at, as in C{"/log=app.log"}.
    @param text: the same as the user wrote it.
    @return: the path, or L{None} if none is given, and the source.
    @raise SourceError: if it is not a source.
    """
    before, equals, rest = description.partition("=")
    path: str | None = before
    # The name of a file may have such a sign, too.
    if not (equals and before.startswith("/")) or os.path.exists(description):
        path, rest = None, description
    prefix, colon, value = rest.partition(":")
    if rest in WORDS:
        spec = Spec(WORDS[rest], "", text)
    elif colon and prefix in PREFIXES:
        kind = PREFIXES[prefix]
        spec = Spec(kind, rest if kind is Kind.FUNCTION else value, text)
    elif os.path.exists(rest) or _mayCome(rest):
        spec = Spec(Kind.FILE, rest, text)
    else:
        raise SourceError(_advice(rest))
    return path, spec


def makeCommand(words: Sequence[str]) -> Spec:
    """
    Make a source from a command that the shell has already split into words.
    """
    line = shlex.join(words)
    return Spec(Kind.COMMAND, line, f"-- {line}")


def _mayCome(text: str) -> bool:
    """
    Whether this looks like the name of a file that does not exist yet, not like a typing error.
    """
    directory, name = os.path.split(text)
    isName = bool(name) and (bool(directory) or "." in name) and not set(text) & set(": \n")
    return isName and os.path.isdir(directory or ".") and not _close(text)


def _close(text: str) -> list[str]:
    """
    @return: the file or word that the user probably meant, if any.
    """
    directory, name = os.path.split(text)
    try:
        files = os.listdir(directory or ".")
    except OSError:
        files = []
    close = [os.path.join(directory, each) for each in get_close_matches(name, files, 1, CLOSE)]
    return close + get_close_matches(text, WORDS, 1, CLOSE)


def _advice(text: str) -> str:
    """
    @return: what to write instead of something that is not a source.
    """
    prefix, colon, value = text.partition(":")
    known = get_close_matches(prefix, PREFIXES, 1, CLOSE)
    if colon and known:
        return f"unknown kind of source {prefix!r}: did you mean {known[0]}:{shlex.quote(value)}?"
    words = text.split()
    if len(words) > 1 and shutil.which(words[0]):
        return f"did you mean command:{shlex.quote(text)}?"
    if text.isdigit():
        return f"did you mean --port {text}?"
    if _FUNCTION.fullmatch(text):
        return f"did you mean python:{text}?"
    directory = os.path.dirname(text)
    if directory and not os.path.isdir(directory):
        return f"directory {directory} does not exist: create it first, or check the name"
    close = _close(text)
    if close:
        return f"file {text!r} does not exist: did you mean {close[0]}?"
    return (
        "it must be the name of a file, tick, -, post, file:PATH, command:LINE or"
        " python:package.module:callable"
    )


def checkLines(spec: Spec) -> None:
    """
    Check what can be checked of a source of lines before it is read.

    @raise SourceError: if it cannot be used.
    """
    # This is how Python says that descriptor 0 was closed.  By now it may be another file's.
    if spec.kind is Kind.INPUT and sys.stdin is None:
        raise SourceError("standard input is closed: pipe or redirect something to it")
    if spec.kind is Kind.FILE and not spec.value:
        raise SourceError("it must name a file, such as file:/var/log/app.log")
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
            raise SourceError(_explain(e, spec.value)) from e
        return tail
    return StandardInput(channel, reactor, format, ended)


def _explain(error: OSError, path: str) -> str:
    """
    @return: why a file cannot be read, for the user.
    """
    if error.errno == errno.EACCES:
        return "permission denied: run this as a user who may read the file"
    why = error.strerror or str(error)
    return f"{why}: name a file in it" if os.path.isdir(path) else why


def _split(line: str) -> list[str]:
    """
    Split a command as a shell would.
    """
    try:
        arguments = shlex.split(line)
    except ValueError as e:
        raise SourceError(f"it cannot be split into words as in a shell: {e}") from e
    if not arguments:
        raise SourceError("it must name a command, such as command:'ping localhost'")
    if shutil.which(arguments[0]) is None:
        if _SHELL.isdisjoint(line):
            raise SourceError(f"command {arguments[0]!r} was not found")
        raise SourceError(
            f"command {arguments[0]!r} was not found; it runs without a shell: for "
            "pipes and variables, use command:'sh -c \"...\"'"
        )
    return arguments
