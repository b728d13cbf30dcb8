"""
An observer that writes the access log: a line when a stream opens, and one when it closes.

Twisted's own access log has a line for each finished request.  Most streams end because the
client disconnects, so their requests never finish, and are never logged.
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
from twisted.web.iweb import IAccessLogFormatter
from zope.interface import provider

from .observe import Observer
from .stream.asked import LONGEST, pathOf
from .stream.stream import EventStream, responseOf

if TYPE_CHECKING:
    from twisted.web.server import Request

    from .stream.reasons import CloseReason

__all__ = ["AccessLog", "LogFile", "formatRequest"]

#: How many texts from clients are cached, so that streams with the same text share one object:
#: there are fewer kinds of browsers than streams.
CACHED = 256

#: Bytes that could be mistaken for the syntax of a log line, or harm a terminal that shows it.
_UNSAFE = re.compile(rb"[^ !#-\[\]-~]")

#: The same for fields without quotes.  Log analysers find the time by its bracket, and AWStats
#: does not accept a slash in a user's name.
_UNSAFE_BARE = re.compile(rb"[^!#-.0-Z^-~]")

_log = Logger()


class LogFile(Protocol):
    """
    A text file for an access log, or anything else with this method, such as
    L{twisted.python.logfile.LogFile}.  If it has a method C{flush}, that is called too.
    """

    def write(self, line: str, /) -> object:
        """
        Write a line, which includes its line end.
        """


class _Entry:
    """
    What is kept of a request while its stream is open, since with C{slim} the request loses its
    headers.

    @ivar began: when the stream was opened, in the seconds of the stream's clock.
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
    Writes the access log, in ASCII whatever the clients send.

    C{"combined"} is the format of that name of Apache and nginx, with more fields at the end,
    which programs that read such logs ignore::

        192.0.2.1 - - [22/Nov/2025:20:15:01 +0000] "GET /events HTTP/1.1" 200 - "-" "curl/8.5.0" "ticks" open
        192.0.2.1 - - [22/Nov/2025:20:15:13 +0000] "GET /events HTTP/1.1" 200 441 "-" "curl/8.5.0" "ticks" close reason=client seconds=12.345 events=17

    Quotes, backslashes and anything that is not printable ASCII are written as C{\xHH}, as in
    nginx.

    C{"json"} writes a JSON object on each line.

    The query of a URL is not logged, nor is that of the referring page, since both often contain
    tokens.  Each line is flushed.  If a line cannot be written, that is logged once to Twisted's
    log, and the next line is still tried.

    @ivar linesFailed: the number of lines that could not be written.

    @since: 0.2
    """

    def __init__(self, file: LogFile, format: str = "combined") -> None:
        """
        @param file: a text file, or something like it.  It is never closed.
        @param format: C{"combined"} or C{"json"}.
        @raise TypeError: if the file has no method C{write}, or is a binary file.
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
        # The time of day: a stream's clock may count from any start.
        self._seconds = time.time
        # How many lines have failed since the last one that was written.
        self._missing = 0

    def opened(self, stream: EventStream) -> None:
        """
        See L{Observer.opened}.
        """
        request = stream.request
        if request is None:
            # Another observer has ended it already.
            return
        entry = _Entry(
            request,
            _seconds(stream),
            _user(request)[:LONGEST],
            self._text(_referer(request)),
            self._text(_agent(request)),
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
                "The access log can be written again; {missing} lines may be missing",
                missing=self._missing,
            )
            self._missing = 0


@provider(IAccessLogFormatter)
def formatRequest(timestamp: str, request: Request) -> str:
    """
    Write a line of a site's own log, of a request that has been answered: as
    L{combinedLogFormatter<twisted.web.http.combinedLogFormatter>} does, but without the queries of
    its URL and of the referring page, since both often contain tokens.

    It is for the C{logFormatter} of a L{Site<twisted.web.server.Site>}.

    @param timestamp: when, as the site keeps it.  It is not used: it is late while the reactor is
        busy, and where the reactor goes by a clock of its own.
    @param request: the request.
    @return: the line, without a line end, in ASCII.

    @since: 0.2
    """
    address = str(getattr(request.getClientAddress(), "host", "-"))
    asked = b"%s %s %s" % (request.method, pathOf(request), request.clientproto)
    referer = _escaped(_referer(request)) or "-"
    agent = _escaped(_agent(request)) or "-"
    return (
        f'"{_escaped(address.encode())}" - - {datetimeToLogString(time.time())}'
        f' "{_escaped(asked)}" {request.code} {request.sentLength or "-"}'
        f' "{referer}" "{agent}"'
    )


def _checkFile(file: object) -> None:
    writes = callable(getattr(file, "write", None))
    if not writes or isinstance(file, (RawIOBase, BufferedIOBase)):
        raise TypeError(f"file is {file!r}: it must be a text file")


def _combined(now: float, stream: EventStream, entry: _Entry, reason: CloseReason | None) -> str:
    request = entry.request
    asked = b"%s %s %s" % (request.method, pathOf(request), request.clientproto)
    size: object = "-"
    what = "open"
    if reason is not None:
        size = request.sentLength
        what = (
            f"close reason={reason.value} seconds={_seconds(stream) - entry.began:.3f}"
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
        "path": _decoded(pathOf(request)),
        "protocol": _decoded(request.clientproto),
        "status": request.code,
        "referer": entry.referer or None,
        "agent": entry.agent or None,
    }
    if reason is not None:
        line["reason"] = reason.value
        line["seconds"] = round(_seconds(stream) - entry.began, 3)
        line["events"] = stream.eventsSent
        line["bytes"] = request.sentLength
    return json.dumps(line)


def _seconds(stream: EventStream) -> float:
    """
    @return: the time, in the seconds of a stream's clock.
    """
    return responseOf(stream).wheel.seconds()


def _referer(request: Request) -> bytes:
    return (request.getHeader(b"referer") or b"").partition(b"?")[0][:LONGEST]


def _agent(request: Request) -> bytes:
    return (request.getHeader(b"user-agent") or b"")[:LONGEST]


def _user(request: Request) -> bytes:
    """
    Find the user's name, from the application or from the client's C{Authorization}.
    """
    user: object = getattr(request, "user", None)
    if user is None and request.requestHeaders.hasHeader(b"authorization"):
        # Only with that header: getUser() leaves attributes on the request.
        user = request.getUser()
    if isinstance(user, str):
        return _encoded(user)
    # An application may have set any object.
    return user if isinstance(user, bytes) else b""


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _decoded(said: bytes) -> str:
    return said.decode("utf-8", "backslashreplace")


def _escaped(said: bytes, unsafe: re.Pattern[bytes] = _UNSAFE) -> str:
    return unsafe.sub(lambda match: b"\\x%02X" % match[0][0], said).decode("ascii")
