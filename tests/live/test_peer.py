"""
Tests for L{twisted_sse.stream.peer} with real sockets.
"""

from __future__ import annotations

import socket

from tests.support.live import LiveTestCase, until
from tests.support.requirements import needs
from twisted_sse.stream.peer import KEEPALIVE, probePeer, seemsGone


@needs("network")
class SocketTests(LiveTestCase):
    """
    Tests with a real socket.
    """

    async def test_probes(self) -> None:
        """
        The connection of a stream has keepalive, and the kernel gives up its peer 15 seconds after
        the stream does; on a UNIX socket nothing is set.
        """
        for stallTimeout, expected in ((10, 25_000), (None, 0), (1e9, 2**31 - 1)):
            server = self.serve(lambda stream: None, stallTimeout=stallTimeout)
            server.connect().request()
            stream = await self.stream()
            connection = stream.request.transport.socket
            self.assertTrue(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            for name, value in (*KEEPALIVE, ("TCP_USER_TIMEOUT", expected)):
                option = getattr(socket, name, None)
                if option is not None:
                    actual = connection.getsockopt(socket.IPPROTO_TCP, option)
                    self.assertEqual(actual, value, name)

    async def test_isThere(self) -> None:
        """
        A client that reads, or whose kernel still answers, does not count as vanished; nor does one
        whose connection is closed.
        """
        server = self.serve(lambda stream: stream.send("x") and None)
        client = server.connect()
        client.request()
        stream = await self.stream()
        request = stream.request
        self.assertFalse(seemsGone(request))
        for _ in range(100):
            stream.send("x" * 2**16)
        self.assertFalse(seemsGone(request))
        client.close()
        await until(lambda: stream.closed)
        self.assertFalse(seemsGone(request))
        self.assertFalse(probePeer(request, 10))
