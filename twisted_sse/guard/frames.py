"""
HTTP/2: what a client sends, in frames, with limits on each kind (RFC 9113, 10.5).

This reads no more than the header of each frame (RFC 9113, 4.1).  What it lets pass is for h2,
which keeps all that it is given until a frame is complete, and has no notion of time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["FLOODS", "SETTINGS", "BadFrame", "FrameReader", "Rate"]

#: What a client sends first: RFC 9113, 3.4.
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Types and flags: RFC 9113, 6.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING = 0, 1, 2, 3, 4, 6
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM, END_HEADERS = 1, 4

#: The largest payload that a server accepts unless it says otherwise: RFC 9113, 4.2.
LARGEST_FRAME = 2**14

#: How large the headers of a request may be, in bytes, as they are sent: what Twisted allows in
#: HTTP/1.
LARGEST_HEADERS = 2**14

#: How many frames they may come in: empty ones cost their sender next to nothing.
MOST_CONTINUATIONS = 8


class Rate(NamedTuple):
    """
    How often something may happen.

    @ivar burst: how often at once.
    @ivar perSecond: how often in the long run.
    """

    burst: float
    perSecond: float


#: How often a connection may send what costs its peer nothing.  Browsers and proxies stay far
#: below: they open streams as fast as a user clicks, and at most 100 at the same time.
FLOODS: Final = {
    "HEADERS": Rate(1000, 250),
    "RST_STREAM": Rate(500, 50),
    # Firefox and Chromium send one with each request.
    "PRIORITY": Rate(1000, 100),
    "SETTINGS": Rate(50, 1),
    "PING": Rate(100, 10),
    # UPDATES_PER_FRAME come on top.
    "WINDOW_UPDATE": Rate(1000, 100),
    # Data that is empty and does not end a request.
    "empty DATA": Rate(100, 10),
    # What h2 ignores, such as PRIORITY_UPDATE of RFC 9218.
    "unknown": Rate(1000, 100),
}

_NAMES = {
    HEADERS: "HEADERS",
    PRIORITY: "PRIORITY",
    RST_STREAM: "RST_STREAM",
    SETTINGS: "SETTINGS",
    PING: "PING",
    WINDOW_UPDATE: "WINDOW_UPDATE",
}

#: How many WINDOW_UPDATE frames a client may send for each frame of data that it gets: one for the
#: stream and one for the connection, and as many in reserve.
UPDATES_PER_FRAME = 4


class BadFrame(Exception):
    """
    The connection must be closed.  The message says why.
    """


class Allowance:
    """
    A token bucket.
    """

    __slots__ = ("_burst", "_last", "_left", "_perSecond")

    def __init__(self, rate: Rate, now: float) -> None:
        self._burst, self._perSecond = rate
        self._left = self._burst
        self._last = now

    def spend(self, now: float) -> bool:
        """
        @param now: in seconds.
        @return: whether it was allowed.
        """
        # The clock may be set back.
        self.add(max(0.0, now - self._last) * self._perSecond)
        self._last = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def add(self, more: float) -> None:
        """
        Allow more.
        """
        self._left = min(self._burst, self._left + more)


class FrameReader:
    """
    Cuts what a connection receives into frames.

    @since: 0.2
    """

    def __init__(self, now: float) -> None:
        """
        @param now: in seconds.
        """
        self._data = bytearray()
        self._begun = False
        self._headers = 0
        self._continuations = 0
        self._allowances = {name: Allowance(rate, now) for name, rate in FLOODS.items()}

    def feed(self, data: bytes) -> None:
        """
        Add what was received.
        """
        self._data += data

    def dataSent(self) -> None:
        """
        A frame of data has been sent, which the client may answer.
        """
        self._allowances["WINDOW_UPDATE"].add(UPDATES_PER_FRAME)

    def read(self, now: float) -> bytes | None:
        """
        Take a frame.

        @param now: in seconds.
        @return: a frame, or the preface; L{None} if none is complete.
        @raise BadFrame: if the connection must be closed.
        """
        if not self._begun:
            if not PREFACE.startswith(self._data[: len(PREFACE)]):
                raise BadFrame("it does not begin with the HTTP/2 preface")
            if len(self._data) < len(PREFACE):
                return None
            self._begun = True
            return self._take(len(PREFACE))
        if len(self._data) < 9:
            return None
        length = int.from_bytes(self._data[:3], "big")
        if length > LARGEST_FRAME:
            raise BadFrame("a frame is too large")
        if len(self._data) < 9 + length:
            return None
        self._check(self._data[3], self._data[4], length, now)
        return self._take(9 + length)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def _check(self, kind: int, flags: int, length: int, now: float) -> None:
        if kind in (HEADERS, CONTINUATION):
            self._checkHeaders(kind, flags, length)
        if kind == CONTINUATION:
            return
        if kind == DATA:
            if length or flags & END_STREAM:
                return
            name = "empty DATA"
        else:
            name = _NAMES.get(kind, "unknown")
        if not self._allowances[name].spend(now):
            raise BadFrame(f"too many {name} frames")

    def _checkHeaders(self, kind: int, flags: int, length: int) -> None:
        if kind == HEADERS:
            self._headers = self._continuations = 0
        else:
            self._continuations += 1
        self._headers += length
        if self._headers > LARGEST_HEADERS or self._continuations > MOST_CONTINUATIONS:
            raise BadFrame("the headers of a request are too large")
