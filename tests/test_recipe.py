"""
Tests for the recipe of twelve lines of plain Twisted, and for the faults of its wrong versions.
"""

from __future__ import annotations

import gc
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.support.examples import HELLO, example, load
from tests.support.requirements import ROOT
from twisted_sse import EventStreamParser
from twisted_sse.testing import MemoryClient


class RecipeTests(SynchronousTestCase):
    """
    Tests for twelve lines of plain Twisted.
    """

    def setUp(self) -> None:
        """
        Serve the recipe.
        """
        self.client = MemoryClient(example("recipe").Hello())

    def test_events(self) -> None:
        """
        The headers arrive immediately, and then an event every two seconds.
        """
        stream = self.client.get("/")
        self.assertEqual((stream.status, stream.events), (200, []))
        self.client.clock.advance(4)
        self.assertEqual(stream.events, [HELLO, HELLO])

    def test_disconnect(self) -> None:
        """
        A disconnect stops the loop of that client only.
        """
        one, other = self.client.get("/"), self.client.get("/")
        one.disconnect()
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        self.client.clock.advance(2)
        self.assertEqual(other.events, [HELLO])
        other.disconnect()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """
        A loop that fails is logged, and ends the response.
        """
        write = Request.write

        def writeNoEvent(request: Request, data: bytes) -> None:
            if data.startswith(b"event"):
                raise ZeroDivisionError
            write(request, data)

        self.patch(Request, "write", writeNoEvent)
        stream = self.client.get("/")
        self.client.clock.advance(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((stream.ended, stream.complete), (True, False))
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_head(self) -> None:
        """
        HEAD ends, so that the next request on the connection is answered.
        """
        self.assertEqual(answersToHeadAndGet(example("recipe").Hello()), 2)


def answersToHeadAndGet(resource: Resource) -> int:
    """
    Make a HEAD and a GET request on one connection.

    @return: the number of responses.
    """
    protocol: Any = Site(resource, reactor=Clock()).buildProtocol(None)
    transport: Any = StringTransport()
    protocol.makeConnection(transport)
    for method in b"HEAD", b"GET":
        protocol.dataReceived(method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return cast(int, transport.value().count(b"HTTP/1.1 200 OK"))


class WrongVersionTests(SynchronousTestCase):
    """
    Tests for the documented faults of the wrong versions.
    """

    def setUp(self) -> None:
        """
        Load the wrong versions.
        """
        self.wrong = load(ROOT / "docs" / "wrong.py")

    def test_neverRemoved(self) -> None:
        """
        C{notifyFinish().addBoth(self.remove)} removes nothing, so that the requests of all clients
        are kept.
        """
        resource = self.wrong.NeverRemoved()
        client = MemoryClient(resource)
        for _ in range(3):
            client.get("/").disconnect()
        self.assertEqual(len(resource.requests), 3)
        resource.publish(b"data: to nobody\n\n")

    def test_neverStopped(self) -> None:
        """
        A loop that is never stopped continues after its client has disconnected, and nothing is
        logged.
        """
        client = MemoryClient(self.wrong.NeverStopped())
        client.get("/").disconnect()
        client.clock.advance(1000)
        self.assertEqual(len(client.clock.getDelayedCalls()), 1)

    def test_diesSilently(self) -> None:
        """
        A loop whose Deferred is kept fails silently, the client keeps waiting, and stopping the
        loop raises another error.
        """
        measurements = iter([20, 21])
        client = MemoryClient(self.wrong.DiesSilently(lambda: next(measurements)))
        stream = client.get("/")
        client.clock.advance(1000)
        self.assertEqual([event.data for event in stream.events], ["20", "21"])
        self.assertEqual((stream.ended, client.clock.getDelayedCalls()), (False, []))
        self.assertEqual(self.flushLoggedErrors(), [])
        stream.disconnect()
        del stream, client
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)
        self.flushLoggedErrors(StopIteration)

    def test_headNeverEnds(self) -> None:
        """
        A request after a HEAD that is held open is not answered.
        """
        self.assertEqual(answersToHeadAndGet(self.wrong.HeadNeverEnds()), 1)

    def test_noFirstByte(self) -> None:
        """
        There is no response before the first event.
        """
        client = MemoryClient(self.wrong.NoFirstByte())
        stream = client.get("/")
        client.clock.advance(59)
        self.assertIs(stream.status, None)
        client.clock.advance(1)
        self.assertEqual(stream.status, 200)
        stream.disconnect()

    def test_unescaped(self) -> None:
        """
        Text with a newline can contain other fields.
        """
        data = self.wrong.unescaped("hi\n\nevent: logout\ndata: now")
        self.assertEqual(
            [event.type for event in EventStreamParser().feed(data)], ["message", "logout"]
        )

    def test_nobodyPauses(self) -> None:
        """
        Events that a client does not read accumulate in the server's memory.
        """
        client = MemoryClient(self.wrong.NobodyPauses())
        stream = client.get("/")
        stream.stopReading(kernelBuffer=0)
        client.clock.advance(100)
        stream.resumeReading()
        self.assertGreater(len(stream.body), 9_000_000)
        stream.disconnect()
