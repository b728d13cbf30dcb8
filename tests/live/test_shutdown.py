"""
Streams on real sockets: the server goes, at once or with a drain before.
"""

from __future__ import annotations

from tests.support.live import Child, LiveTestCase, reactor, until
from tests.support.live_streams import NARROW, SMALL, fill, greet
from tests.support.requirements import needs
from twisted_sse import CloseReason


@needs("network")
class DrainTests(LiveTestCase):
    """
    The server is about to go.
    """

    async def test_drain(self) -> None:
        """
        Each client is told when to come back, its response ends properly, and its connection
        is closed.
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
        Who comes then is answered with a reconnection time and the end, and disconnected.
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
        The second request of a kept-alive connection is a newcomer, too.
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
        A client that does not read is waited for, and aborted when time is up.
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
        The deadline holds for a stream, too, that had been ended before.
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
        Who is one too many is told to come back later, by a complete response.
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
    The reactor is stopped.
    """

    async def test_stopped(self) -> None:
        """
        Streams that are open when the reactor stops are closed for that reason, and nothing
        is left of them.
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
        A resource's service, stopped with the application, tells the clients to come back.
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
