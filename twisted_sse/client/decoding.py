"""
Bodies that come compressed (RFC 9110, 8.4.1), decoded as they come.
"""

from __future__ import annotations

import zlib
from typing import Any

from .errors import BadContentType, StreamBroken

__all__ = ["Inflater", "makeInflater"]

#: How much is decoded at a time, in bytes: a thousand times as much may be in what has come.
PIECE = 2**16

# What zlib is to expect (its manual, "inflateInit2").
GZIP = 16 + zlib.MAX_WBITS
ZLIB = zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS


class Inflater:
    """
    Decodes C{gzip} or C{deflate}.

    @ivar rest: what has come and is not decoded yet.
    """

    def __init__(self, isGzip: bool) -> None:
        self.rest = b""
        self._isGzip = isGzip
        self._zlib: Any = zlib.decompressobj(GZIP) if isGzip else None
        self._hasMore = False
        self._hasEnded = False
        # Whether a member of gzip has ended, and no other has begun.
        self._isBetween = False

    @property
    def isDone(self) -> bool:
        """
        Whether there is nothing more to decode, as far as it has come.
        """
        return not self.rest and not self._hasMore

    def decode(self) -> bytes:
        """
        Decode some more of L{rest}.

        @return: as many bytes as are decoded at a time, or all that there are.
        @raise StreamBroken: if it is not what it should be.
        """
        if self._hasEnded:
            self.rest = b""
            return b""
        if self._isBetween:
            # Some fill up with zeros.
            self.rest = self.rest.lstrip(b"\0")
            if not self.rest:
                return b""
            self._isBetween = False
        if self._zlib is None:
            if len(self.rest) < 2:
                self._hasMore = False
                return b""
            # RFC 9110, 8.4.1.2: the zlib format, but some send its content alone.  RFC 1950,
            # 2.2 has how to tell.
            isZlib = self.rest[0] & 15 == 8 and int.from_bytes(self.rest[:2], "big") % 31 == 0
            self._zlib = zlib.decompressobj(ZLIB if isZlib else RAW)
        try:
            piece: bytes = self._zlib.decompress(self.rest, PIECE)
        except zlib.error as e:
            raise StreamBroken(f"the body cannot be decoded: {e}") from e
        self.rest = self._zlib.unconsumed_tail
        # There may be more without any more input.
        self._hasMore = len(piece) == PIECE
        if self._zlib.eof:
            self._hasMore = False
            if self._isGzip:
                # RFC 1952, 2.2: another member may follow.
                self.rest = self._zlib.unused_data
                self._zlib = zlib.decompressobj(GZIP)
                self._isBetween = True
            else:
                # Nothing may.  zlib would keep it all.
                self.rest = b""
                self._hasEnded = True
        return piece


def makeInflater(contentEncoding: str) -> Inflater | None:
    """
    Find what decodes a body.

    @param contentEncoding: the response's C{Content-Encoding}.
    @return: L{None} if nothing has to be decoded.
    @raise BadContentType: if it is encoded otherwise.
    """
    names = [name.strip() for name in contentEncoding.lower().split(",")]
    name = ", ".join(name for name in names if name not in ("", "identity"))
    if not name:
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflater(isGzip=name != "deflate")
    raise BadContentType(None, f"the body is encoded as {name}: it must be gzip, deflate or plain")
