"""
Tests for streams on real sockets: the server shuts down, with or without a drain.
"""

from __future__ import annotations

from tests.support.live import Child, LiveTestCase, reactor, until
from tests.support.live_streams import NARROW, SMALL, fill, greet
from tests.support.requirements import needs
from twisted_sse import CloseReason


@needs("network")
class DrainTests(LiveTestCase):
    """
    Tests for draining.
    """

    async def test_drain(self) -> None:
        """
        Each client gets a C{retry}, its response ends properly, and its connection is closed.
        """
        server = self.serve(greet)
        clients = [server.get() for _ in range(5)]
        await until(lambda: all(response.events for _, response in clients))
        await self.resource.drain(5, retry=(700, 710))
        await until(lambda: all(client.lost for client, _ in clients))
        for client, response in clients:
            self.assertEqual(client.lost, "FIN")
            self.assertTrue(response.complete)
            self.assertIn(response.parser.retry, range(700, 711))
        self.assertEqual(self.reasons.closedFor, [CloseReason.DRAIN] * 5)

    async def test_newcomers(self) -> None:
        """
        A client that connects after a drain gets a C{retry} and the end, and is disconnected.
        """
        server = self.serve(greet)
        await self.resource.drain(5, retry=(700, 710))
        client, response = server.get()
        await until(lambda: client.lost)
        self.assertEqual((response.status, response.complete), (200, True))
        self.assertEqual(response.events, [])
        self.assertIn(response.parser.retry, range(700, 711))

    async def test_keptAlive(self) -> None:
        """
        A second request on a kept-alive connection after a drain gets a C{retry} and the end, and
        is disconnected.
        """
        server = self.serve(lambda stream: ["all"])
        client, first = server.get()
        await until(lambda: first.complete)
        self.assertIsNone(client.lost)
        await self.resource.drain(5, retry=(700, 710))
        second = client.request()
        await until(lambda: client.lost)
        self.assertEqual((second.status, second.complete), (200, True))
        self.assertEqual(second.events, [])
        self.assertIn(second.parser.retry, range(700, 711))

    async def test_notReading(self) -> None:
        """
        A client that does not read is aborted at the deadline, and not before.
        """
        server = self.serve(greet, site=NARROW, heartbeat=None)
        client, response = server.get(receiveBuffer=SMALL)
        reader, read = server.get()
        await until(lambda: response.events and read.events)
        client.stopReading()
        [stalled] = [
            stream
            for stream in self.resource.streams
            if stream.request.getClientAddress().port == client.socket.getsockname()[1]
        ]
        fill(stalled)
        started = reactor.seconds()
        drained = self.resource.drain(0.3)
        await until(lambda: reader.lost)
        self.assertFalse(drained.called)
        await drained
        self.assertGreaterEqual(reactor.seconds() - started, 0.3)
        await until(lambda: not server.connections)
        self.assertEqual(self.reasons.closedFor, [CloseReason.DRAIN] * 2)

    async def test_afterEnd(self) -> None:
        """
        The deadline also applies to a stream that was already ending.
        """
        server = self.serve(greet, site=NARROW, heartbeat=None)
        client, response = server.get(receiveBuffer=SMALL)
        await until(lambda: response.events)
        client.stopReading()
        stream = await self.stream()
        fill(stream)
        stream.end()
        await self.resource.drain(0.1)
        self.assertTrue(stream.closed)
        await until(lambda: not server.connections)

    async def test_overLimit(self) -> None:
        """
        A client beyond the limit gets a C{retry} in a complete response.
        """
        server = self.serve(greet, maxStreams=1)
        _, first = server.get()
        await until(lambda: first.events)
        client, second = server.get()
        await until(lambda: second.complete)
        self.assertEqual((second.status, second.events), (200, []))
        self.assertIn(second.parser.retry, range(5000, 15001))
        client.close()
        self.assertEqual(len(self.resource.streams), 1)


@needs("network")
class ShutdownTests(LiveTestCase):
    """
    Tests for stopping the reactor.
    """

    async def test_stopped(self) -> None:
        """
        Streams that are open when the reactor stops are closed with the reason SHUTDOWN, and
        nothing is left.
        """
        child = Child(self, "-m", "tests.support.live_server", "--leaks")
        port = await child.wait("port")
        server = self.serve(greet)
        server.address = ("127.0.0.1", port)
        clients = [server.get() for _ in range(3)]
        await until(lambda: all(response.events for _, response in clients))
        await child.stop()
        self.assertEqual(child.told("closed"), ["SHUTDOWN"] * 3)
        self.assertEqual(child.told("left"), [0])
        self.assertEqual(child.errors.decode(), "")
        await until(lambda: all(client.lost for client, _ in clients))

    async def test_drained(self) -> None:
        """
        Stopping the application drains a resource with a service, and clients get a C{retry}.
        """
        child = Child(self, "-m", "tests.support.live_server", "--leaks", "--drain")
        port = await child.wait("port")
        server = self.serve(greet)
        server.address = ("127.0.0.1", port)
        clients = [server.get() for _ in range(3)]
        await until(lambda: all(response.events for _, response in clients))
        await child.stop()
        await until(lambda: all(client.lost for client, _ in clients))
        self.assertEqual(child.told("closed"), ["DRAIN"] * 3)
        self.assertEqual(child.told("left"), [0])
        for _, response in clients:
            self.assertTrue(response.complete)
            self.assertIsNotNone(response.parser.retry)
