"""
A child's part: what it receives from the parent, and what it reports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, LogEvent, Logger, eventAsText
from zope.interface import implementer

from ..listen import ListeningService
from ..signals import SignalService
from .sockets import Heir
from .spawning import PARENTS
from .sums import Families
from .wire import Wire

__all__ = ["ANSWER", "Member", "NoMetrics"]

#: How often the number of connections is reported, in seconds, if it changes.
COUNTING = 0.2

#: How long the parent may take to answer, in seconds.
ANSWER = 5.0


_log = Logger()


class NoMetrics(Exception):
    """
    The parent has not told the metrics.
    """


def _nothing() -> None:
    """
    Leave a signal to the parent.
    """


@implementer(ILogObserver)
class Member:
    """
    One of several processes.

    @ivar wire: what it tells the parent by.
    @ivar describe: makes its own metrics; L{None} if there are none.
    @ivar unready: called when it should say that it wants no more clients.
    """

    def __init__(self, reactor: Any, sockets: Sequence[int]) -> None:
        """
        @param sockets: the descriptors to accept from, in the order of the endpoints.
        """
        self.wire = Wire(self._heard, self._orphaned)
        self.describe: Callable[[], Families] | None = None
        self.unready: Callable[[], object] = _nothing
        self._reactor = reactor
        self._heir = Heir(sockets)
        self._count: Callable[[], int] = lambda: 0
        self._listening: ListeningService | None = None
        self._resume: IDelayedCall | None = None
        self._told = 0
        # How many lines of the log the parent was not told, since it does not read.
        self._unlogged = 0
        self._counting = LoopingCall(self._tellCount)
        self._counting.clock = reactor
        self._number = 0
        self._asked: dict[int, Deferred[Families]] = {}

    # For the service

    def makeEndpoint(self, reactor: Any, description: str) -> Any:
        """
        See L{Heir.makeEndpoint}.
        """
        return self._heir.makeEndpoint(reactor, description)

    def signals(self) -> IService:
        """
        Make what handles the signals.
        """
        return SignalService(self._reactor, dict.fromkeys(PARENTS, _nothing))

    def balance(self, listening: ListeningService, count: Callable[[], int]) -> None:
        """
        Tell how many connections there are, and accept nothing for a while when the parent says so.

        @param listening: the ports.
        @param count: counts the connections.
        """
        self._listening = listening
        self._count = count
        self._counting.start(COUNTING, now=False).addErrback(
            lambda failure: _log.failure("The count of connections has stopped", failure)
        )

    def _tellCount(self) -> None:
        count = self._count()
        if count != self._told and self.wire.say("connections", {"count": count}, needed=False):
            self._told = count

    def gather(self) -> Deferred[Families]:
        """
        Ask for the metrics of all processes.

        @return: fails with L{NoMetrics} if there is no answer.
        """
        if not self.wire.connected:
            return fail(NoMetrics())
        self._number += 1
        number = self._number
        answer: Deferred[Families] = Deferred()
        self._asked[number] = answer
        self.wire.say("gather", {"number": number})

        def late(result: object, seconds: float) -> NoReturn:
            self._asked.pop(number, None)
            raise NoMetrics

        return answer.addTimeout(ANSWER, self._reactor, late)

    def tellMetrics(self, number: int) -> None:
        """
        Tell our own metrics.

        @param number: of the round in which we were asked; 0 for none.
        """
        families = [] if self.describe is None else self.describe()
        self.wire.say("metrics", {"round": number, "families": families})

    # ILogObserver

    def __call__(self, event: LogEvent) -> None:
        """
        Send an event of the log to the parent, which writes it.
        """
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        level = event.get("log_level")
        if self._unlogged and self._tellLog(
            "warn", __name__, f"{self._unlogged} lines are missing"
        ):
            self._unlogged = 0
        if not self._tellLog(
            "info" if level is None else level.name, event.get("log_namespace", ""), text
        ):
            self._unlogged += 1

    def _tellLog(self, level: str, namespace: str, text: str) -> bool:
        fields = {"level": level, "namespace": namespace, "text": text}
        return self.wire.say("log", fields, needed=False)

    # What the parent says

    def _heard(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "ping":
            self.wire.say("pong")
        elif kind == "collect":
            self.tellMetrics(fields["round"])
        elif kind == "sum":
            answer = self._asked.pop(fields["number"], None)
            if answer is not None:
                answer.callback(fields["families"])
        elif kind == "pause":
            self.pause(fields["seconds"])
        elif kind == "accept":
            if self._resume is not None:
                self._resume.cancel()
                self._accept()
        elif kind == "unready":
            self.unready()
        elif kind == "stop":
            self._stop()

    def _stop(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # A signal came first.
            pass

    def _orphaned(self) -> None:
        """
        The parent has ended.
        """
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.errback(NoMetrics())
        self._stop()

    def pause(self, seconds: float) -> None:
        """
        Accept nothing, until the parent says so, or says nothing for some time.
        """
        if self._resume is not None:
            self._resume.reset(seconds)
            return
        for port in self._ports():
            port.stopReading()
        self._resume = self._reactor.callLater(seconds, self._accept)

    def _accept(self) -> None:
        self._resume = None
        for port in self._ports():
            port.startReading()

    def _ports(self) -> Sequence[Any]:
        return () if self._listening is None else self._listening.ports
