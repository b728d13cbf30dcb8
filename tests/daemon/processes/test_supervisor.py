"""
Tests for L{twisted_sse.daemon.processes.supervisor}.
"""

from __future__ import annotations

import re

from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.supervised import Family
from twisted_sse.daemon.processes.supervisor import State


class SupervisorTestCase(SynchronousTestCase):
    """
    A supervisor of two children.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.family = Family()
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def log(self) -> str:
        """
        @return: the log messages.
        """
        return "\n".join(eventAsText(event) for event in self.events)


class ReplacementTests(SupervisorTestCase):
    """
    Tests for children that end.
    """

    def test_atOnce(self) -> None:
        """
        A child that has lived for five seconds is replaced immediately.
        """
        first, second = self.family.allReady()
        self.family.advance(5)
        first.crash()
        self.assertEqual(len(self.family.processes), 3)
        self.assertEqual([child.place for child in self.family.supervisor.children()], [1, 2])
        self.assertIn(
            "process 1 (pid 1001) has ended: killed by SIGKILL; starting another", self.log()
        )
        self.assertEqual(self.family.supervisor.replaced, 1)
        self.assertEqual((second.said, self.family.gaveUp), ([], []))

    def test_early(self) -> None:
        """
        Children that die early are replaced after a growing delay, up to a second if they were
        ready.
        """
        self.family.allReady()
        for _ in range(6):
            process = self.family.processes[-1]
            process.ready()
            process.crash()
            self.family.advance(1)
            self.assertIsNot(self.family.processes[-1], process)
        waits = re.findall(r"starting another in (\S+) s", self.log())
        self.assertEqual(waits, ["0.1", "0.2", "0.4", "0.8", "1.0", "1.0"])
        # A child that lives resets the delay.
        self.family.processes[-1].ready()
        self.family.advance(5)
        self.family.processes[-1].crash()
        self.family.processes[-1].crash()
        count = len(self.family.processes)
        self.family.advance(0.25)
        self.assertEqual(len(self.family.processes), count + 1)

    def test_neverReady(self) -> None:
        """
        Children that never become ready again are restarted forever, finally every half minute.
        """
        first, _ = self.family.allReady()
        first.crash()
        for _ in range(12):
            self.family.clock.advance(40)
            process = self.family.processes[-1]
            process.child.heard("failed", {"why": "no module", "status": 64})
            process.exit(64)
        self.assertEqual(self.family.gaveUp, [])
        self.assertIn("has ended: no module; starting another in 30.0 s", self.log())

    def test_cannotStart(self) -> None:
        """
        If the first children cannot start, that is reported with their status, and nothing is
        retried.
        """
        self.family.supervisor.startService()
        first, second = self.family.processes
        first.child.heard("failed", {"why": "no module", "status": 64})
        first.exit(64)
        second.exit(7)
        self.assertEqual(
            self.family.gaveUp, [("no module", 64), ("process 2 (pid 1002) has ended: status 7", 7)]
        )
        self.family.advance(60)
        self.assertEqual(len(self.family.processes), 2)

    def test_killedAtStart(self) -> None:
        """
        A child that is killed before any was ready is replaced.
        """
        self.family.supervisor.startService()
        self.family.processes[0].crash()
        self.family.advance(1)
        self.assertEqual((len(self.family.processes), self.family.gaveUp), (3, []))

    def test_noProcess(self) -> None:
        """
        If the system cannot start a process, starting is retried.
        """
        self.family.broken = True
        self.family.supervisor.startService()
        self.assertEqual(list(self.family.supervisor.children()), [])
        self.assertIn("Process 1 cannot be started: Resource temporarily unavailable", self.log())
        self.family.broken = False
        self.family.advance(1)
        self.assertEqual(len(self.family.processes), 2)

    def test_hangs(self) -> None:
        """
        A child that does not answer for ten seconds is killed, once.
        """
        first, second = self.family.allReady()
        first.answers = False
        self.family.advance(10)
        self.assertEqual((first.killed, second.killed), (0, 0))
        self.family.advance(5)
        self.assertEqual((first.killed, second.killed), (1, 0))
        self.assertIn("Killing process 1 (pid 1001): it has not answered for 10 s", self.log())
        first.crash()
        self.assertEqual(len(self.family.processes), 3)

    def test_slowStart(self) -> None:
        """
        A child may take two minutes to begin.
        """
        self.family.supervisor.startService()
        first, _ = self.family.processes
        first.answers = False
        self.family.advance(119)
        self.assertEqual(first.killed, 0)
        self.family.advance(3)
        self.assertEqual(first.killed, 1)

    def test_parentStopped(self) -> None:
        """
        If the parent itself was stopped for a while, its children do not count as hanging.
        """
        first, _ = self.family.allReady()
        first.answers = False
        self.family.clock.advance(100)
        self.family.clock.advance(1)
        self.assertEqual(first.killed, 0)

    def test_log(self) -> None:
        """
        A child's log messages are logged, with its name.
        """
        first, _ = self.family.allReady()
        first.child.heard(
            "log", {"level": "warn", "namespace": "shop.events", "text": "a {brace} in it"}
        )
        event = self.events[-1]
        self.assertEqual((event["log_namespace"], event["log_level"].name), ("shop.events", "warn"))
        self.assertIn("process 1 (pid 1001): a {brace} in it", self.log())
        # The namespace of Twisted's old log is meaningless to an operator.
        first.child.heard("log", {"level": "info", "namespace": "log_legacy", "text": "old"})
        said = eventAsText(self.events[-1], includeTimestamp=False)
        self.assertEqual(said, "[-] process 1 (pid 1001): old")

    def test_others(self) -> None:
        """
        Messages for other modules are passed on, and so are ends.
        """
        heard = []
        lost = []
        self.family.supervisor.heard = lambda *message: heard.append(message)
        self.family.supervisor.lost = lost.append
        first, _ = self.family.allReady()
        first.child.heard("metrics", {"round": 1})
        first.crash()
        self.assertEqual(heard, [(first.child, "metrics", {"round": 1})])
        self.assertEqual(lost, [first.child])


class StopTests(SupervisorTestCase):
    """
    Tests for the end.
    """

    def test_together(self) -> None:
        """
        All children are asked to stop, and the end is when all have ended.
        """
        first, second = self.family.allReady()
        self.family.supervisor.unready()
        stopped = self.family.supervisor.stopService()
        self.assertEqual((first.kinds, second.kinds), (["unready", "stop"],) * 2)
        first.exit()
        self.assertNoResult(stopped)
        second.exit()
        self.successResultOf(stopped)
        self.assertEqual(self.family.clock.getDelayedCalls(), [])
        self.assertEqual(self.family.supervisor.replaced, 0)

    def test_unready(self) -> None:
        """
        A child that replaces another while all are unready is unready, too.
        """
        first, _ = self.family.allReady()
        self.family.supervisor.unready()
        first.crash()
        self.family.advance(1)
        third = self.family.processes[2]
        third.said.clear()
        third.ready()
        self.assertIn("unready", third.kinds)

    def test_deadline(self) -> None:
        """
        A child that does not end within its drain and ten seconds is killed.
        """
        first, second = self.family.allReady()
        stopped = self.family.supervisor.stopService()
        second.exit()
        self.family.advance(14.5)
        self.assertEqual(first.killed, 0)
        self.family.advance(1)
        self.assertEqual(first.killed, 1)
        first.crash()
        self.successResultOf(stopped)

    def test_waiting(self) -> None:
        """
        A replacement that was still due is not started.
        """
        first, second = self.family.allReady()
        first.crash()
        stopped = self.family.supervisor.stopService()
        second.exit()
        self.successResultOf(stopped)
        self.family.advance(60)
        self.assertEqual(len(self.family.processes), 2)

    def test_nobody(self) -> None:
        """
        Without children the end is immediate.
        """
        for process in self.family.allReady():
            process.crash()
        self.successResultOf(self.family.supervisor.stopService())

    def test_inRoll(self) -> None:
        """
        In the middle of a replacement the old and the new children are stopped.
        """
        first, second = self.family.allReady()
        self.family.supervisor.roll()
        stopped = self.family.supervisor.stopService()
        third = self.family.processes[2]
        # It has arrived too late.
        third.ready()
        for process in first, second, third:
            self.assertEqual(process.kinds, ["stop"])
            process.exit()
        self.successResultOf(stopped)
        self.family.supervisor.roll()
        self.assertEqual(len(self.family.processes), 3)


class RollTests(SupervisorTestCase):
    """
    Tests for replacing all children.
    """

    def test_oneAfterAnother(self) -> None:
        """
        An old child leaves when the new one is ready, and the next is replaced when it has ended.
        """
        first, second = self.family.allReady()
        self.family.supervisor.roll()
        (third,) = self.family.processes[2:]
        self.assertEqual(first.said, [])
        third.ready()
        self.assertEqual((first.kinds, second.kinds), (["stop"], []))
        self.assertEqual(len(self.family.processes), 3)
        first.exit()
        (fourth,) = self.family.processes[3:]
        fourth.ready()
        self.assertEqual(second.kinds, ["stop"])
        second.exit()
        self.assertIn("The processes were replaced", self.log())
        states = [(each.number, each.state) for each in self.family.supervisor.children()]
        self.assertEqual(states, [(3, State.READY), (4, State.READY)])
        self.assertEqual(self.family.supervisor.replaced, 0)

    def test_starting(self) -> None:
        """
        A child that is not ready yet is replaced, too: it may have read the old files.
        """
        self.family.supervisor.startService()
        first, second = self.family.processes
        second.ready()
        self.family.supervisor.roll()
        self.assertEqual(first.kinds[-1:], ["stop"])
        (third,) = self.family.processes[2:]
        first.exit()
        self.assertEqual((len(self.family.processes), second.kinds), (3, []))
        third.ready()
        fourth = self.family.processes[3]
        fourth.ready()
        self.assertEqual(second.kinds, ["stop"])
        second.exit()
        self.assertIn("The processes were replaced", self.log())

    def roll(self, *old: int) -> None:
        """
        Let a replacement proceed.

        @param old: the processes that are replaced.
        """
        for number in old:
            self.family.processes[-1].ready()
            self.family.processes[number].exit()

    def test_queued(self) -> None:
        """
        A second request meanwhile is handled after the first, and a third together with it.
        """
        self.family.allReady()
        for _ in range(3):
            self.family.supervisor.roll()
        self.roll(0, 1, 2, 3)
        self.assertEqual(len(self.family.processes), 6)
        self.assertEqual(self.log().count("The processes were replaced"), 1)
        self.family.supervisor.roll()
        self.assertEqual(len(self.family.processes), 7)

    def test_fails(self) -> None:
        """
        If a new child ends before it is ready, the old ones stay.
        """
        first, second = self.family.allReady()
        self.family.supervisor.roll()
        third = self.family.processes[2]
        third.child.heard("failed", {"why": "a syntax error", "status": 64})
        third.exit(64)
        self.assertIn("The processes were not replaced", self.log())
        self.assertIn("a syntax error", self.log())
        self.family.advance(60)
        self.assertEqual((first.said, second.said), ([], []))
        self.assertEqual((len(self.family.processes), self.family.gaveUp), (3, []))
        self.family.supervisor.roll()
        self.assertEqual(len(self.family.processes), 4)

    def test_oldDies(self) -> None:
        """
        If the old child dies meanwhile, the new one is its replacement, and the others follow.
        """
        first, second = self.family.allReady()
        self.family.supervisor.roll()
        third = self.family.processes[2]
        first.crash()
        self.family.advance(5)
        self.assertEqual(len(self.family.processes), 3)
        third.ready()
        self.assertEqual(len(self.family.processes), 4)
        self.family.processes[3].ready()
        second.exit()
        self.assertIn("The processes were replaced", self.log())

    def test_gone(self) -> None:
        """
        A slot whose child is being replaced anyway counts as replaced when that is ready.
        """
        first, second = self.family.allReady()
        first.crash()
        self.family.supervisor.roll()
        self.family.advance(1)
        third = self.family.processes[2]
        self.assertEqual(len(self.family.processes), 3)
        third.ready()
        fourth = self.family.processes[3]
        fourth.ready()
        second.exit()
        self.assertIn("The processes were replaced", self.log())

    def test_noProcess(self) -> None:
        """
        If the system cannot start a process, the old ones stay, and nothing is retried.
        """
        first, _ = self.family.allReady()
        self.family.broken = True
        self.family.supervisor.roll()
        self.family.broken = False
        self.family.advance(60)
        self.assertEqual((len(self.family.processes), first.said), (2, []))

    def test_newDiesLater(self) -> None:
        """
        If a new child dies while the old one leaves, it is replaced, and the others follow.
        """
        first, _ = self.family.allReady()
        self.family.supervisor.roll()
        self.family.processes[2].ready()
        self.family.processes[2].crash()
        self.family.advance(1)
        self.assertEqual(len(self.family.processes), 4)
        self.family.processes[3].ready()
        first.exit()
        self.assertEqual(len(self.family.processes), 5)


class BalanceTests(SupervisorTestCase):
    """
    Tests for children with too many connections.
    """

    def told(self, **counts: int) -> None:
        """
        Let children report their numbers of connections.
        """
        for name, count in counts.items():
            number = int(name.removeprefix("p")) - 1
            self.family.processes[number].child.heard("connections", {"count": count})

    def test_paused(self) -> None:
        """
        A child with too many accepts none until it no longer has too many; the request is repeated.
        """
        first, second = self.family.allReady()
        self.told(p1=100)
        self.assertEqual((first.kinds, second.kinds), (["pause"], []))
        self.told(p1=101)
        self.assertEqual(first.kinds, ["pause"])
        self.family.advance(1)
        self.assertEqual(first.kinds, ["pause", "pause"])
        self.told(p2=90)
        self.assertEqual((first.kinds[2:], second.kinds), (["accept"], []))

    def test_starting(self) -> None:
        """
        A child that starts while others are ready accepts nothing until it is ready, too.
        """
        self.family.supervisor.startService()
        first, second = self.family.processes
        self.assertEqual((first.child.waits, second.child.waits), (False, False))
        first.ready()
        self.assertEqual((first.kinds, second.kinds), ([], ["pause"]))
        second.ready()
        self.assertEqual(second.kinds, ["pause", "accept"])
        first.crash()
        self.family.advance(2)
        third = self.family.processes[2]
        self.assertTrue(third.child.waits)
        self.assertEqual(set(third.kinds), {"pause"})
        third.ready()
        self.assertEqual(third.kinds[-1], "accept")

    def test_startingAlone(self) -> None:
        """
        If the others end meanwhile, the request is no longer repeated, so that the child accepts
        after a while.
        """
        first, second = self.family.allReady()
        first.crash()
        self.family.advance(1)
        second.crash()
        third = self.family.processes[2]
        third.said.clear()
        self.family.advance(1)
        self.assertEqual(third.said, [])

    def test_hangs(self) -> None:
        """
        A child that hangs does not count, since others must not wait for it.
        """
        first, second = self.family.allReady()
        second.answers = False
        self.told(p1=100, p2=1)
        self.family.advance(3.2)
        first.said.clear()
        self.family.advance(3)
        self.assertEqual(first.said, [])

    def test_alone(self) -> None:
        """
        While the others start, a single child accepts everything.
        """
        self.family.supervisor.startService()
        self.family.processes[0].ready()
        self.told(p1=1000)
        self.assertEqual(self.family.processes[0].said, [])
