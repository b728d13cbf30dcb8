"""
Tests for L{twisted_sse.daemon.sources.lines}: splitting bytes into lines.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.sources.lines import LONGEST_LINE, Line, LineSplitter


def read(*pieces: bytes) -> list[Line]:
    """
    @return: all lines in these pieces.
    """
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines + splitter.finish()


class LineSplitterTests(SynchronousTestCase):
    """
    Tests for L{LineSplitter}.
    """

    @given(
        st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\xc3", b"\xa9", b"bc", b"\0"])),
        st.lists(st.integers(0, 40)),
    )
    def test_cutAnywhere(self, parts: list[bytes], cuts: list[int]) -> None:
        """
        The lines and their ends do not depend on where the bytes are cut.
        """
        whole = b"".join(parts)
        places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
        pieces = [whole[a:b] for a, b in pairwise(places)]
        expected = whole.split(b"\n")
        if not expected[-1]:
            expected.pop()
        raw = [line[:-1] if line.endswith(b"\r") else line for line in expected]
        for lines in read(*pieces), read(*(bytes([each]) for each in whole)):
            self.assertEqual([line.raw for line in lines], raw)
            ends = [line.end for line in lines]
            self.assertEqual(
                ends,
                [
                    min(len(whole), sum(map(len, expected[: n + 1])) + n + 1)
                    for n in range(len(raw))
                ],
            )

    def test_invalid(self) -> None:
        """
        Invalid UTF-8 becomes U+FFFD, and nothing else changes.
        """
        self.assertEqual(
            [line.text for line in read(b"\xff\0x\n\xc3\xa9\n")], ["\ufffd\0x", "\xe9"]
        )

    def test_position(self) -> None:
        """
        Ends are counted from the starting position.
        """
        splitter = LineSplitter(100)
        self.assertEqual([line.end for line in splitter.feed(b"ab\n\nc")], [103, 104])
        self.assertEqual((splitter.position, splitter.pending), (105, 1))
        self.assertEqual([line.end for line in splitter.finish()], [105])
        self.assertEqual(splitter.finish(), [])

    def test_long(self) -> None:
        """
        The rest of a line that is too long is counted and not kept, whatever the number of its
        pieces.
        """
        splitter = LineSplitter()
        for _ in range(3 * 2**20 // 2**14):
            self.assertEqual(splitter.feed(b"x" * 2**14), [])
            self.assertLessEqual(sum(map(len, splitter._pieces)), LONGEST_LINE)
        line, last = splitter.feed(b"\r\nnext\n")
        self.assertEqual((line.raw, line.cut), (b"x" * 2**20, 2 * 2**20))
        self.assertTrue(line.text.endswith("x [2097152 more bytes]"))
        self.assertEqual((last.text, last.cut), ("next", 0))

    def test_longAtOnce(self) -> None:
        """
        A line that is too long may arrive in one piece, and its line end does not count.
        """
        (line,) = read(b"x" * (LONGEST_LINE + 5) + b"\n")
        self.assertEqual((len(line.raw), line.cut), (LONGEST_LINE, 5))
        (line,) = read(b"x" * LONGEST_LINE + b"\r", b"\n")
        self.assertEqual((len(line.text), line.cut), (LONGEST_LINE, 0))

    def test_cutCharacter(self) -> None:
        """
        A character cut in the middle is left out, and earlier invalid bytes become U+FFFD.
        """
        (line,) = read(b"x" * (LONGEST_LINE - 1) + "\xe9".encode() + b"\n")
        self.assertTrue(line.text.endswith("xx [1 more bytes]"))
        (line,) = read(b"\xff" + b"x" * LONGEST_LINE + b"\n")
        self.assertTrue(line.text.startswith("\ufffdx"))
