"""
Bytes in, lines out: how the daemon's sources split their input.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LONGEST_LINE", "Line", "LineSplitter"]

#: How much of a line is sent, in bytes: as much as fits into an event.  People do not read longer
#: lines.
LONGEST_LINE = 2**20


class Line(NamedTuple):
    """
    One line.

    @ivar text: the line without its end.  Bytes that are not UTF-8 become U+FFFD.
    @ivar raw: the bytes that were read, at most L{LONGEST_LINE} of them.
    @ivar cut: how many bytes are missing at the end.
    @ivar end: how many bytes were read up to the end of this line, line end included.
    """

    text: str
    raw: bytes
    cut: int
    end: int


class LineSplitter:
    """
    Splits what is read into lines, however the reads divide it.  A line ends with LF or CRLF, as
    programs write them.  The last line of a file may have no line end.

    Memory is bounded: no more than L{LONGEST_LINE} bytes of a line are kept.

    @ivar position: how many bytes were read.
    """

    def __init__(self, position: int = 0) -> None:
        """
        @param position: how many bytes come before the first that is read.
        """
        self.position = position
        # The start of a line, in the pieces that came.  They are joined once: joining at each
        # read would take quadratic time for a long line in small pieces.
        self._pieces: list[bytes] = []
        self._kept = 0
        self._cut = 0
        # The last byte kept: a CR may be part of the line end.
        self._last = b""

    @property
    def pending(self) -> int:
        """
        The size of the incomplete line that was read, in bytes.
        """
        return self._kept + self._cut

    def feed(self, data: bytes) -> list[Line]:
        """
        Take what was read.

        @return: the lines that are complete now.
        """
        found: list[Line] = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            piece = data[start:end]
            start = end + 1
            if self._pieces or len(piece) > LONGEST_LINE:
                self._keep(piece)
                found.append(self._take(self.position + start))
            else:
                # A fast path for the usual case.
                raw = piece[:-1] if piece.endswith(b"\r") else piece
                found.append(Line(raw.decode("utf-8", "replace"), raw, 0, self.position + start))
        self.position += len(data)
        if start < len(data):
            self._keep(data[start:] if start else data)
        return found

    def finish(self) -> list[Line]:
        """
        There is nothing more to read.

        @return: the last line, if it had no line end.
        """
        return [self._take(self.position)] if self._pieces else []

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        self._last = piece[-1:]
        kept = piece[: LONGEST_LINE - self._kept]
        self._kept += len(kept)
        self._cut += len(piece) - len(kept)
        # An empty piece says that there is a line.
        if kept or not self._pieces:
            self._pieces.append(kept)

    def _take(self, end: int) -> Line:
        raw, cut = b"".join(self._pieces), self._cut
        if self._last == b"\r":
            if cut:
                cut -= 1
            else:
                raw = raw[:-1]
        self._pieces, self._kept, self._cut, self._last = [], 0, 0, b""
        text = raw.decode("utf-8", "replace")
        if cut:
            # Half a character at the end is not invalid: we cut it.
            text = raw.decode("utf-8", "ignore") if _endsInside(raw) else text
            text += f" [{cut} more bytes]"
        return Line(text, raw, cut, end)


def _endsInside(raw: bytes) -> bool:
    """
    Whether bytes end in the middle of a character, and are UTF-8 otherwise.
    """
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as e:
        return e.reason == "unexpected end of data"
    return False
