"""
Tests for L{twisted_sse.client.decoding}: compressed bodies.
"""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.client.decoding import PIECE, Decoder, Inflater, Pieces, makeDecoder
from twisted_sse.client.errors import StreamBroken

#: Compresses badly, so that every format needs several pieces.
DATA = b"".join(b"id: %d\ndata: %x\n\n" % (n, n**9) for n in range(3000))


def raw(data: bytes) -> bytes:
    """
    @return: raw deflate data, without the zlib header and checksum.
    """
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


#: How to encode a body for each content coding.
FORMS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw,
}


def inflater(name: str) -> Inflater:
    """
    @return: an inflater for this content coding.
    """
    found = makeDecoder(name)
    assert isinstance(found, Inflater)
    return found


def decodeAll(decoding: Decoder, pieces: Iterable[bytes]) -> bytes:
    """
    Feed each piece, and read all output as soon as it can be decoded.
    """
    decoded = b""
    for each in pieces:
        decoding.feed(each)
        while (piece := decoding.read(PIECE)) is not None:
            assert len(piece) <= PIECE
            decoded += piece
    return decoded


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """
    Cut bytes at these places.
    """
    places = sorted({0, len(data), *(each % (len(data) + 1) for each in at)})
    return [data[start:end] for start, end in pairwise(places)]


class InflaterTests(SynchronousTestCase):
    """
    Tests for L{Inflater}.
    """

    def test_whole(self) -> None:
        """
        Each content coding is decoded when the body comes in one piece.
        """
        for name, form in FORMS.items():
            for data in b"", b"x", DATA:
                decoding = inflater(name)
                self.assertEqual(decodeAll(decoding, [form(data)]), data)
                self.assertTrue(decoding.isDone)

    def test_byByte(self) -> None:
        """
        Each content coding is decoded when the body comes byte by byte.
        """
        for name, form in FORMS.items():
            pieces = (bytes([byte]) for byte in form(DATA))
            self.assertEqual(decodeAll(inflater(name), pieces), DATA)

    @given(st.sampled_from(list(FORMS)), st.binary(max_size=300), st.lists(st.integers(0, 999)))
    def test_cutAnywhere(self, name: str, data: bytes, at: list[int]) -> None:
        """
        Any encoded data, cut anywhere, is decoded to the original.
        """
        decoding = inflater(name)
        self.assertEqual(decodeAll(decoding, cut(FORMS[name](data), at)), data)
        self.assertTrue(decoding.isDone)

    @given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.lists(st.integers(0, 999)))
    def test_members(self, parts: list[bytes], at: list[int]) -> None:
        """
        Several gzip members in a row (RFC 1952, 2.2), cut anywhere, are all decoded.
        """
        packed = b"".join(map(gzip.compress, parts))
        self.assertEqual(decodeAll(inflater("gzip"), cut(packed, at)), b"".join(parts))

    @given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from([31, 15, -15]))
    def test_flushed(self, parts: list[bytes], wbits: int) -> None:
        """
        Flushed data is decoded immediately, before the rest arrives.
        """
        packer = zlib.compressobj(wbits=wbits)
        decoding = inflater("gzip" if wbits == 31 else "deflate")
        for part in parts:
            packed = packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
            self.assertEqual(decodeAll(decoding, [packed]), part)

    def test_pieces(self) -> None:
        """
        A small body that expands a lot is decoded piece by piece, even if it ends exactly at one.
        """
        for name, form in FORMS.items():
            for size in 10 * PIECE - 1, 10 * PIECE, 10 * PIECE + 1:
                decoding = inflater(name)
                packed = form(bytes(size))
                self.assertLess(len(packed), PIECE)
                decoding.feed(packed)
                decoded = 0
                while (piece := decoding.read(PIECE)) is not None:
                    self.assertLessEqual(len(piece), PIECE)
                    decoded += len(piece)
                self.assertEqual(decoded, size)

    def test_empty(self) -> None:
        """
        Without input, an inflater is done and decodes nothing.
        """
        for name in FORMS:
            decoding = inflater(name)
            self.assertTrue(decoding.isDone)
            self.assertIsNone(decoding.read(PIECE))
            self.assertTrue(decoding.isDone)

    def test_garbage(self) -> None:
        """
        A body that cannot be decoded, from the start or later, raises L{StreamBroken}.
        """
        for name, form in FORMS.items():
            with self.assertRaises(StreamBroken) as caught:
                decodeAll(inflater(name), [b"\xffnonsense"])
            self.assertIn("cannot be decoded", str(caught.exception))
            self.assertIsInstance(caught.exception.__cause__, zlib.error)
            packed = form(DATA)
            broken = packed[:1000] + bytes(1000) + packed[2000:]
            self.assertRaises(StreamBroken, decodeAll, inflater(name), [broken])

    def test_checksum(self) -> None:
        """
        A body whose checksum is wrong raises L{StreamBroken}.
        """
        for form, name in (gzip.compress, "gzip"), (zlib.compress, "deflate"):
            packed = bytearray(form(DATA))
            packed[-5 if name == "gzip" else -1] ^= 1
            self.assertRaises(StreamBroken, decodeAll, inflater(name), [bytes(packed)])

    def test_zerosAfterGzip(self) -> None:
        """
        Zeros after a gzip member are ignored, however they are cut.
        """
        packed = gzip.compress(b"a") + bytes(9) + gzip.compress(b"b") + bytes(9)
        for size in 1, 2, 100:
            decoding = inflater("gzip")
            pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
            self.assertEqual(decodeAll(decoding, pieces), b"ab")
            self.assertTrue(decoding.isDone)

    def test_garbageAfterGzip(self) -> None:
        """
        Garbage after gzip data raises L{StreamBroken}, once the data before it has been read.
        """
        decoding = inflater("gzip")
        decoding.feed(gzip.compress(b"data: x\n\n") + b"garbage")
        self.assertEqual(decoding.read(PIECE), b"data: x\n\n")
        self.assertFalse(decoding.isDone)
        self.assertRaises(StreamBroken, decoding.read, PIECE)

    def test_garbageAfterDeflate(self) -> None:
        """
        Data after the end of deflate is ignored, and none of it is kept.
        """
        for form in zlib.compress, raw:
            decoding = inflater("deflate")
            self.assertEqual(decodeAll(decoding, [form(b"data: x\n\n") + b"g"]), b"data: x\n\n")
            tracemalloc.start()
            try:
                for _ in range(200):
                    self.assertEqual(decodeAll(decoding, [bytes(50_000)]), b"")
                kept, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertLess(kept, 500_000)

    def test_unfinished(self) -> None:
        """
        A body that lacks its end is decoded as far as it goes.
        """
        for name, form in FORMS.items():
            self.assertEqual(decodeAll(inflater(name), [form(b"data: x\n\n")[:-1]]), b"data: x\n\n")

    def test_steps(self) -> None:
        """
        Input that decodes to nothing is read in steps, too: each ends with a member of the file.
        """
        decoding = inflater("gzip")
        decoding.feed(gzip.compress(b"") * 100)
        steps = 0
        while (piece := decoding.read(PIECE)) is not None:
            self.assertEqual(piece, b"")
            steps += 1
        self.assertGreaterEqual(steps, 100)


