"""
The chunks of a response (RFC 9112, 7.1), many at a time.

Most servers send each event as a chunk of its own.  Twisted's decoder takes several steps for each
and hands each on by itself, so that they cost more than the events in them.  Here all whole chunks
of what was read at once are handed on together; all that is unfinished or unusual is left to
Twisted's.

This needs attributes of Twisted that are not public.  All of them are in this module, and where
they are gone everything goes the ordinary way.
"""

from __future__ import annotations

import re
from typing import Any

try:
    from twisted.web.http import _ChunkedTransferDecoder
except ImportError:  # pragma: no cover
    # A Twisted that has another.
    _ChunkedTransferDecoder = None  # type: ignore[assignment,misc]

__all__ = ["decodeTogether"]

#: How long a chunk is, if nothing more is said of it.  Seven digits are more than is read at once.
_LENGTH = re.compile(rb"([0-9A-Fa-f]{1,7})\r\n")


def decodeTogether(protocol: Any) -> None:
    """
    Have the chunks of a response decoded many at a time.

    @param protocol: Twisted's, which has made a request and has had nothing of the response yet.
    """
    parser: Any = getattr(protocol, "_parser", None)
    decoders = getattr(parser, "_transferDecoders", {})
    decoder = decoders.get(b"chunked")
    if decoder is not None and decoder is _ChunkedTransferDecoder:
        parser._transferDecoders = {**decoders, b"chunked": _Together}


if _ChunkedTransferDecoder is not None:

    class _Together(_ChunkedTransferDecoder):
        """
        A decoder that hands on whole chunks together.
        """

        def dataReceived(self, data: bytes) -> None:
            at = 0
            while at < len(data):
                if self.state == "CHUNK_LENGTH" and not self._buffer:
                    at = self._whole(data, at)
                begin = at
                if self.state == "CHUNK_LENGTH":
                    at = data.find(b"\n", begin) + 1 or len(data)
                elif self.state == "BODY":
                    at = begin + self.length + 2
                elif self.state == "CRLF":
                    at = begin + 2
                else:
                    at = len(data)
                super().dataReceived(data[begin:at])

        def _whole(self, data: bytes, at: int) -> int:
            """
            Hand on the chunks that begin somewhere, as far as they are whole.

            @return: where the rest begins.
            """
            whole = []
            while (line := _LENGTH.match(data, at)) is not None:
                begin = line.end()
                end = begin + int(line[1], 16)
                # The last chunk is that without a length.
                if begin == end or data[end : end + 2] != b"\r\n":
                    break
                whole.append(data[begin:end])
                at = end + 2
            if whole:
                self.dataCallback(b"".join(whole))
            return at
