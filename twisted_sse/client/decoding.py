"""
Compressed bodies (RFC 9110, 8.4.1), decoded as they arrive.
"""

from __future__ import annotations

import zlib
from typing import Any

from .errors import BadContentType, StreamBroken

__all__ = ["Inflater", "makeInflater"]

#: The most bytes that are decoded at a time: the compressed data may be a thousandth of what it
#: decodes to.
MOST_DECODED = 2**16

# Which format zlib is to expect (its manual, "inflateInit2").
GZIP = 16 + zlib.MAX_WBITS
ZLIB = zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS


class Inflater:
    """
    Decodes C{gzip} or C{deflate}: L{feed} it with what has arrived, and call L{read} until it
    returns nothing.
    """

    def __init__(self, isGzip: bool) -> None:
        self._isGzip = isGzip
        # What has arrived and is not decoded yet.
        self._rest = b""
        self._zlib: Any = zlib.decompressobj(GZIP) if isGzip else None
        # Whether zlib may have more output without any more input.
        self._hasMore = False
        self._hasEnded = False
        # Whether one member of a gzip file has ended, and the next has not begun.
        self._isBetween = False

    @property
    def isDone(self) -> bool:
        """
        Whether all that has arrived is decoded.
        """
        return not self._rest and not self._hasMore

    def feed(self, data: bytes) -> None:
        """
        Add what has arrived.
        """
        self._rest += data

    def read(self) -> bytes:
        """
        Decode the next piece.

        @return: at most 64 KiB; nothing if more input is needed first.
        @raise StreamBroken: if the data is not in the format that it should be in.
        """
        while not self.isDone:
            before = len(self._rest)
            piece = self._decode()
            if piece or len(self._rest) == before:
                return piece
        return b""

    def _decode(self) -> bytes:
        """
        Take one step.

        @return: what it has decoded.  Nothing, and no less left to decode: more input is needed.
        """
        if self._hasEnded:
            self._rest = b""
            return b""
        if self._isBetween:
            # Some servers pad with zeros.
            self._rest = self._rest.lstrip(b"\0")
            if not self._rest:
                return b""
            self._isBetween = False
        if self._zlib is None:
            if len(self._rest) < 2:
                self._hasMore = False
                return b""
            # RFC 9110, 8.4.1.2: deflate is the zlib format, but some servers send the raw data
            # inside it.  RFC 1950, 2.2 says how to tell.
            isZlib = self._rest[0] & 15 == 8 and int.from_bytes(self._rest[:2], "big") % 31 == 0
            self._zlib = zlib.decompressobj(ZLIB if isZlib else RAW)
        try:
            piece: bytes = self._zlib.decompress(self._rest, MOST_DECODED)
        except zlib.error as e:
            raise StreamBroken(f"the body cannot be decoded: {e}") from e
        self._rest = self._zlib.unconsumed_tail
        self._hasMore = len(piece) == MOST_DECODED
        if self._zlib.eof:
            self._hasMore = False
            if self._isGzip:
                # RFC 1952, 2.2: another member may follow.
                self._rest = self._zlib.unused_data
                self._zlib = zlib.decompressobj(GZIP)
                self._isBetween = True
            else:
                # Nothing may follow, and zlib would keep all of it.
                self._rest = b""
                self._hasEnded = True
        return piece


def makeInflater(contentEncoding: str) -> Inflater | None:
    """
    Find what decodes a body.

    @param contentEncoding: the C{Content-Encoding} of the response.
    @return: L{None} if the body is not encoded.
    @raise BadContentType: if it is encoded in another way.
    """
    names = [name.strip() for name in contentEncoding.lower().split(",")]
    name = ", ".join(name for name in names if name not in ("", "identity"))
    if not name:
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflater(isGzip=name != "deflate")
    raise BadContentType(None, f"the body is encoded as {name}: it must be gzip, deflate or plain")
