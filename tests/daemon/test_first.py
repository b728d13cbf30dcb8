"""
Tests for L{twisted_sse.daemon.first}: with C{--once} a source that has ended waits for its first
client.
"""

from __future__ import annotations

from typing import Any

from tests.support.options import ACCEPT, DaemonReactor, OptionsMixin, site
from twisted_sse.daemon import feeding, makeService
from twisted_sse.testing import MemoryClient, MemoryStream


class FirstClientTests(OptionsMixin):
    """
    Tests for the wait.
    """

    def start(self, *arguments: str) -> MemoryClient:
        """
        Start a daemon whose standard input has three lines, and then ends.
        """
        self.statuses: list[int] = []
        self.patch(feeding, "exitWith", self.statuses.append)
        self.reactor: Any = DaemonReactor()
        self.daemon: Any = makeService(self.options("-", "--once", *arguments), self.reactor)
        self.daemon.startService()
        client = MemoryClient(site(self.reactor).resource, clock=self.reactor)
        (source,) = self.daemon.sources
        source.publish(source._splitter.feed(b"1\n2\n3\n"), lambda line: None)
        self.source = source
        return client

    def data(self, stream: MemoryStream) -> list[str]:
        """
        @return: the data of the events, except for the position.
        """
        return [event.data for event in stream.events if event.type != "stream-position"]

    def test_comes(self) -> None:
        """
        The first client gets the lines and a clean end, however late it connects, and the daemon
        stops.
        """
        client = self.start()
        self.source.end(7)
        self.reactor.advance(59.9)
        self.assertEqual(self.reactor.stops, 0)
        self.assertEqual(client.get("/").text, "ok")
        stream = client.get("/?tail=5", headers=ACCEPT)
        self.reactor.settle()
        self.assertEqual(self.data(stream), ["1", "2", "3", "{}"])
        self.assertTrue(stream.ended)
        self.assertEqual((self.reactor.stops, self.statuses), (1, [7]))

    def test_nobody(self) -> None:
        """
        If no client connects, the daemon stops after a configurable time, or immediately.
        """
        for arguments, seconds in (((), 60), (("--once-wait=5",), 5), (("--once-wait=off",), 0)):
            self.start(*arguments)
            self.source.end(0)
            if seconds:
                self.reactor.advance(seconds - 0.1)
                self.assertEqual(self.reactor.stops, 0, arguments)
                self.reactor.advance(0.1)
            self.assertEqual(self.reactor.stops, 1, arguments)

    def test_been(self) -> None:
        """
        If there was a client, the daemon does not wait, whether the client is still connected or
        not.
        """
        for leaves in False, True:
            client = self.start()
            stream = client.get("/", headers=ACCEPT)
            if leaves:
                stream.disconnect()
            self.source.end(0)
            self.reactor.settle()
            self.assertEqual(self.reactor.stops, 1)

    def test_nothing(self) -> None:
        """
        If there were no lines, the daemon does not wait.
        """
        self.start()
        self.source.lines = 0
        self.source.end(3)
        self.reactor.settle()
        self.assertEqual((self.reactor.stops, self.statuses), (1, [3]))

    def test_stopped(self) -> None:
        """
        A signal ends the wait, and leaves nothing behind.
        """
        self.start()
        self.source.end(0)
        self.successResultOf(self.daemon.stopService())
        self.reactor.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.stops, 0)

    def test_suits(self) -> None:
        """
        The time has no effect where nothing ends.
        """
        self.assertIn("--once-wait only applies with --once", self.refusal("-", "--once-wait=5"))
