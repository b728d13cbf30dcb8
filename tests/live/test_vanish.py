"""
A peer that vanishes: no FIN, no RST, nothing ever again.

In two network namespaces of the test's own, joined by a cable that can be cut.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.task import deferLater

from tests.support.live import Client, LiveTestCase, reactor, until
from tests.support.requirements import needs
from twisted_sse import CloseReason

#: From C{<sched.h>}; C{os.setns} is there from Python 3.12 on.
CLONE_NEWNET = 0x40000000

#: Those of the two ends.  From the block for documentation: RFC 5737.
SERVER, CLIENT = "192.0.2.1", "192.0.2.2"

_T = TypeVar("_T")


def ip(*arguments: str) -> None:
    """
    Call C{ip}.
    """
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def inside(namespace: str, make: Callable[[], _T]) -> _T:
    """
    Call a function in a network namespace: the sockets that it makes stay there.

    In a thread of its own, since it is a thread that is in a namespace.
    """
    made: list[_T] = []
    errors: list[OSError] = []

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            made.append(make())
        except OSError as error:
            errors.append(error)
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return made[0]


def greet(stream: Any) -> None:
    """
    Say hello.
    """
    stream.send("hello")


@needs("network", "root")
class VanishTests(LiveTestCase):
    """
    The cable is cut.
    """

    def setUp(self) -> None:
        """
        Make the namespaces and the cable.
        """
        self.names = [f"sse-{os.getpid()}-{side}" for side in ("server", "client")]
        for name in self.names:
            ip("netns", "add", name)
            self.addCleanup(ip, "netns", "delete", name)
        server, client = self.names
        ip("-n", server, "link", "add", "end0", "type", "veth", "peer", "end1", "netns", client)
        for name, end, address in (server, "end0", SERVER), (client, "end1", CLIENT):
            ip("-n", name, "address", "add", f"{address}/30", "dev", end)
            ip("-n", name, "link", "set", end, "up")

    async def begin(self, userTimeout: int | None, **options: Any) -> Any:
        """
        Serve a stream from one end to the other.

        @param userTimeout: that of the listening socket, in milliseconds.
        @return: the stream.
        """

        def listen() -> socket.socket:
            listening = socket.create_server((SERVER, 0))
            if userTimeout is not None:
                # Accepted sockets inherit it.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, userTimeout)
            listening.setblocking(False)
            return listening

        listening = inside(self.names[0], listen)
        self.addCleanup(listening.close)
        server = self.serve(greet, site={"listening": listening}, **options)
        connected = inside(
            self.names[1], lambda: socket.create_connection(listening.getsockname(), 10)
        )
        self.client = Client(connected)
        server.clients.append(self.client)
        self.response = self.client.request()
        await until(lambda: self.response.events)
        return await self.stream()

    def cut(self) -> None:
        """
        Cut the cable, at the client's end.
        """
        ip("-n", self.names[1], "link", "set", "end1", "down")

    async def test_heartbeatNotices(self) -> None:
        """
        A heartbeat that nobody acknowledges for C{TCP_USER_TIMEOUT} closes the stream.
        """
        stream = await self.begin(1500, heartbeat=0.2)
        await until(lambda: len(self.response.comments) > 2)
        closed = stream.whenClosed()
        self.cut()
        started = reactor.seconds()
        self.assertEqual(await closed, CloseReason.CLIENT)
        took = reactor.seconds() - started
        self.assertGreater(took, 1)
        self.assertLess(took, 6)
        self.assertEqual(self.resource.streams, frozenset())

    async def test_silenceNoticesNothing(self) -> None:
        """
        The heartbeat it is that notices: without one the stream is still there, since the
        kernel does not ask after a peer to which it has nothing to say.
        """
        stream = await self.begin(500, heartbeat=None)
        self.cut()
        await deferLater(reactor, 2)
        self.assertFalse(stream.closed)
        stream.send("anybody there?")
        self.assertEqual(await stream.whenClosed(), CloseReason.CLIENT)

    async def test_stallTimeoutNotices(self) -> None:
        """
        Where there is no C{TCP_USER_TIMEOUT}, more than the kernel takes ends the stream
        after C{stallTimeout}.
        """
        stream = await self.begin(None, heartbeat=None, stallTimeout=0.5)
        self.cut()
        while not stream.bytesPending:
            stream.send("x" * 2**16)
        self.assertEqual(await stream.whenClosed(), CloseReason.STALLED)

    if not sys.platform.startswith("linux"):
        skip = "root (network namespaces are Linux's)"
