"""
Bodies in pieces, decoded as they arrive if they are compressed (RFC 9110, 8.4.1).
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import Any, Protocol

from .errors import StreamBroken

__all__ = ["Decoder", "Inflater", "Pieces", "makeDecoder"]

#: The most bytes of what has arrived that are decoded at a time.
PIECE = 2**13

#: The content codings that we cannot decode: the others in the registry of IANA, and some that are
#: not in it.  Any other name is not a coding: many servers send C{none} to keep a proxy from
#: compressing, and some send a charset.  Browsers ignore such names too (Fetch standard, 2.2.4,
#: "handle content codings").
CODINGS = frozenset(
    (
        *("aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"),
        *("bzip2", "lz4", "lzma", "snappy", "x-bzip2", "xz"),
    )
)

#: Those that we can.
DECODED = ("gzip", "x-gzip", "deflate")

#: More than any server has reason to send as C{Content-Encoding}.
MOST_NAMES = 1024

# Which format zlib is to expect (its manual, "inflateInit2").
GZIP = 16 + zlib.MAX_WBITS
ZLIB = zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS


#: It takes two bytes to tell one format from the other, and fewer begin none.
FEW = 2


class Decoder(Protocol):
    """
    What gives a body in pieces: call L{feed} with what has arrived, and L{read} until it returns
    L{None}.
    """

    @property
    def isDone(self) -> bool:
        """
        Whether L{read} needs more input.
        """

    def feed(self, data: bytes) -> None:
        """
        Add what has arrived.
        """

    def read(self, most: int) -> bytes | None:
        """
        Take one step.

        @param most: how many bytes the next piece may have.
        @return: the next piece.  It may be empty, although there is more to do.  L{None} if more
            input is needed first.
        @raise StreamBroken: if the data is not in the format that it should be in.
        """


class Pieces:
    """
    A body that is not encoded.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        # How much of the first chunk was read.
        self._at = 0

    @property
    def isDone(self) -> bool:
        """
        See L{Decoder}.
        """
        return not self._chunks

    def feed(self, data: bytes) -> None:
        """
        See L{Decoder}.
        """
        if data:
            self._chunks.append(data)

    def read(self, most: int) -> bytes | None:
        """
        See L{Decoder}.
        """
        if not self._chunks:
            return None
        chunk, begin = self._chunks[0], self._at
        self._at += most
        if self._at >= len(chunk):
            self._chunks.popleft()
            self._at = 0
        return chunk[begin : begin + most]


class Inflater:
    """
    Decodes C{gzip} or C{deflate}.
    """

    def __init__(self, isGzip: bool) -> None:
        self._isGzip = isGzip
        # What has arrived, and what zlib has not taken of the piece that it was given.
        self._input = Pieces()
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
        See L{Decoder}.
        """
        return not self._hasMore and len(self._rest) < FEW and self._input.isDone

    def feed(self, data: bytes) -> None:
        """
        See L{Decoder}.
        """
        self._input.feed(data)

    def read(self, most: int) -> bytes | None:
        """
        See L{Decoder}.
        """
        if not self._hasMore and len(self._rest) < FEW:
            data = self._input.read(PIECE)
            if data is None:
                return None
            self._rest += data
        return self._decode(most)

    def _decode(self, most: int) -> bytes:
        """
        Take one step.

        @param most: how many bytes to decode.
        @return: what it has decoded.
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
            if len(self._rest) < FEW:
                return b""
            # RFC 9110, 8.4.1.2: deflate is the zlib format, but some servers send the raw data
            # inside it.  RFC 1950, 2.2 says how to tell.
            isZlib = self._rest[0] & 15 == 8 and int.from_bytes(self._rest[:2], "big") % 31 == 0
            self._zlib = zlib.decompressobj(ZLIB if isZlib else RAW)
        try:
            piece: bytes = self._zlib.decompress(self._rest, most)
        except zlib.error as e:
            raise StreamBroken(f"the body cannot be decoded: {e}") from e
        self._rest = self._zlib.unconsumed_tail
        self._hasMore = len(piece) == most
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


def makeDecoder(contentEncoding: str) -> Decoder:
    """
    Find what decodes a body.

    @param contentEncoding: the C{Content-Encoding} of the response.
    @raise ValueError: if the body is encoded in a way that we cannot decode.
    """
    names = [name.strip(" \t") for name in contentEncoding[:MOST_NAMES].lower().split(",")]
    codings = [name for name in names if name in DECODED or name in CODINGS]
    if not codings:
        return Pieces()
    if len(codings) == 1 and codings[0] in DECODED:
        return Inflater(isGzip=codings[0] != "deflate")
    coding = ", ".join(codings)
    raise ValueError(f"the body is encoded as {coding}: it must be gzip, deflate or identity")
