"""
The parent's part: it starts the children, watches them, and replaces those that end or hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, LogLevel

from .balance import surplus

__all__ = ["PAUSE", "Child", "Handle", "State", "Supervisor"]

#: How often each child is asked whether it lives, in seconds, and how often in vain before it is
#: killed.
INTERVAL = 1.0
MOST_MISSED = 10

#: How often a child that has not begun yet may be asked in vain: what it imports may take long.
MOST_MISSED_AT_START = 120

#: A child that has lived for this many seconds is replaced at once when it ends.
GOOD_LIFE = 5.0

#: After how many seconds any other is replaced: at first, and at most.  The time doubles each time.
SHORTEST_WAIT = 0.1
LONGEST_WAIT = 30.0

#: The same for children that were ready, so that they served at least some clients.
LONGEST_WAIT_READY = 1.0

#: How much longer than a drain the end of a child may take, in seconds: its store is closed then.
LONGEST_CLOSE = 10.0

#: For how many seconds a child with too many connections accepts none, unless it is asked again: we
#: may have ended by then.
PAUSE = 2.5 * INTERVAL

#: A child that was asked so often in vain may hang: the others do not wait for it.
MISSED_BY_CHANCE = 2

_log = Logger()


class Handle(Protocol):
    """
    The process of a child, and the wire to it.

    @ivar pid: the number of the process.
    """

    pid: int

    def say(self, kind: str, fields: dict[str, Any] | None = None, needed: bool = True) -> None:
        """
        Tell it something.  After its end that does nothing.
        """

    def kill(self) -> None:
        """
        End it at once.  After its end that does nothing.
        """


class State(Enum):
    """
    The states of a child.
    """

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"


class Child:
    """
    A child.

    @ivar number: its number, which no other child ever has.
    @ivar place: where it is in C{--processes}, from 1.
    @ivar state: what it does.
    @ivar since: when it was started.
    @ivar missed: how often it was asked in vain whether it lives.
    @ivar connections: how many clients it has, as it has told last.
    @ivar isPaused: whether it was asked to accept nothing for a while.
    @ivar waits: whether it is to accept nothing before it is ready, since others are.
    @ivar why: why it cannot start, as it says; L{None} if it has not said so.
    @ivar status: the exit status for that.
    @ivar wasReady: whether it has ever been ready.
    @ivar kill: kills it if it does not leave in time; L{None} if it need not.
    @ivar isDoomed: whether it was killed.
    @ivar handle: its process; L{None} while that is started.
    """

    def __init__(self, supervisor: Supervisor, number: int, place: int, since: float) -> None:
        self.number = number
        self.place = place
        self.state = State.STARTING
        self.since = since
        self.missed = 0
        self.connections = 0
        self.isPaused = False
        self.waits = False
        self.why: str | None = None
        self.status = 0
        self.wasReady = False
        self.isDoomed = False
        self.kill: IDelayedCall | None = None
        self.handle: Handle | None = None
        self._supervisor = supervisor

    def __str__(self) -> str:
        pid = "" if self.handle is None else f" (pid {self.handle.pid})"
        return f"process {self.place}{pid}"

    def say(self, kind: str, fields: dict[str, Any] | None = None, needed: bool = True) -> None:
        """
        Tell it something.
        """
        if self.handle is not None:
            self.handle.say(kind, fields, needed)

    # What its handle calls

    def heard(self, kind: str, fields: dict[str, Any]) -> None:
        """
        It has said something.
        """
        self.missed = 0
        if kind == "pong":
            # That it answers is enough.
            return
        if kind == "connections":
            self.connections = fields["count"]
            self._supervisor.balance()
        elif kind == "log":
            namespace = fields["namespace"]
            # As Twisted writes what its old log says.
            system = {"log_system": "-"} if namespace == "log_legacy" else {}
            Logger(namespace=namespace).emit(
                LogLevel.lookupByName(fields["level"]),
                "{child}: {text}",
                child=str(self),
                text=fields["text"],
                **system,
            )
        elif kind == "failed":
            self.why, self.status = fields["why"], fields["status"]
        elif kind == "ready":
            self._supervisor.becameReady(self)
        else:
            self._supervisor.heard(self, kind, fields)

    def ended(self, how: str, status: int | None) -> None:
        """
        It has ended, and everything that it has said was heard.

        @param status: its exit status; L{None} if a signal has ended it.
        """
        self._supervisor.hasEnded(self, how, status)


class _Place:
    """
    The place of a child.

    @ivar current: who is there; L{None} between two.
    @ivar next: who is about to take it, when it is ready; L{None} for none.
    @ivar restart: starts the next child after a while; L{None} if nothing does.
    @ivar early: how many children in a row have died early.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.current: Child | None = None
        self.next: Child | None = None
        self.restart: IDelayedCall | None = None
        self.early = 0

    @property
    def isServed(self) -> bool:
        """
        Whether its child is ready.
        """
        return self.current is not None and self.current.state is State.READY


