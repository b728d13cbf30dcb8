"""
Tests for L{twisted_sse.daemon.service}: the daemon in one of several processes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import StringTransport

from tests.support.options import ACCEPT, DaemonReactor, OptionsMixin, site
from twisted_sse.daemon.processes.member import ANSWER, Member
from twisted_sse.daemon.processes.wire import readMessage, writeMessage
from twisted_sse.daemon.service import makeDaemon
from twisted_sse.testing import MemoryClient


class FreshMember(Member):
    """
    One of several processes, which opens its own ports.
    """

    def makeEndpoint(self, reactor: Any, description: str) -> Any:
        """
        Make an endpoint of the reactor.
        """
        return serverFromString(reactor, description)


class MemberTests(OptionsMixin):
    """
    Tests for the daemon in one of several processes.
    """

    def make(self, *arguments: str) -> MemoryClient:
        """
        Make one of two.

        @return: a client.
        """
        self.reactor: Any = DaemonReactor()
        self.member = FreshMember(self.reactor, [])
        self.transport: Any = StringTransport()
        self.member.wire.makeConnection(self.transport)
        options = self.options(*arguments, "--processes=2")
        self.daemon: Any = makeDaemon(options, self.reactor, self.member)
        return MemoryClient(site(self.reactor).resource, clock=self.reactor)

    def hear(self, kind: str, **fields: Any) -> None:
        """
        The parent sends a message.
        """
        self.member.wire.dataReceived(writeMessage(kind, fields))

    def said(self) -> list[Any]:
        """
        @return: the messages sent since the last call.
        """
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [readMessage(line) for line in lines]

    def test_metrics(self) -> None:
        """
        The metrics are those that the parent sends; it sends its own to the parent.
        """
        client = self.make()
        client.get("/", headers=ACCEPT)
        answer = client.get("/metrics")
        self.assertFalse(answer.ended)
        ((kind, fields),) = self.said()
        self.assertEqual(kind, "gather")
        self.hear("collect", round=1)
        ((kind, told),) = self.said()
        self.assertEqual(kind, "metrics")
        opened = [each for each in told["families"] if each[0] == "sse_streams_opened"]
        self.assertEqual(opened[0][3], [["sse_streams_opened_total", {"resource": "/"}, 1]])
        opened[0][3][0][2] = 41
        self.hear("sum", number=fields["number"], families=opened)
        self.assertTrue(answer.ended)
        self.assertEqual(
            answer.text.splitlines()[-1], 'sse_streams_opened_total{resource="/"} 41.0'
        )

    def test_noMetrics(self) -> None:
        """
        If the parent does not answer, the metrics are unavailable.
        """
        client = self.make()
        answer = client.get("/metrics")
        client.clock.advance(ANSWER)
        self.assertEqual(answer.status, 503)
        self.assertIn("missing", answer.text)
        (failure,) = self.flushLoggedErrors()
        self.assertEqual(type(failure.value).__name__, "NoMetrics")

    def test_left(self) -> None:
        """
        A client that does not wait for the metrics is forgotten.
        """
        client = self.make()
        answer = client.get("/metrics")
        answer.disconnect()
        ((_, fields),) = self.said()
        self.hear("sum", number=fields["number"], families=[])
        client.clock.advance(ANSWER)

    def test_lines(self) -> None:
        """
        A file is read by the child, and sources that the parent reads are not.
        """
        self.make("/in=-", "/file=file:" + __file__, "/out=command:true", "--store=redis://x")
        (source,) = self.daemon.sources
        self.assertEqual(source.channel.name, "/file")
        self.hear("collect", round=1)
        ((_, told),) = self.said()
        found = [each[3] for each in told["families"] if each[0] == "sse_source_lines"]
        self.assertEqual([labels for _, labels, _ in found[0]], [{"channel": "/file"}])

    def test_unready(self) -> None:
        """
        It reports that it is not ready when the parent requests this, and does not wait at its end.
        """
        client = self.make("--drain-delay=60")
        self.daemon.startService()
        self.assertEqual(client.get("/readyz").status, 200)
        self.hear("unready")
        self.assertEqual(client.get("/readyz").status, 503)
        stopped: Deferred[None] = self.daemon.stopService()
        client.clock.settle()
        self.successResultOf(stopped)
