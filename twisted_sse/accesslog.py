"""
An observer that writes the access log: a line when a stream opens, and one when it is closed.

Twisted's own log has a line for each request that was finished.  A stream that the client ends,
as nearly all are, is never finished, and never logged.
"""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timezone
from functools import lru_cache
from io import BufferedIOBase, RawIOBase
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger
from twisted.web.http import datetimeToLogString

from .observe import Observer

if TYPE_CHECKING:
    from twisted.web.server import Request

    from .stream.stream import CloseReason, EventStream

__all__ = ["AccessLog", "LogFile"]

#: How much of anything that a client says is logged, in bytes: more than browsers say of
#: themselves, and little enough to be kept for each stream.
LONGEST = 512

#: How many of the things that clients say are kept, so that it is the same object for all
#: who say the same: there are fewer browsers than streams.
CACHED = 256

#: What might be mistaken for something else in a line of the log, or do harm to the terminal
#: that shows it.
_UNSAFE = re.compile(rb"[^ !#-\[\]-~]")

#: The same for what stands there without quotes.  Analysers find the time by its bracket, and
#: AWStats knows no user with a slash.
_UNSAFE_BARE = re.compile(rb"[^!#-.0-Z^-~]")

_log = Logger()


class LogFile(Protocol):
    """
    What an access log is written to: a text file, or anything else that has this method, such
    as L{twisted.python.logfile.LogFile}.  It may have a method C{flush}, too.
    """

    def write(self, line: str, /) -> object:
        """
        Write a line, with its end.
        """


class _Entry:
    """
    What is remembered of a request while its stream is open: with C{slim} its headers are not.

    @ivar began: when the stream was opened, as C{stream._wheel.seconds} says.
    """

    __slots__ = ("agent", "began", "referer", "request", "user")

    def __init__(
        self, request: Request, began: float, user: bytes, referer: str, agent: str
    ) -> None:
        self.request = request
        self.began = began
        self.user = user
        self.referer = referer
        self.agent = agent


