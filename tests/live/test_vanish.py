"""
Tests for a peer that vanishes without a FIN or a RST.

They use two network namespaces, joined by a virtual cable that can be cut.
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

#: From C{<sched.h>}; C{os.setns} exists since Python 3.12.
CLONE_NEWNET = 0x40000000

#: The addresses of the two ends, from the block for documentation (RFC 5737).
SERVER, CLIENT = "192.0.2.1", "192.0.2.2"

_T = TypeVar("_T")


def ip(*arguments: str) -> None:
    """
    Call C{ip}.
    """
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def inside(namespace: str, make: Callable[[], _T]) -> _T:
    """
    Call a function in a network namespace, where the sockets that it makes stay.

    It is called in a thread, because a namespace is a property of a thread.
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
    Send C{hello}.
    """
    stream.send("hello")


@needs("network", "root")
class VanishTests(LiveTestCase):
    """
    Tests for a cable that is cut.
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

        @param userTimeout: the option of the listening socket, in milliseconds.
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
        Cut the cable at the client's end.
        """
        ip("-n", self.names[1], "link", "set", "end1", "down")

    def mend(self) -> None:
        """
        Reconnect the cable.
        """
        ip("-n", self.names[1], "link", "set", "end1", "up")

    async def test_heartbeatNotices(self) -> None:
        """
        A heartbeat that is not acknowledged for C{stallTimeout} ends the stream as stalled, whether
        events are sent to it or not.
        """
        for busy in (False, True):
            stream = await self.begin(None, heartbeat=0.2, stallTimeout=1.5)
            await until(lambda: len(self.response.comments) > 2)
            if busy:
                stream.every(0.01, lambda: "x")
            closed = stream.whenClosed()
            self.cut()
            started = reactor.seconds()
            self.assertEqual(await closed, CloseReason.STALLED)
            took = reactor.seconds() - started
            self.assertTrue(1 < took < 4, took)
            self.assertEqual(self.resource.streams, frozenset())
            self.mend()

    async def test_kernelNotices(self) -> None:
        """
        Without a C{stallTimeout}, C{TCP_USER_TIMEOUT} closes the stream, with an unspecific reason.
        """
        stream = await self.begin(1500, heartbeat=0.2, stallTimeout=None)
        closed = stream.whenClosed()
        self.cut()
        self.assertEqual(await closed, CloseReason.CLIENT)

    async def test_silenceNoticesNothing(self) -> None:
        """
        Without a heartbeat the stream stays open until something is sent.
        """
        stream = await self.begin(500, heartbeat=None, stallTimeout=None)
        self.cut()
        await deferLater(reactor, 2)
        self.assertFalse(stream.closed)
        stream.send("anybody there?")
        self.assertEqual(await stream.whenClosed(), CloseReason.CLIENT)

    async def test_stallTimeoutNotices(self) -> None:
        """
        Without C{TCP_USER_TIMEOUT}, sending more than the kernel accepts ends the stream after
        C{stallTimeout}.
        """
        stream = await self.begin(None, heartbeat=None, stallTimeout=0.5)
        self.cut()
        while not stream.bytesPending:
            stream.send("x" * 2**16)
        self.assertEqual(await stream.whenClosed(), CloseReason.STALLED)

    if not sys.platform.startswith("linux"):
        skip = "root (network namespaces are Linux's)"
