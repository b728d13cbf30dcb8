"""
Tests for L{twisted_sse.guard.frames}: how an HTTP/2 connection is cut into frames, and its limits.
"""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.guard.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOODS,
    HEADERS,
    LARGEST_FRAME,
    LARGEST_HEADERS,
    MOST_CONTINUATIONS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    UPDATES_PER_FRAME,
    WINDOW_UPDATE,
    BadFrame,
    FrameReader,
)

#: A frame of each limited kind, by the kind's name: its type.
KINDS = {
    "HEADERS": HEADERS,
    "RST_STREAM": RST_STREAM,
    "PRIORITY": PRIORITY,
    "SETTINGS": SETTINGS,
    "PING": PING,
    "WINDOW_UPDATE": WINDOW_UPDATE,
    "empty DATA": DATA,
    "unknown": 77,
}


def frame(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """
    @return: a frame of stream 1.
    """
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + b"\0\0\0\1" + payload


class FrameReaderTests(SynchronousTestCase):
    """
    Tests for L{FrameReader}.
    """

    def setUp(self) -> None:
        """
        Make a reader.
        """
        self.reader = FrameReader(0)

    def readAll(self, data: bytes, now: float = 0) -> list[bytes]:
        """
        @return: the frames in these bytes.
        """
        self.reader.feed(data)
        found = []
        while (each := self.reader.read(now)) is not None:
            found.append(each)
        return found

    def begin(self) -> None:
        """
        Read the preface.
        """
        self.assertEqual(self.readAll(PREFACE), [PREFACE])

    def test_cuts(self) -> None:
        """
        Frames are the same however their bytes arrive.
        """
        frames = [PREFACE, frame(SETTINGS), frame(HEADERS, b"h" * 40), frame(DATA, b"d" * 2000)]
        whole = b"".join(frames)
        for seed in range(50):
            cut = random.Random(seed)
            self.reader = FrameReader(0)
            found, at = [], 0
            while at < len(whole):
                size = cut.choice((1, 5, 9, 100))
                found += self.readAll(whole[at : at + size])
                at += size
            self.assertEqual(found, frames, f"seed {seed}")

    def test_preface(self) -> None:
        """
        Data that does not begin as HTTP/2 is refused at the first wrong byte.
        """
        for wrong in b"G", PREFACE[:-1] + b"x", b"\xff" * 100:
            self.reader = FrameReader(0)
            self.assertRaises(BadFrame, self.readAll, wrong)
        self.reader = FrameReader(0)
        self.assertEqual(self.readAll(PREFACE[:-1]), [])

    def test_tooLarge(self) -> None:
        """
        A frame that is too large is refused by its header alone.
        """
        self.begin()
        self.assertRaises(BadFrame, self.readAll, frame(DATA, b"d" * (LARGEST_FRAME + 1))[:9])

    def test_largest(self) -> None:
        """
        The largest frame is accepted.
        """
        self.begin()
        largest = frame(DATA, b"d" * LARGEST_FRAME)
        self.assertEqual(self.readAll(largest), [largest])

    def test_headersTooLarge(self) -> None:
        """
        Headers that are too large in total are refused, in any number of frames.
        """
        self.begin()
        self.readAll(frame(HEADERS, b"h" * (LARGEST_HEADERS // 2)))
        self.readAll(frame(CONTINUATION, b"h" * (LARGEST_HEADERS // 2)))
        self.assertRaises(BadFrame, self.readAll, frame(CONTINUATION, b"h"))

    def test_continuations(self) -> None:
        """
        Headers in too many frames are refused, even empty ones.
        """
        self.begin()
        self.readAll(frame(HEADERS) + frame(CONTINUATION) * MOST_CONTINUATIONS)
        self.assertRaises(BadFrame, self.readAll, frame(CONTINUATION))

    def test_headersAnew(self) -> None:
        """
        The headers of each request are counted separately.
        """
        self.begin()
        one = frame(HEADERS, b"h" * 9000) + frame(CONTINUATION, b"h" * 3000, END_HEADERS)
        self.assertEqual(len(self.readAll(one * 10)), 20)

    def test_floods(self) -> None:
        """
        For each kind that costs its sender nothing, more than a burst is refused, and the rate per
        second is allowed.
        """
        self.assertEqual(set(KINDS), set(FLOODS))
        for name, kind in KINDS.items():
            self.reader = FrameReader(0)
            self.begin()
            burst, perSecond = FLOODS[name]
            self.assertEqual(len(self.readAll(frame(kind) * int(burst))), burst, name)
            self.assertRaises(BadFrame, self.readAll, frame(kind))

            self.reader = FrameReader(0)
            self.begin()
            self.readAll(frame(kind) * int(burst))
            self.assertEqual(len(self.readAll(frame(kind) * int(perSecond), 1)), perSecond, name)
            self.assertRaises(BadFrame, self.readAll, frame(kind), 1)

    def test_data(self) -> None:
        """
        Data, and the end of a request, are not limited here.
        """
        self.begin()
        sent = (frame(DATA, b"d") + frame(DATA, flags=END_STREAM)) * 10_000
        self.assertEqual(len(self.readAll(sent)), 20_000)

    def test_updates(self) -> None:
        """
        A client may answer each frame of data that is sent with WINDOW_UPDATE frames.
        """
        self.begin()
        burst = int(FLOODS["WINDOW_UPDATE"].burst)
        self.readAll(frame(WINDOW_UPDATE) * burst)
        for _ in range(burst):
            self.reader.dataSent()
            self.assertEqual(len(self.readAll(frame(WINDOW_UPDATE) * UPDATES_PER_FRAME)), 4)
        self.assertRaises(BadFrame, self.readAll, frame(WINDOW_UPDATE))

    def test_clock(self) -> None:
        """
        Setting the clock back causes neither refusals nor additional allowance.
        """
        self.begin()
        burst, perSecond = FLOODS["PING"]
        self.readAll(frame(PING) * int(burst), 1000)
        self.assertRaises(BadFrame, self.readAll, frame(PING), 10)
        # The refused frame is still there.
        self.assertEqual(len(self.readAll(frame(PING) * (int(perSecond) - 1), 11)), perSecond)
        self.assertRaises(BadFrame, self.readAll, frame(PING), 11)
