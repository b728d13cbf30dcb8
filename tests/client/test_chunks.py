"""
Tests for L{twisted_sse.client.chunks}: chunked bodies.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import HTTP11ClientProtocol, HTTPClientParser, Request
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import _ChunkedTransferDecoder
from twisted.web.http_headers import Headers

from twisted_sse.client import chunks
from twisted_sse.client.chunks import decodeTogether

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Body(Protocol):
    """
    A protocol that records the body it receives.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Record some of the body.
        """
        self.pieces.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Record why the body ended.
        """
        self.reason = reason


def receive(pieces: list[bytes], together: bool = True) -> tuple[Body, Any]:
    """
    Receive a response with Twisted's HTTP client.

    @param pieces: the pieces to receive, in order.
    @param together: whether the chunks of a piece are decoded together.
    @return: the body, and the protocol.
    """
    protocol = HTTP11ClientProtocol()
    protocol.makeConnection(StringTransport())
    body = Body()
    request = Request._construct(b"GET", b"/", Headers({b"Host": [b"sse.example"]}), None)
    protocol.request(request).addCallback(lambda response: response.deliverBody(body))
    if together:
        decodeTogether(protocol)
    protocol.dataReceived(HEAD)
    for piece in pieces:
        protocol.dataReceived(piece)
    return body, protocol


def outcome(pieces: list[bytes], together: bool) -> tuple[bytes, list[type] | None, Any]:
    """
    @return: the body, how it ended, and whether the transport was asked to disconnect.
    """
    body, protocol = receive(pieces, together)
    ends = None
    if body.reason is not None:
        value: Any = body.reason.value
        ends = [type(value), *(reason.type for reason in getattr(value, "reasons", ()))]
    return b"".join(body.pieces), ends, protocol.transport.disconnecting


def framed(*bodies: bytes) -> bytes:
    """
    Frame each body as a chunk.
    """
    return b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies)


UNUSUAL = [
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"0\r\n",
    b"000;last\r\n\r\n",
    b"\r\n",
    b"2\nab\r\n",
    b"2\r\nabc\r\n",
    b"2\r\nab\n",
    b"2\r\nab\rX",
    b"0x2\r\nab\r\n",
    b"+2\r\nab\r\n",
    b"1_0\r\nabcdefabcdefabcd\r\n",
    b" 2\r\nab\r\n",
    b"-1\r\n",
    b"g\r\n",
    b"5\r\nabc",
    b"fffffffff\r\nabc",
    b"2" * 1100,
]

PARTS = st.one_of(
    st.binary(min_size=1, max_size=40).map(framed),
    st.binary(min_size=1, max_size=5).map(lambda body: b"%X;a=b\r\n%b\r\n" % (len(body), body)),
    st.binary(min_size=1, max_size=5).map(lambda body: b"00%X;a\r\n%b\r\n" % (len(body), body)),
    st.sampled_from(UNUSUAL),
)