class Supervisor(Service):
    """
    Keeps a number of children running.

    @ivar replaced: how many children have ended that should not have.
    @ivar heard: called with a child, and the kind and fields of a message that is not for us.
    @ivar lost: called with each child that has ended.
    @ivar begun: called when the first child is ready.
    """

    def __init__(
        self,
        reactor: Any,
        count: int,
        start: Callable[[Child], Handle],
        drain: float,
        gaveUp: Callable[[str, int], object],
    ) -> None:
        """
        @param count: how many children.
        @param start: starts the process of a child; may raise C{OSError}.
        @param drain: how many seconds the streams of a child have to end.
        @param gaveUp: called with a reason and an exit status, if no child can be started.
        """
        self.replaced = 0
        self.heard: Callable[[Child, str, dict[str, Any]], object] = lambda child, kind, fields: (
            None
        )
        self.lost: Callable[[Child], object] = lambda child: None
        self.begun: Callable[[], object] = lambda: None
        self._reactor = reactor
        self._start = start
        self._drain = drain
        self._gaveUp = gaveUp
        self._number = 0
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._leaving: list[Child] = []
        self._hasBeenReady = False
        self._isUnready = False
        # The places whose children are still to be replaced, the one that is being replaced first.
        self._roll: list[_Place] = []
        self._rollAgain = False
        self._stopped: Deferred[None] | None = None
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor

    def children(self) -> Iterator[Child]:
        """
        Find all children that have not ended.
        """
        for place in self._places:
            if place.current is not None:
                yield place.current
            if place.next is not None:
                yield place.next
        yield from self._leaving

    def startService(self) -> None:
        """
        Start the children.
        """
        super().startService()  # type: ignore[no-untyped-call]
        for place in self._places:
            place.current = self._begin(place)
        self._ticks.start(INTERVAL, now=False).addErrback(
            lambda failure: _log.failure("The supervision of the processes has stopped", failure)
        )

    def unready(self) -> None:
        """
        Let the children say that they want no more clients; their replacements say so, too.
        """
        self._isUnready = True
        for child in self.children():
            child.say("unready")

    def stopService(self) -> Deferred[None]:
        """
        Stop the children, all together.

        @return: a L{Deferred} that fires when all have ended.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._roll = []
        if self._ticks.running:
            self._ticks.stop()
        for place in self._places:
            if place.restart is not None:
                place.restart.cancel()
                place.restart = None
            for child in (place.current, place.next):
                if child is not None:
                    self._leave(child)
            place.current = place.next = None
        if not self._leaving:
            return succeed(None)
        self._stopped = Deferred()
        return self._stopped

    def roll(self) -> None:
        """
        Replace all children, one after another: a new one is ready before the old one leaves.  If
        that is going on already, it is done once more after that.
        """
        if not self.running:
            return
        if self._roll:
            self._rollAgain = True
            _log.info("The processes will be replaced once more after this")
            return
        _log.info("Replacing the processes, one after another")
        self._roll = list(self._places)
        self._rollOn()

    # Children begin and end

    def _begin(self, place: _Place) -> Child | None:
        """
        Start a child.

        @return: L{None} if that is not possible now: it is tried again.
        """
        self._number += 1
        child = Child(self, self._number, place.number, self._reactor.seconds())
        child.waits = child.isPaused = any(each.state is State.READY for each in self.children())
        try:
            child.handle = self._start(child)
        except OSError as e:
            self._restartLater(
                place, f"Process {place.number} cannot be started: {e.strerror}", LONGEST_WAIT
            )
            return None
        return child

    def _restart(self, place: _Place) -> None:
        place.restart = None
        place.current = self._begin(place)

    def _restartLater(self, place: _Place, why: str, longest: float) -> None:
        wait = min(SHORTEST_WAIT * 2.0**place.early, longest)
        # More would only be a large number.
        place.early = min(place.early + 1, 20)
        _log.error("{why}; starting another in {wait:.1f} s", why=why, wait=wait)
        place.restart = self._reactor.callLater(wait, self._restart, place)

    def becameReady(self, child: Child) -> None:
        """
        A child serves clients from now on.
        """
        if child.state is not State.STARTING:
            return
        child.state = State.READY
        child.wasReady = True
        if not self._hasBeenReady:
            self._hasBeenReady = True
            self.begun()
        if self._isUnready:
            child.say("unready")
        self.balance()
        place = self._places[child.place - 1]
        if place.next is child:
            old, place.current, place.next = place.current, child, None
            if old is not None:
                self._leave(old)
                return
        if self._roll and self._roll[0] is place:
            self._rolled()

    def hasEnded(self, child: Child, how: str, status: int | None) -> None:
        """
        A child has ended.
        """
        if child.kill is not None:
            if child.kill.active():
                child.kill.cancel()
            child.kill = None
        place = self._places[child.place - 1]
        if child in self._leaving:
            self._leaving.remove(child)
            if self._stopped is not None:
                if not self._leaving:
                    self._stopped.callback(None)
            elif self._roll and self._roll[0] is place and place.isServed:
                self._rolled()
        elif place.next is child:
            place.next = None
            self._roll, self._rollAgain = [], False
            _log.error(
                "The processes were not replaced: the new {child} has ended: {why}",
                child=str(child),
                why=child.why or how,
            )
        else:
            self._died(place, child, how, status)
        self.lost(child)

    def _died(self, place: _Place, child: Child, how: str, status: int | None) -> None:
        """
        A child has ended that should not have.
        """
        self.replaced += 1
        place.current, place.next = place.next, None
        if not self._hasBeenReady and (child.why is not None or status):
            self._gaveUp(child.why or f"{child} has ended: {how}", child.status or status or 1)
        elif place.current is not None:
            # The one that was to take its place anyway.
            _log.error("{child} has ended: {how}", child=str(child), how=how)
        elif child.why is None and self._reactor.seconds() - child.since >= GOOD_LIFE:
            _log.error("{child} has ended: {how}; starting another", child=str(child), how=how)
            place.early = 0
            self._restart(place)
        else:
            longest = LONGEST_WAIT_READY if child.wasReady else LONGEST_WAIT
            self._restartLater(place, f"{child} has ended: {child.why or how}", longest)

    def _leave(self, child: Child) -> None:
        """
        Let a child leave, and kill it if it does not.
        """
        self._leaving.append(child)
        child.state = State.LEAVING
        child.say("stop")
        child.kill = self._reactor.callLater(
            self._drain + LONGEST_CLOSE, self._kill, child, "has not ended in time"
        )

    def _kill(self, child: Child, why: str) -> None:
        child.isDoomed = True
        _log.error("Killing {child}: it {why}", child=str(child), why=why)
        if child.handle is not None:
            child.handle.kill()

    # Rolling

    def _rollOn(self) -> None:
        """
        Replace the child at the next place.
        """
        place = self._roll[0]
        if place.current is None:
            # What begins soon is new: as soon as it is ready, this is done.
            return
        if place.current.state is State.STARTING:
            # It serves no client yet, and may have read what has changed since.
            self._leave(place.current)
            place.current = self._begin(place)
            return
        place.next = self._begin(place)
        if place.next is None and place.restart is not None:
            place.restart.cancel()
            place.restart = None
            self._roll, self._rollAgain = [], False

    def _rolled(self) -> None:
        """
        The child at the first of these places was replaced.
        """
        self._roll.pop(0)
        if not self._roll and self._rollAgain:
            self._rollAgain = False
            self._roll = list(self._places)
        if self._roll:
            self._rollOn()
        else:
            _log.info("The processes were replaced")

    # Watching

    def _tick(self) -> None:
        """
        Ask each child whether it lives.
        """
        for child in list(self.children()):
            child.missed += 1
            most = MOST_MISSED_AT_START if child.state is State.STARTING else MOST_MISSED
            if child.missed > most and not child.isDoomed:
                self._kill(child, f"has not answered for {most * INTERVAL:.0f} s")
            child.say("ping", needed=False)
        for child in self.children():
            # It is asked again.
            child.isPaused = False
        self.balance()

    def balance(self) -> None:
        """
        Let the children that have too many connections, or are not ready while others are, accept
        none for a while, and the others all.
        """
        counted = {
            child: child.connections
            for child in self.children()
            if child.state is State.READY and child.missed <= MISSED_BY_CHANCE
        }
        starting = [child for child in self.children() if child.state is State.STARTING]
        full = surplus(counted) | (set(starting) if counted else set())
        for child in [*counted, *starting]:
            if child in full and not child.isPaused:
                child.say("pause", {"seconds": PAUSE}, needed=False)
            elif child.isPaused and child not in full:
                child.say("accept")
            child.isPaused = child in full
