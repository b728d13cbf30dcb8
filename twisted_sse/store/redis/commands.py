"""
The commands that are answered at once, over a connection of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from hiredis import ReplyError
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from .connection import Command, Connection
from .errors import Unanswered, isPassing, kindOf, movedTo, said
from .link import BACKOFF, Link
from .script import SCRIPT

__all__ = ["Commands"]


class _Request:
    """
    Commands that belong together.

    @ivar number: its place among all requests.
    @ivar isRepeatable: whether it does no harm to carry them out twice.
    @ivar isOrdered: whether they must be carried out before all that are asked later.
    @ivar deadline: until when they must be answered, in the seconds of the clock.
    @ivar wasSent: whether they may have been carried out.
    """

    __slots__ = (
        "answered",
        "commands",
        "deadline",
        "isOrdered",
        "isRepeatable",
        "number",
        "wasSent",
    )

    def __init__(
        self,
        number: int,
        commands: tuple[Command, ...],
        isRepeatable: bool,
        isOrdered: bool,
        deadline: float,
    ) -> None:
        self.number = number
        self.commands = commands
        self.isRepeatable = isRepeatable
        self.isOrdered = isOrdered
        self.deadline = deadline
        self.wasSent = False
        self.answered: Deferred[list[Any]] = Deferred()


class Commands:
    """
    Sends commands, in order, as soon as there is a connection.  Each has a deadline.

    What was not carried out is sent again, and what may have been only if that does no harm.

    @ivar late: why something was not answered in time; L{None} since something was again.
    """

    def __init__(
        self,
        reactor: Any,
        timeout: float,
        makeLink: Callable[..., Link],
        changed: Callable[[], object],
    ) -> None:
        """
        @param timeout: how many seconds commands may take, those for connecting included.
        @param makeLink: makes the link of two callbacks, C{up} and C{down}.
        @param changed: called when there is a connection, and when there is none any more.
        """
        self.link = makeLink(self._up, lambda why: changed())
        self.late: str | None = None
        self._changed = changed
        self._reactor = reactor
        self._timeout = timeout
        self._count = 0
        # What was not answered yet, by number: the oldest first, which is due first.
        self._requests: dict[int, _Request] = {}
        # The numbers of those that are to be sent, as a heap; and of those that were sent.
        self._waiting: list[int] = []
        self._sent: set[int] = set()
        # What the server has refused to do now, with its replies; it is not decided what becomes of
        # it before everything that was sent is answered.
        self._refused: list[tuple[_Request, list[Any]]] = []
        # The last request that was carried out.
        self._done = 0
        # How often it has refused since it has done something, and why.
        self._refusals = 0
        self._refusal: str | None = None
        self._moves = 0
        # When the connection was made.
        self._since = 0.0
        self._deadline: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._isStopped = False

    def ask(
        self, *commands: Command, isRepeatable: bool = False, isOrdered: bool = False
    ) -> Deferred[list[Any]]:
        """
        Send commands together, after all others.

        @param isRepeatable: whether it does no harm to carry them out twice.
        @param isOrdered: whether they must not be carried out after any that are asked later.
        @return: fires with the replies; errors are C{ReplyError}s among them.  Fails with
            L{Unanswered}.
        """
        if self._isStopped:
            return fail(Unanswered(False, "the store was closed"))
        self._count += 1
        deadline = self._reactor.seconds() + self._timeout
        request = _Request(self._count, commands, isRepeatable, isOrdered, deadline)
        self._requests[request.number] = request
        if self._deadline is None:
            self._watch(request)
        heappush(self._waiting, request.number)
        self._flush()
        return request.answered

    def stop(self) -> None:
        """
        Disconnect permanently: pending requests fail.
        """
        self._isStopped = True
        for call in (self._deadline, self._retry):
            if call is not None:
                call.cancel()
        self._deadline = self._retry = None
        for number in list(self._requests):
            self._fail(number, "the store was closed")
        self.link.stop()

    def _up(self, connection: Connection) -> None:
        self._since = self._reactor.seconds()
        self.late = None
        self.link.confirm()
        # First, so that nothing has to be sent again, after what was asked later.
        connection.ask(self._timeout, ("SCRIPT", "LOAD", SCRIPT)).addErrback(
            lambda failure: failure.trap(Unanswered) and None
        )
        self._flush()
        self._changed()

    def _flush(self) -> None:
        """
        Send the queued commands.
        """
        while self._waiting and not self._refused and self._retry is None:
            connection = self.link.connection
            if connection is None or connection.isOver:
                return
            # It may have been too late.
            request = self._requests.get(heappop(self._waiting))
            if request is not None:
                self._send(connection, request)

    def _send(self, connection: Connection, request: _Request) -> None:
        request.wasSent = True
        self._sent.add(request.number)
        asking = connection.ask(self._timeout, *request.commands)
        asking.addCallbacks(
            self._answered, self._lost, callbackArgs=(request,), errbackArgs=(request,)
        )

    def _answered(self, replies: list[Any], request: _Request) -> None:
        self._sent.discard(request.number)
        if any(map(isPassing, replies)) and not self._isStopped:
            # Nothing was done: in a transaction, an error at its beginning prevents all of it.
            request.wasSent = False
            self._refused.append((request, replies))
        else:
            self._done = max(self._done, request.number)
            self._moves = self._refusals = 0
            self._refusal = None
            self._setLate(None)
            self._answer(request, replies)
        self._decide()

    def _lost(self, failure: Failure, request: _Request) -> None:
        self._sent.discard(request.number)
        error: Any = failure.value
        if not error.wasSent:
            request.wasSent = False
        if (request.isRepeatable or not request.wasSent) and not self._isStopped:
            heappush(self._waiting, request.number)
        else:
            self._fail(request.number, str(error))
        self._decide()

    # Refusals

    def _decide(self) -> None:
        """
        If everything that was sent is answered, go on with what was refused.
        """
        if self._sent or not self._refused or self._isStopped:
            return
        refused, self._refused = self._refused, []
        _, replies = refused[-1]
        error = next(filter(isPassing, replies))
        isOver = not self._canRetry(error)
        for request, replies in refused:
            if isOver or (request.isOrdered and request.number < self._done):
                # Or what was asked later has been done, and this must not come after it.
                self._answer(request, replies)
            else:
                heappush(self._waiting, request.number)
        self._flush()

    def _canRetry(self, error: ReplyError) -> bool:
        """
        @return: whether what was refused should be tried again.  It waits until there is another
            connection, or until some time has passed.
        """
        moved = movedTo(error)
        if moved is not None:
            # The second time, each key has another server.
            self._moves = 1 - self._moves
            if self._moves:
                self.link.move(*moved)
            return bool(self._moves)
        if kindOf(error) == "READONLY":
            # It is a replica.  If it was one when we connected, there is no better one.
            if self._reactor.seconds() - self._since < self._timeout:
                return False
            self.link.renew(said(error))
            return True
        self._refusals += 1
        self._refusal = said(error)
        self._retry = self._reactor.callLater(
            BACKOFF.afterFailure(self._refusals, None), self._again
        )
        return True

    def _again(self) -> None:
        self._retry = None
        self._flush()

    # Deadlines

    def _watch(self, request: _Request) -> None:
        left = max(0.0, request.deadline - self._reactor.seconds())
        self._deadline = self._reactor.callLater(left, self._look)

    def _look(self) -> None:
        self._deadline = None
        now = self._reactor.seconds()
        why = self.link.why or self._refusal or "the server does not answer"
        late = []
        for request in self._requests.values():
            if request.deadline > now:
                self._watch(request)
                break
            late.append(request.number)
        if late:
            # First, so that it is reported only once.
            self._setLate(why)
        for number in late:
            self._fail(number, why)
        # A server may be away for days, while others go on asking.  The oldest is due first.
        while self._waiting and self._waiting[0] not in self._requests:
            heappop(self._waiting)

    def _setLate(self, why: str | None) -> None:
        if self.late != why:
            self.late = why
            self._changed()

    # Answers: what comes after the deadline is ignored

    def _answer(self, request: _Request, replies: list[Any]) -> None:
        if self._requests.pop(request.number, None) is not None:
            request.answered.callback(replies)

    def _fail(self, number: int, why: str) -> None:
        request = self._requests.pop(number, None)
        if request is not None:
            request.answered.errback(Unanswered(request.wasSent, why))
