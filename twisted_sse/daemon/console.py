"""
The log on standard error, of the command that is run by hand: on a terminal some lines for people, else
Twisted's text or JSON.

A log event may say how it looks on a terminal, in its field C{terminal}: as empty text if it does not
belong there.  Without the field only warnings and errors are shown, in one line each.
"""

from __future__ import annotations

import os
import re
import time
from traceback import extract_tb
from typing import IO, Any, cast

from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    PredicateResult,
    formatEvent,
    globalLogBeginner,
    jsonFileLogObserver,
    textFileLogObserver,
)
from twisted.python.failure import Failure
from zope.interface import implementer, provider

from ..printable import shown

__all__ = [
    "BOLD",
    "DIM",
    "NAMESPACE",
    "PLAIN",
    "UNDERLINED",
    "WARNING",
    "Terminal",
    "beginLogging",
    "tellDirectly",
]

#: What logs call us.
NAMESPACE = "sse"

#: How a terminal is told what text looks like: ECMA-48, 8.3.117.
BOLD, DIM, UNDERLINED, WARNING, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[4m", "\x1b[33m", "\x1b[0m"

_STYLE = re.compile(r"\x1b\[[0-9]+m")

#: What Twisted says in its own log whenever a port is opened or closed, and a reactor ends.
_TWISTEDS = re.compile(r"\(\w+ Port .* Closed\)|Main loop terminated\.|.* starting on .*")


@implementer(ILogObserver)
class Terminal:
    """
    Shows a log to people.
    """

    def __init__(self, file: IO[str], hasStyles: bool) -> None:
        """
        @param file: the terminal.
        @param hasStyles: whether text may be bold, dim and underlined.
        """
        self._file = file
        self._hasStyles = hasStyles

    def __call__(self, event: LogEvent) -> None:
        """
        See L{ILogObserver}.
        """
        text = event.get("terminal")
        if text is None:
            if event.get("log_level", LogLevel.info) < LogLevel.warn:
                return
            text = _line(event)
        elif not self._hasStyles:
            text = _STYLE.sub("", text)
        if text:
            try:
                self._file.write(f"{text}\n")
                self._file.flush()
            except OSError:
                # The terminal is closed.
                pass


def _line(event: LogEvent) -> str:
    """
    @return: a warning or an error, in one line.
    """
    level = {LogLevel.warn: "warning"}.get(event["log_level"], "error")
    text = formatEvent(event)
    failure: Failure | None = event.get("log_failure")
    if failure is not None:
        text = (
            f"{text}: {type(failure.value).__name__}: {failure.getErrorMessage()}{_place(failure)}"
        )
    text = shown(" ".join(text.split())).rstrip(".")
    if text[1:2].islower() or text[1:2] == " ":
        text = text[0].lower() + text[1:]
    clock = time.strftime("%H:%M:%S", time.localtime(event["log_time"]))
    return f"{clock} {level}: {text}"


def _place(failure: Failure) -> str:
    """
    @return: where something failed, if that is known.
    """
    frames = extract_tb(failure.getTracebackObject())
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


@provider(ILogFilterPredicate)
def _ours(event: LogEvent) -> Any:
    """
    Leave out what Twisted itself has to say.
    """
    if event.get("log_level", LogLevel.info) > LogLevel.info:
        return PredicateResult.yes
    isTwisteds = str(event.get("log_namespace")).startswith("twisted.")
    if isTwisteds or _TWISTEDS.fullmatch(formatEvent(event)):
        return PredicateResult.no
    return PredicateResult.yes


def beginLogging(file: IO[str], format: str | None, environ: Any = os.environ) -> None:
    """
    Write the log to a file, from now on.

    @param file: standard error.
    @param format: C{"text"} or C{"json"}; L{None} for text, unless the file is a terminal.
    """
    if format is None and file.isatty():
        # https://no-color.org: whatever it is set to, unless that is empty.
        observer: Any = Terminal(file, not environ.get("NO_COLOR"))
    else:
        stream = cast(IO[Any], file)
        if format == "json":
            # One object a line, and nothing else: other programs do not know RFC 7464.
            observer = jsonFileLogObserver(stream, recordSeparator="")
        else:
            observer = textFileLogObserver(stream)
    # What a source prints belongs to standard output, and so does the access log.
    predicates: list[Any] = [_ours]
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(observer, predicates)], redirectStandardIO=False
    )


def tellDirectly(text: str) -> None:
    """
    Write to standard error, although the process is about to end.
    """
    try:
        os.write(2, text.encode())
    except OSError:
        pass