class AccessLog(Observer):
    r"""
    Writes the access log, as ASCII whatever the clients say.

    C{"combined"} is the format of that name of Apache and nginx, with more at its end, which
    programs that read such logs pass over::

        192.0.2.1 - - [22/Nov/2025:20:15:01 +0000] "GET /events HTTP/1.1" 200 - "-" "curl/8.5.0" "ticks" open
        192.0.2.1 - - [22/Nov/2025:20:15:13 +0000] "GET /events HTTP/1.1" 200 441 "-" "curl/8.5.0" "ticks" close reason=client seconds=12.345 events=17

    What is not printable ASCII, a quote or a backslash is written as C{\xHH}, as nginx does.

    C{"json"} is a JSON object a line.

    A query is not logged, nor that of the referring page: tokens are often to be found there.
    Each line is flushed.  When one cannot be written, that is said in Twisted's log, once, and
    the next is tried all the same.

    @ivar linesFailed: the number of lines that could not be written.

    @since: 0.1
    """

    def __init__(self, file: LogFile, format: str = "combined") -> None:
        """
        @param file: a text file, or something like it.  It is not closed.
        @param format: C{"combined"} or C{"json"}.
        @raise TypeError: if the file is none, or one of bytes.
        @raise ValueError: if there is no such format.
        """
        _checkFile(file)
        if format not in ("combined", "json"):
            raise ValueError(f'format is {format!r}: it must be "combined" or "json"')
        self.linesFailed = 0
        self._file = file
        self._line = _combined if format == "combined" else _json
        self._text = lru_cache(CACHED)(_escaped if format == "combined" else _decoded)
        self._entries: dict[EventStream, _Entry] = {}
        # What time it is, for everybody: the clock of a stream may be one of a test.
        self._seconds = time.time
        # How many lines could not be written of late.
        self._missing = 0

    def opened(self, stream: EventStream) -> None:
        """
        See L{Observer.opened}.
        """
        request = stream.request
        if request is None:
            # Another observer has ended it when it was told.
            return
        referer = (request.getHeader(b"referer") or b"").partition(b"?")[0]
        entry = _Entry(
            request,
            stream._wheel.seconds(),
            _user(request)[:LONGEST],
            self._text(referer[:LONGEST]),
            self._text((request.getHeader(b"user-agent") or b"")[:LONGEST]),
        )
        self._entries[stream] = entry
        self._write(stream, entry, None)

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        See L{Observer.closed}.
        """
        entry = self._entries.pop(stream, None)
        if entry is not None:
            self._write(stream, entry, reason)

    def _write(self, stream: EventStream, entry: _Entry, reason: CloseReason | None) -> None:
        line = self._line(self._seconds(), stream, entry, reason)
        try:
            self._file.write(line + "\n")
            flush = getattr(self._file, "flush", None)
            if flush is not None:
                flush()
        except Exception:
            self.linesFailed += 1
            self._missing += 1
            if self._missing == 1:
                _log.failure("The access log cannot be written")
            return
        if self._missing:
            _log.info(
                "The access log can be written again. {missing} lines may be missing.",
                missing=self._missing,
            )
            self._missing = 0


def _checkFile(file: object) -> None:
    writes = callable(getattr(file, "write", None))
    if not writes or isinstance(file, (RawIOBase, BufferedIOBase)):
        raise TypeError(f"file is {file!r}: it must be a text file")


def _combined(now: float, stream: EventStream, entry: _Entry, reason: CloseReason | None) -> str:
    request = entry.request
    asked = b"%s %s %s" % (request.method, _path(request), request.clientproto)
    size: object = "-"
    what = "open"
    if reason is not None:
        size = request.sentLength
        what = (
            f"close reason={reason.value} seconds={stream._wheel.seconds() - entry.began:.3f}"
            f" events={stream.eventsSent}"
        )
    return (
        f"{_escaped(stream.clientAddress.encode(), _UNSAFE_BARE) or '-'} -"
        f" {_escaped(entry.user, _UNSAFE_BARE) or '-'} {datetimeToLogString(now)}"
        f' "{_escaped(asked)}" {request.code} {size}'
        f' "{entry.referer or "-"}" "{entry.agent or "-"}"'
        f' "{_escaped(_encoded(stream.name or "-"))}" {what}'
    )


def _json(now: float, stream: EventStream, entry: _Entry, reason: CloseReason | None) -> str:
    request = entry.request
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds"),
        "stream": "open" if reason is None else "close",
        "resource": stream.name,
        "address": stream.clientAddress,
        "user": _decoded(entry.user) or None,
        "method": _decoded(request.method),
        "path": _decoded(_path(request)),
        "protocol": _decoded(request.clientproto),
        "status": request.code,
        "referer": entry.referer or None,
        "agent": entry.agent or None,
    }
    if reason is not None:
        line["reason"] = reason.value
        line["seconds"] = round(stream._wheel.seconds() - entry.began, 3)
        line["events"] = stream.eventsSent
        line["bytes"] = request.sentLength
    return json.dumps(line)


def _path(request: Request) -> bytes:
    return request.uri.partition(b"?")[0][:LONGEST]


def _user(request: Request) -> bytes:
    """
    Find the name that the client says is its user's, or that the application has found.
    """
    user: object = getattr(request, "user", None)
    if user is None and request.requestHeaders.hasHeader(b"authorization"):
        # Only then, since a request remembers the answer.
        user = request.getUser()
    if isinstance(user, str):
        return _encoded(user)
    # An application may have put there what it likes.
    return user if isinstance(user, bytes) else b""


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _decoded(said: bytes) -> str:
    return said.decode("utf-8", "backslashreplace")


def _escaped(said: bytes, unsafe: re.Pattern[bytes] = _UNSAFE) -> str:
    return unsafe.sub(lambda match: b"\\x%02X" % match[0][0], said).decode("ascii")