class DecodeTests(SynchronousTestCase):
    """
    Tests for L{decodeTogether}.
    """

    @settings(max_examples=300, deadline=None)
    @given(st.lists(PARTS, max_size=8), st.lists(st.integers(0, 200), max_size=6))
    def test_asTwisted(self, parts: list[bytes], cuts: list[int]) -> None:
        """
        For any input, cut anywhere, the body and its end are the same as with Twisted's decoder.
        """
        wire = b"".join(parts)
        places = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
        pieces = [wire[a:b] for a, b in pairwise(places) if a < b]
        self.assertEqual(outcome(pieces, True), outcome(pieces, False))
        # Twisted also logs errors.
        self.flushLoggedErrors()

    def test_unusual(self) -> None:
        """
        Each unusual chunk, first or after another and cut in two anywhere, is decoded as Twisted
        decodes it.
        """
        for part in UNUSUAL:
            for wire in part + framed(b"one"), framed(b"x" * 17) + part + framed(b"one"):
                for at in range(len(wire) + 1):
                    pieces = [wire[:at], wire[at:]]
                    self.assertEqual(outcome(pieces, True), outcome(pieces, False), wire)
        self.flushLoggedErrors()

    def test_cutAnywhere(self) -> None:
        """
        Chunks cut in two anywhere, or into single bytes, are decoded whole.
        """
        wire = framed(b"one", b"\r\n", b"three" * 5) + b"4;x=y\r\nfour\r\n0\r\nT: t\r\n\r\n"
        whole = b"one\r\n" + b"three" * 5 + b"four"
        cases = [[wire[:at], wire[at:]] for at in range(len(wire) + 1)]
        cases.append([wire[at : at + 1] for at in range(len(wire))])
        for pieces in cases:
            body, _ = receive([piece for piece in pieces if piece])
            self.assertEqual(b"".join(body.pieces), whole)
            assert body.reason is not None
            body.reason.trap(ResponseDone)

    def test_blanks(self) -> None:
        """
        Blanks after the size of a chunk are ignored, with extensions or without, in one piece or cut
        anywhere; blanks elsewhere in the line are not.
        """
        wire = b"3 \r\none\r\n3   \t;a=b\r\ntwo\r\n000005 \r\nthree\r\n0 \r\n\r\n"
        cases = [[wire[:at], wire[at:]] for at in range(len(wire) + 1)]
        cases.append([wire[at : at + 1] for at in range(len(wire))])
        for pieces in cases:
            body, _ = receive([piece for piece in pieces if piece])
            self.assertEqual(b"".join(body.pieces), b"onetwothree")
            assert body.reason is not None
            body.reason.trap(ResponseDone)
        for bad in b" 3\r\none\r\n", b"3 3\r\none\r\n", b"3\x0b\r\none\r\n":
            body, protocol = receive([bad])
            self.assertTrue(protocol.transport.disconnecting, bad)
        self.flushLoggedErrors()

    def test_together(self) -> None:
        """
        All whole chunks of one read are delivered together, and the start of an incomplete one does
        not wait for its rest.
        """
        wire = framed(b"one", b"two", b"three", b"four")
        body, protocol = receive([wire[:-4]])
        self.assertEqual(body.pieces, [b"onetwothree", b"fo"])
        protocol.dataReceived(wire[-4:] + framed(b"five", b"six") + b"7\r\n")
        self.assertEqual(body.pieces[2:], [b"ur", b"fivesix"])

    def test_many(self) -> None:
        """
        A thousand chunks in one read are delivered in one call.
        """
        for sizes in b"9", b"09", b"0009;a=b", b"9 ", b"9; x", b'9;x="a;b"':
            body, _ = receive([(sizes + b"\r\ndata: x\n\n\r\n") * 1000])
            self.assertEqual(body.pieces, [b"data: x\n\n" * 1000])

    def test_brokenOff(self) -> None:
        """
        A connection lost in the middle of a chunk fails the response.
        """
        body, protocol = receive([framed(b"one") + b"5\r\ntw"])
        protocol.connectionLost(Failure(ConnectionError()))
        self.assertEqual(body.pieces, [b"one", b"tw"])
        assert body.reason is not None
        body.reason.trap(ResponseFailed)

    def test_otherTwisted(self) -> None:
        """
        With another chunk decoder, or a Twisted without the expected one, decoding stays as it was.
        """

        class Other(_ChunkedTransferDecoder):
            pass

        wire = framed(b"one", b"two")
        with mock.patch.object(HTTPClientParser, "_transferDecoders", {b"chunked": Other}):
            body, _ = receive([wire])
        self.assertEqual(body.pieces, [b"one", b"two"])
        with mock.patch.object(chunks, "_ChunkedTransferDecoder", None):
            body, _ = receive([wire])
            decodeTogether(object())
        self.assertEqual(body.pieces, [b"one", b"two"])
