"""
The commands that are answered at once, over a connection of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hiredis import ReplyError
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from .connection import Command, Connection
from .errors import Unanswered, isPassing, movedTo
from .link import Link

__all__ = ["Commands"]


class _Request:
    """
    Commands that belong together.

    @ivar number: its place among all requests.
    @ivar isRepeatable: whether it does no harm to carry them out twice.
    @ivar deadline: until when they must be answered, in the seconds of the clock.
    @ivar wasSent: whether they may have been carried out.
    """

    __slots__ = ("answered", "commands", "deadline", "isRepeatable", "number", "wasSent")

    def __init__(
        self, number: int, commands: tuple[Command, ...], isRepeatable: bool, deadline: float
    ) -> None:
        self.number = number
        self.commands = commands
        self.isRepeatable = isRepeatable
        self.deadline = deadline
        self.wasSent = False
        self.answered: Deferred[list[Any]] = Deferred()


class Commands:
    """
    Sends commands, in order, as soon as there is a connection.  Each has a deadline.

    What was not carried out is sent again over the next connection, and what may have been only if
    that does no harm.
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
        self._changed = changed
        self._reactor = reactor
        self._timeout = timeout
        self._count = 0
        # What is to be sent, in order; and what was sent.
        self._waiting: list[_Request] = []
        self._sent: set[_Request] = set()
        self._call: IDelayedCall | None = None
        self._moves = 0
        self._isStopped = False

    def ask(self, *commands: Command, isRepeatable: bool = False) -> Deferred[list[Any]]:
        """
        Send commands together, after all others.

        @param isRepeatable: whether it does no harm to carry them out twice.
        @return: fires with the replies; errors are C{ReplyError}s among them.  Fails with
            L{Unanswered}.
        """
        if self._isStopped:
            return fail(Unanswered(False, "the store was closed"))
        self._count += 1
        deadline = self._reactor.seconds() + self._timeout
        request = _Request(self._count, commands, isRepeatable, deadline)
        connection = self.link.connection
        if connection is None or self._waiting:
            self._wait(request)
        else:
            self._send(connection, request)
        return request.answered

    def stop(self) -> None:
        """
        Disconnect, for good: what was asked fails.
        """
        self._isStopped = True
        self.link.stop()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        requests, self._waiting = self._waiting, []
        for request in requests:
            self._fail(request, "the store was closed")

    def _send(self, connection: Connection, request: _Request) -> None:
        request.wasSent = True
        self._sent.add(request)
        left = max(0.0, request.deadline - self._reactor.seconds())
        asking = connection.ask(left, *request.commands)
        asking.addCallbacks(
            self._answered, self._lost, callbackArgs=(request,), errbackArgs=(request,)
        )

    def _answered(self, replies: list[Any], request: _Request) -> None:
        self._sent.discard(request)
        passing = [reply for reply in replies if isPassing(reply)]
        if not passing or self._isStopped:
            self._moves = 0
            request.answered.callback(replies)
            return
        # Nothing was done: in a transaction, an error at its beginning prevents all of it.
        request.wasSent = False
        moved = movedTo(passing[0])
        if moved is not None and self._moves:
            # Each key has another server.
            request.answered.callback(
                [ReplyError("CROSSSLOT the keys of the store are on several servers")]
            )
            return
        self._wait(request)
        if moved is not None:
            self._moves += 1
            self.link.move(*moved)
        elif self.link.connection is not None:
            self.link.connection.abort(str(passing[0]))

    def _lost(self, failure: Failure, request: _Request) -> None:
        self._sent.discard(request)
        error: Any = failure.value
        if not error.wasSent:
            request.wasSent = False
        if (request.isRepeatable or not request.wasSent) and not self._isStopped:
            self._wait(request)
        else:
            self._fail(request, str(error))

    def _up(self, connection: Connection) -> None:
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._send(connection, request)
        self._changed()

    # Deadlines of what waits

    def _wait(self, request: _Request) -> None:
        self._waiting.append(request)
        # What is sent again comes first.
        self._waiting.sort(key=lambda each: each.number)
        if self._call is None:
            self._watch()

    def _watch(self) -> None:
        due = min(request.deadline for request in self._waiting)
        left = max(0.0, due - self._reactor.seconds())
        self._call = self._reactor.callLater(left, self._look)

    def _look(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        late = [request for request in self._waiting if request.deadline <= now]
        self._waiting = [request for request in self._waiting if request.deadline > now]
        if self._waiting:
            self._watch()
        for request in late:
            self._fail(request, self.link.why or "the server does not answer")

    def _fail(self, request: _Request, why: str) -> None:
        request.answered.errback(Unanswered(request.wasSent, why))
