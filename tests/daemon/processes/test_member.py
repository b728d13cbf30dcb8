"""
Tests for L{twisted_sse.daemon.processes.member}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.processes.member import ANSWER, Member, NoMetrics
from twisted_sse.daemon.processes.spawning import PARENTS
from twisted_sse.daemon.processes.wire import readMessage, writeMessage


class StoppableClock(Clock):
    """
    A clock that can be stopped like a reactor.
    """

    stops = 0

    def stop(self) -> None:
        """
        Count the calls.
        """
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class Port:
    """
    A port.
    """

    isReading = True

    def stopReading(self) -> None:
        """
        Stop accepting.
        """
        self.isReading = False

    def startReading(self) -> None:
        """
        Resume accepting.
        """
        self.isReading = True


class MemberTests(SynchronousTestCase):
    """
    Tests for a child's messages, received and sent.
    """

    def setUp(self) -> None:
        """
        Connect one.
        """
        self.clock = StoppableClock()
        self.member = Member(self.clock, [])
        self.transport: Any = StringTransport()
        self.member.wire.makeConnection(self.transport)

    def hear(self, kind: str, **fields: Any) -> None:
        """
        The parent sends a message.
        """
        self.member.wire.dataReceived(writeMessage(kind, fields))

    def said(self) -> list[tuple[str, dict[str, Any]]]:
        """
        @return: the messages sent since the last call.
        """
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [readMessage(line) for line in lines]

    def test_ping(self) -> None:
        """
        It answers pings.
        """
        self.hear("ping")
        self.assertEqual(self.said(), [("pong", {})])

    def test_stop(self) -> None:
        """
        It ends once, when the parent requests it or has ended.
        """
        self.hear("stop")
        self.hear("stop")
        self.member.wire.connectionLost(Failure(Exception()))
        self.assertEqual(self.clock.stops, 3)

    def test_unready(self) -> None:
        """
        The action for an unready child is run.
        """
        called: list[None] = []
        self.hear("unready")
        self.member.unready = lambda: called.append(None)
        self.hear("unready")
        self.assertEqual(called, [None])

    def test_metrics(self) -> None:
        """
        It sends its own metrics on request.
        """
        self.hear("collect", round=3)
        self.assertEqual(self.said(), [("metrics", {"round": 3, "families": []})])
        self.member.describe = lambda: [["a", "gauge", "A.", []]]
        self.hear("collect", round=4)
        self.assertEqual(
            self.said(), [("metrics", {"round": 4, "families": [["a", "gauge", "A.", []]]})]
        )

    def test_gather(self) -> None:
        """
        It requests the metrics of all, and each request gets its own answer.
        """
        first, second = self.member.gather(), self.member.gather()
        numbers = [fields["number"] for _, fields in self.said()]
        self.hear("sum", number=numbers[1], families=[["b"]])
        self.hear("sum", number=numbers[0], families=[["a"]])
        self.assertEqual(self.successResultOf(first), [["a"]])
        self.assertEqual(self.successResultOf(second), [["b"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noAnswer(self) -> None:
        """
        Without an answer in time there are no metrics, and a late answer is ignored.
        """
        answer = self.member.gather()
        self.clock.advance(ANSWER)
        self.failureResultOf(answer, NoMetrics)
        ((_, fields),) = self.said()
        self.hear("sum", number=fields["number"], families=[])

    def test_noParent(self) -> None:
        """
        Without a parent there are no metrics.
        """
        answer = self.member.gather()
        self.member.wire.connectionLost(Failure(Exception()))
        self.failureResultOf(answer, NoMetrics)
        self.failureResultOf(self.member.gather(), NoMetrics)

    def test_notRead(self) -> None:
        """
        Unnecessary messages are not sent while the parent does not read; afterwards it receives the
        number of missing log lines, and the current number of connections.
        """
        count = 5
        listening: Any = None
        self.member.balance(listening, lambda: count)
        self.member.wire.pauseProducing()
        for _ in range(3):
            self.member({"log_format": "lost"})
        self.clock.advance(1)
        self.assertEqual(self.said(), [])
        self.member.wire.resumeProducing()
        self.member({"log_format": "kept"})
        self.clock.advance(1)
        told = [fields.get("text", fields) for _, fields in self.said()]
        self.assertEqual(told, ["3 lines are missing", "kept", {"count": 5}])

    def test_log(self) -> None:
        """
        Log events are sent, with a traceback if there is one.
        """
        globalLogPublisher.addObserver(self.member)
        self.addCleanup(globalLogPublisher.removeObserver, self.member)
        log = Logger(namespace="shop")
        log.warn("one {text}", text="{two}")
        try:
            raise ValueError("too bad")
        except ValueError:
            log.failure("it failed")
        (_, warning), (_, failure) = self.said()
        self.assertEqual(warning, {"level": "warn", "namespace": "shop", "text": "one {two}"})
        self.assertEqual(failure["level"], "critical")
        self.assertIn("Traceback", failure["text"])
        self.assertIn("too bad", failure["text"])
        self.flushLoggedErrors(ValueError)
        # An event of Twisted's old log has no level.
        self.member({"log_format": "old"})
        self.assertEqual(self.said(), [("log", {"level": "info", "namespace": "", "text": "old"})])

    def test_connections(self) -> None:
        """
        It sends the number of its connections when that has changed.
        """
        listening: Any = None
        count = [0]
        self.member.balance(listening, lambda: count[0])
        self.clock.pump([0.2] * 3)
        count[0] = 7
        self.clock.pump([0.2] * 3)
        self.assertEqual(self.said(), [("connections", {"count": 7})])

    def test_pause(self) -> None:
        """
        It stops accepting when requested, and resumes on request or when no message arrives.
        """
        # Ports that were not registered are not paused.
        self.hear("pause", seconds=1)
        self.hear("accept")

        class Listening:
            ports = (Port(), Port())

        listening: Any = Listening()
        self.member.balance(listening, lambda: 0)
        self.hear("accept")
        self.hear("pause", seconds=2.5)
        self.clock.advance(2)
        self.hear("pause", seconds=2.5)
        self.clock.advance(2)
        self.assertEqual([port.isReading for port in listening.ports], [False, False])
        self.hear("accept")
        self.assertEqual([port.isReading for port in listening.ports], [True, True])
        self.hear("pause", seconds=2.5)
        self.clock.advance(2.5)
        self.assertEqual([port.isReading for port in listening.ports], [True, True])

    def test_unknown(self) -> None:
        """
        It ignores unknown messages: a parent may be newer.
        """
        self.hear("dance", partner=None)
        self.assertEqual(self.said(), [])

    def test_signals(self) -> None:
        """
        The parent's signals are handled, so that they do not end the child.
        """
        service: Any = self.member.signals()
        self.assertEqual(set(service._others), set(PARENTS))
