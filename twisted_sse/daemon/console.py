"""
The log of C{twisted-sse serve} on standard error: a short, readable form on a terminal, else Twisted's
text or JSON.

The field C{terminal} of a log event is its text on a terminal; if it is empty, the event is not shown.
Of events without the field, only warnings and errors are shown, each in one line.
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

#: Our namespace in logs.
NAMESPACE = "sse"

#: Escape sequences for text styles: ECMA-48, 8.3.117.
BOLD, DIM, UNDERLINED, WARNING, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[4m", "\x1b[33m", "\x1b[0m"

_STYLE = re.compile(r"\x1b\[[0-9]+m")

#: Twisted's own messages for opening or closing a port, and for the end of the reactor.
_TWISTEDS = re.compile(r"\(\w+ Port .* Closed\)|Main loop terminated\.|.* starting on .*")


@implementer(ILogObserver)
class Terminal:
    """
    Shows the log on a terminal.
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
    @return: a warning or an error as one line.
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
    @return: where the failure happened, if known.
    """
    frames = extract_tb(failure.getTracebackObject())
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


@provider(ILogFilterPredicate)
def _ours(event: LogEvent) -> Any:
    """
    Drop Twisted's own messages, except warnings and errors.
    """
    if event.get("log_level", LogLevel.info) > LogLevel.info:
        return PredicateResult.yes
    isTwisteds = str(event.get("log_namespace")).startswith("twisted.")
    if isTwisteds or _TWISTEDS.fullmatch(formatEvent(event)):
        return PredicateResult.no
    return PredicateResult.yes


def beginLogging(file: IO[str], format: str | None, environ: Any = os.environ) -> None:
    """
    Start writing the log to a file.

    @param file: standard error.
    @param format: C{"text"} or C{"json"}; L{None} for text, unless the file is a terminal.
    """
    if format is None and file.isatty():
        # https://no-color.org: any value counts, except an empty one.
        observer: Any = Terminal(file, not environ.get("NO_COLOR"))
    else:
        stream = cast(IO[Any], file)
        if format == "json":
            # One object per line, without the separators of RFC 7464, which few programs support.
            observer = jsonFileLogObserver(stream, recordSeparator="")
        else:
            observer = textFileLogObserver(stream)
    # A source's prints and the access log still go to standard output.
    predicates: list[Any] = [_ours]
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(observer, predicates)], redirectStandardIO=False
    )


def tellDirectly(text: str) -> None:
    """
    Write to standard error without buffering or logging, as the process is about to end.
    """
    try:
        os.write(2, text.encode())
    except OSError:
        pass
