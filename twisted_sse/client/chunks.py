"""
The chunks of a response (RFC 9112, 7.1), many at a time.

Most servers send each event as a chunk of its own.  Twisted's decoder takes several steps for each
chunk and delivers each by itself, which costs more than parsing the events.  Here, all complete
chunks of one read are delivered together.  Whatever is incomplete or unusual is left to Twisted's
decoder.

This needs names of Twisted that are not public: C{_ChunkedTransferDecoder}, its C{_buffer},
C{_start} and C{_dataReceived_CHUNK_LENGTH}; and C{_parser} and C{_transferDecoders}, to put ours in
its place.  Where the decoder is another, or is not found there, Twisted's own does all the work.
(The client uses such names elsewhere too, in L{agent<twisted_sse.client.agent>}.)
"""

from __future__ import annotations

import re
from typing import Any

try:
    from twisted.web.http import _ChunkedTransferDecoder
except ImportError:  # pragma: no cover
    # A version of Twisted with another decoder.
    _ChunkedTransferDecoder = None  # type: ignore[assignment,misc]

__all__ = ["decodeTogether"]

#: The size of a chunk without extensions.  Seven digits are more than a single read.
_LENGTH = re.compile(rb"([0-9A-Fa-f]{1,7})\r\n")

#: The same with what else there may be in its line: zeros, blanks and extensions.
_LINE = re.compile(rb"0{0,20}([0-9A-Fa-f]{1,7})[ \t]{0,20}(?:;[\t -~\x80-\xff]{0,200})?\r\n")

#: Blanks between the size of a chunk and what follows it.  RFC 9112 allows them only before
#: extensions (7.1.1), but old servers pad the size with them, and Twisted accepts neither.
_BLANKS = re.compile(rb"[0-9A-Fa-f]+([ \t]+)[;\r]")


def decodeTogether(protocol: Any) -> None:
    """
    Have the chunks of a response decoded many at a time.

    @param protocol: the protocol of an agent, after the request and before the response.
    """
    parser: Any = getattr(protocol, "_parser", None)
    decoders = getattr(parser, "_transferDecoders", {})
    decoder = decoders.get(b"chunked")
    if decoder is not None and decoder is _ChunkedTransferDecoder:
        parser._transferDecoders = {**decoders, b"chunked": _Together}


if _ChunkedTransferDecoder is not None:

    class _Together(_ChunkedTransferDecoder):
        """
        Twisted's decoder, except that it delivers complete chunks together.
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

        def _dataReceived_CHUNK_LENGTH(self) -> bool:
            blanks = _BLANKS.match(self._buffer)
            if blanks is not None:
                del self._buffer[blanks.start(1) : blanks.end(1)]
                self._start = 0
            return super()._dataReceived_CHUNK_LENGTH()

        def _whole(self, data: bytes, at: int) -> int:
            """
            Deliver the complete chunks.

            @param at: where the first chunk begins.
            @return: where the rest begins.
            """
            whole = []
            while (line := _LENGTH.match(data, at) or _LINE.match(data, at)) is not None:
                begin = line.end()
                end = begin + int(line[1], 16)
                # A chunk of size 0 is the last one.
                if begin == end or data[end : end + 2] != b"\r\n":
                    break
                whole.append(data[begin:end])
                at = end + 2
            if whole:
                self.dataCallback(b"".join(whole))
            return at