class PiecesTests(SynchronousTestCase):
    """
    Tests for L{Pieces}.
    """

    @given(st.lists(st.binary(max_size=9), max_size=9), st.sampled_from([1, 2, 3, 9]))
    def test_pieces(self, parts: list[bytes], size: int) -> None:
        """
        Data comes out in the order it was put in, in pieces that are neither too large nor empty.
        """
        decoding = Pieces()
        found = []
        for part in parts:
            decoding.feed(part)
        while (piece := decoding.read(size)) is not None:
            found.append(piece)
        self.assertTrue(decoding.isDone)
        self.assertEqual(b"".join(found), b"".join(parts))
        self.assertTrue(all(0 < len(piece) <= size for piece in found))


class MakeDecoderTests(SynchronousTestCase):
    """
    Tests for L{makeDecoder}.
    """

    def test_nothing(self) -> None:
        """
        A body without an encoding is read unchanged, even if C{Content-Encoding} has names that are
        not codings: C{none} keeps a proxy from compressing.
        """
        for name in (
            *("", " ", "identity", " Identity ", "identity, ,"),
            *("none", "None", "utf-8", "UTF-8", "text", "binary", "x-deflate", "*", "none, none"),
        ):
            self.assertIsInstance(makeDecoder(name), Pieces)

    def test_names(self) -> None:
        """
        Names of content codings are case-insensitive (RFC 9110, 8.4.1).
        """
        for name in (
            "gzip",
            "GZIP",
            " gzip\t",
            "x-gzip",
            "X-GZip",
            "deflate",
            "DEFLATE",
            "gzip, identity",
            "none, gzip",
        ):
            self.assertIsInstance(makeDecoder(name), Inflater)

    def test_others(self) -> None:
        """
        Any other coding, and more than one, raises an error with the names.
        """
        for name in "br", "zstd", "compress", "gzip, gzip", "gzip, br", "exi", "x-compress", "dcb":
            error = self.assertRaises(ValueError, makeDecoder, name)
            self.assertIn(f"encoded as {name}:", str(error))

    def test_long(self) -> None:
        """
        Only a limited part of the header is examined.
        """
        self.assertIsInstance(makeDecoder("," * 2000 + "gzip"), Pieces)
