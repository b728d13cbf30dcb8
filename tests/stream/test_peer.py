"""
Tests for L{twisted_sse.stream.peer}: whether the peer of a connection is still reachable.

L{tests.live.test_peer} asks the kernel, and L{tests.live.test_vanish} cuts a real cable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import twisted_sse.server.group
import twisted_sse.stream.response
import twisted_sse.stream.stall
from tests.support.streams import StreamTestCase
from twisted_sse import CloseReason
from twisted_sse.stream.peer import probePeer, seemsGone


class VanishTests(StreamTestCase):
    """
    Tests for a client that the kernel reports as vanished, in memory.
    """

    def vanish(self) -> Callable[[bool], None]:
        """
        Simulate the kernel's view of the client.

        @return: a function that sets whether the client seems to have vanished.
        """
        gone = False

        def set(isGone: bool) -> None:
            nonlocal gone
            gone = isGone

        self.patch(twisted_sse.server.group, "probePeer", lambda request, timeout: True)
        self.patch(twisted_sse.stream.response, "seemsGone", lambda request: gone)

        def outstanding(request: Any) -> int:
            return request.transport._held() + len(request.transport._kernel)

        self.patch(twisted_sse.stream.stall, "outstanding", outstanding)
        return set

    def test_stalled(self) -> None:
        """
        A client that vanishes counts as stalled C{stallTimeout} after the first unacknowledged
        write, and before the kernel gives it up 15 seconds later.
        """
        for heartbeat in (15, None):
            gone = self.vanish()
            stream = self.connect(heartbeat=heartbeat, stallTimeout=60)
            reasons = self.reasons()
            clock = self.client.clock
            clock.advance(100)
            self.browser.stopReading(kernelBuffer=10**6)
            stream.send("x")
            gone(True)
            for _ in range(59 * 2):
                clock.advance(0.5)
            self.assertEqual(reasons, [])
            for _ in range(9 * 2):
                clock.advance(0.5)
            self.assertEqual(reasons, [CloseReason.STALLED])
            self.assertGone()

    def test_busy(self) -> None:
        """
        Sending more events to the vanished client makes no difference.
        """
        gone = self.vanish()
        stream = self.connect(stallTimeout=10)
        reasons = self.reasons()
        self.browser.stopReading(kernelBuffer=10**6)
        gone(True)
        for _ in range(12 * 10):
            stream.send("x")
            self.client.clock.advance(0.1)
        self.assertEqual(reasons, [CloseReason.STALLED])

    def test_forAMoment(self) -> None:
        """
        A client on a bad network, which receives everything in the end, stays connected.
        """
        gone = self.vanish()
        stream = self.connect(stallTimeout=10)
        for _ in range(10):
            self.browser.stopReading(kernelBuffer=10**6)
            stream.send("x")
            gone(True)
            self.client.clock.advance(4)
            gone(False)
            self.browser.resumeReading()
            self.client.clock.advance(4)
        self.assertFalse(stream.closed)
        self.assertEqual(len(self.data()), 10)

    def test_busyConnection(self) -> None:
        """
        A client that seemed to have vanished for a moment stays connected, even if the kernel then
        always holds more for the other streams of its connection.
        """
        gone = self.vanish()
        held = [100]
        self.patch(twisted_sse.stream.stall, "outstanding", lambda request: held[0])
        stream = self.connect(stallTimeout=10)
        stream.send("x")
        gone(True)
        self.client.clock.advance(2)
        gone(False)
        held[0] = 10**6
        self.client.clock.advance(100)
        self.assertFalse(stream.closed)
        gone(True)
        self.client.clock.advance(20)
        self.assertTrue(stream.closed)

    def test_off(self) -> None:
        """
        Without a C{stallTimeout} no check is made.
        """
        gone = self.vanish()
        stream = self.connect(stallTimeout=None, heartbeat=None)
        gone(True)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.client.clock.advance(1000)
        self.assertFalse(stream.closed)

    def test_oneCall(self) -> None:
        """
        One delayed call checks all streams of a resource, and none is left after they end.
        """
        self.vanish()
        self.connect(heartbeat=None)
        others = [self.client.get("/") for _ in range(20)]
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        for browser in (self.browser, *others):
            browser.disconnect()
        self.assertGone()

    def test_notInMemory(self) -> None:
        """
        Without a socket, no check is made.
        """
        stream = self.connect(heartbeat=None)
        assert stream.request is not None
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.assertFalse(probePeer(stream.request, 60))
        self.assertFalse(seemsGone(stream.request))
