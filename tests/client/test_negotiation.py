"""
Tests for L{twisted_sse.client.negotiation}, in memory: what counts as an event stream.
"""

from __future__ import annotations

import gzip
import time
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory_agent import MemoryAgent, MemoryResponse, Taking, eventStream
from twisted_sse.client import BadContentType, BadStatus, EventSource, readEvents

ONE = b"id: 1\ndata: one\n\n"

STREAM = {b"Content-Type": b"text/event-stream"}
JSON = {b"Content-Type": b"application/json"}


class NegotiationTests(SynchronousTestCase):
    """
    Tests for what a response must have.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def read(self, response: MemoryResponse, **options: Any) -> Taking:
        """
        Read a response.
        """
        return Taking(readEvents(response, reactor=self.clock, **options))

    def follow(self, response: MemoryResponse, **options: Any) -> Taking:
        """
        Have a source read a response.
        """
        agent = MemoryAgent(response)
        options.setdefault("reconnect", False)
        return Taking(
            EventSource("http://sse.example/", reactor=self.clock, agent=agent, **options)
        )

    def test_success(self) -> None:
        """
        Any 2xx of the right type is a stream, for C{readEvents} and where the method is not GET;
        for a GET, only 200 is.
        """
        for status in 200, 201, 202, 203, 206, 299:
            for taking in (
                self.read(MemoryResponse(status, STREAM, ONE, end=True)),
                self.follow(MemoryResponse(status, STREAM, ONE, end=True), method="POST"),
            ):
                self.assertEqual((taking.data, taking.error), (["one"], None))
            taking = self.follow(MemoryResponse(status, STREAM, ONE, end=True))
            if status == 200:
                self.assertEqual(taking.data, ["one"])
            else:
                assert isinstance(taking.error, BadStatus)
                self.assertEqual(taking.error.status, status)
        for status in 205, 300, 304, 404:
            taking = self.follow(MemoryResponse(status, STREAM, ONE, end=True), method="POST")
            self.assertIsInstance(taking.error, BadStatus)
        for status in 204, 205, 404:
            taking = self.read(MemoryResponse(status, STREAM, ONE, end=True))
            self.assertIsInstance(taking.error, BadStatus)

    def test_body(self) -> None:
        """
        An answer of another type raises an error with its status, its headers and the beginning of
        its body, where APIs of language models describe the error.
        """
        body = b'{"error": {"message": "no such model"}}'
        for status, encoding in (200, None), (200, b"gzip"), (201, None):
            headers = {**JSON, **({b"Content-Encoding": encoding} if encoding else {})}
            response = MemoryResponse(status, headers, gzip.compress(body) if encoding else body)
            response.end()
            taking = self.follow(response, method="POST")
            error = taking.error
            assert isinstance(error, BadContentType)
            self.assertEqual((error.status, error.body), (status, body))
            self.assertEqual(error.json()["error"]["message"], "no such model")
            self.assertEqual(error.headers, response.headers)
            self.assertEqual(error.contentType, "application/json")
            self.assertIn("no such model", str(error))

    def test_start(self) -> None:
        """
        No more than 64 KiB of the body are read, for no longer than 5 seconds, and the connection
        is closed.
        """
        response = MemoryResponse(200, JSON, b"x" * 70_000)
        taking = self.read(response)
        assert isinstance(taking.error, BadContentType)
        self.assertEqual((taking.error.body, response.isCut), (b"x" * 65536, True))
        response = MemoryResponse(200, JSON, b"some")
        taking = self.follow(response)
        self.clock.advance(4.9)
        self.assertIsNone(taking.error)
        self.clock.advance(0.1)
        assert isinstance(taking.error, BadContentType)
        self.assertEqual((taking.error.body, response.isCut), (b"some", True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_anyType(self) -> None:
        """
        With C{requireType=False} the type makes no difference, but the status does.
        """
        for headers in {}, JSON, {b"Content-Type": b"\xff"}:
            for make in self.read, self.follow:
                taking = make(MemoryResponse(200, headers, ONE, end=True), requireType=False)
                self.assertEqual((taking.data, taking.error), (["one"], None))
                taking = make(MemoryResponse(404, headers, ONE, end=True), requireType=False)
                self.assertIsInstance(taking.error, BadStatus)
        for function in readEvents, EventSource:
            response: Any = MemoryResponse() if function is readEvents else "http://sse.example/"
            with self.assertRaisesRegex(TypeError, "requireType"):
                function(response, requireType=1)

    def test_encoding(self) -> None:
        """
        A C{Content-Encoding} that is not a coding makes no difference, and one that cannot be
        decoded raises an error with the response.
        """
        for name in b"none", b"UTF-8", b"identity", b"none, identity", b"":
            for make in self.read, self.follow:
                self.assertEqual(make(eventStream(ONE, True, name)).data, ["one"])
        taking = self.read(eventStream(gzip.compress(ONE), True, b"none, gzip"))
        self.assertEqual(taking.data, ["one"])
        error = self.read(eventStream(b"\x01\x02", True, b"br")).error
        assert isinstance(error, BadContentType)
        self.assertEqual((error.contentType, error.status, error.body), (None, 200, b"\x01\x02"))
        self.assertIn("br", str(error))

    def test_parts(self) -> None:
        """
        Quotes and commas in a type are read as in the Fetch standard (2.2.2, "get, decode, and
        split"): an unterminated string includes everything after it.
        """
        for good in (
            rb'text/event-stream; x="a\", text/plain"',
            rb'text/event-stream; x="a, text/plain',
            b'text/event-stream; x="a, text/plain\\',
            b'text/plain; x="a", text/event-stream',
            b'"text/plain, "text/plain, text/event-stream',
        ):
            headers = {b"Content-Type": good}
            taking = self.read(MemoryResponse(200, headers, ONE, end=True))
            self.assertEqual((taking.data, taking.error), (["one"], None), good)
        for bad in (
            rb'text/plain; x="a\", text/event-stream"',
            b'text/plain; x="a, text/event-stream',
            b"text/event-stream" + b";" * 5000,
        ):
            headers = {b"Content-Type": bad}
            error = self.read(MemoryResponse(200, headers, ONE, end=True)).error
            assert isinstance(error, BadContentType), bad
            self.assertLess(len(str(error)), 400)

    def test_long(self) -> None:
        """
        A header of any length and content is processed quickly.
        """
        began = time.thread_time()
        for size in 4000, 2**18:
            for value in b'\\"' * (size // 2), b"," * size, b'"' * size, b"a/" * (size // 2):
                for name in b"Content-Type", b"Content-Encoding":
                    headers = {**STREAM, name: value}
                    self.read(MemoryResponse(200, headers, ONE, end=True))
                    headers = {b"Retry-After": value, b"Date": value}
                    self.follow(MemoryResponse(503, headers, end=True), reconnect=True)
                    self.follow(MemoryResponse(302, {b"Location": value}, end=True))
        # It takes a hundredth of this.  A quadratic regular expression would take minutes.
        self.assertLess(time.thread_time() - began, 5)
