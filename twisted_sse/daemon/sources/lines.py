"""
Bytes in, lines out: what the daemon's sources read.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LONGEST_LINE", "Line", "LineSplitter"]

#: How much of a line is sent, in bytes: as much as fits into an event, and what is longer is
#: no line that anybody reads.
LONGEST_LINE = 2**20


class Line(NamedTuple):
    """
    One line.

    @ivar text: without its end.  What is no UTF-8 is U+FFFD.
    @ivar raw: the same as it was read, up to L{LONGEST_LINE} bytes.
    @ivar cut: how many bytes are missing at its end.
    @ivar end: how many bytes were read up to the end of this line, its end included.
    """

    text: str
    raw: bytes
    cut: int
    end: int


class LineSplitter:
    """
    Cuts what is read into lines, wherever it was cut before.  A line ends with LF, or CRLF, as
    programs write them; what a file calls its last line may have no end.

    Memory is bounded: of a longer line no more than L{LONGEST_LINE} bytes are kept.

    @ivar position: how many bytes were read.
    """

    def __init__(self, position: int = 0) -> None:
        """
        @param position: how many bytes come before.
        """
        self.position = position
        # The beginning of a line, as it came: joined once, lest a long line that comes in small
        # pieces take quadratic time.
        self._pieces: list[bytes] = []
        self._kept = 0
        self._cut = 0
        # A CR at the end of what was kept may belong to the line's end.
        self._last = b""

    @property
    def pending(self) -> int:
        """
        The size of what was read and is no whole line yet, in bytes.
        """
        return self._kept + self._cut

    def feed(self, data: bytes) -> list[Line]:
        """
        Read.

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
                # The usual case, without detours.
                raw = piece[:-1] if piece.endswith(b"\r") else piece
                found.append(Line(raw.decode("utf-8", "replace"), raw, 0, self.position + start))
        self.position += len(data)
        if start < len(data):
            self._keep(data[start:] if start else data)
        return found

    def finish(self) -> list[Line]:
        """
        Nothing more comes.

        @return: the last line, if it had no end.
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
            # Half of a character is not invalid: it was cut by us.
            text = raw.decode("utf-8", "ignore") if _endsInside(raw) else text
            text += f" [{cut} more bytes]"
        return Line(text, raw, cut, end)


def _endsInside(raw: bytes) -> bool:
    """
    Whether some bytes end in the middle of a character, and are UTF-8 otherwise.
    """
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as e:
        return e.reason == "unexpected end of data"
    return False
