"""
One connection to a Redis server.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hiredis import ProtocolError, Reader, pack_command
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from .errors import Unanswered

__all__ = ["Command", "Connection"]

#: A command: its name and its arguments.
Command = tuple[Any, ...]


class _Request:
    """
    Commands that were sent together.

    @ivar missing: how many replies are still to come.
    @ivar replies: those that have come.
    @ivar sent: when they were sent, in the seconds of the clock.
    @ivar patience: for how many seconds the server may be silent.
    """

    __slots__ = ("answered", "missing", "patience", "replies", "sent")

    def __init__(self, missing: int, sent: float, patience: float) -> None:
        self.missing = missing
        self.sent = sent
        self.patience = patience
        self.replies: list[Any] = []
        self.answered: Deferred[list[Any]] = Deferred()


class Connection(Protocol):
    """
    One connection (RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/).

    Replies come in the order of the commands.  A server that is frozen closes nothing, so the
    connection is aborted when a reply is missing and nothing arrives for too long.  A large reply
    may take as long as it needs.

    @ivar lost: fires with the reason when the connection is lost.
    """

    transport: Any

    def __init__(self, clock: IReactorTime) -> None:
        self.lost: Deferred[str] = Deferred()
        self._clock = clock
        self._reader = Reader()
        self._requests: deque[_Request] = deque()
        self._call: IDelayedCall | None = None
        # When something arrived last.
        self._heard = clock.seconds()
        # Why it is aborted, or was lost.
        self._why: str | None = None

    @property
    def isOver(self) -> bool:
        """
        Whether nothing can be sent any more.
        """
        return self._why is not None

    def ask(self, seconds: float, *commands: Command) -> Deferred[list[Any]]:
        """
        Send some commands together.

        @param seconds: for how long the server may be silent before the last reply has come.
        @return: fires with the replies, in which errors are C{ReplyError}s; fails with
            L{Unanswered} if the connection is lost.
        @raise UnicodeEncodeError: if an argument is not valid text: nothing is sent then.
        """
        if self._why is not None:
            return fail(Unanswered(False, self._why))
        # First: if it fails, no reply may be expected.
        data = b"".join([pack_command(command) for command in commands])
        request = _Request(len(commands), self._clock.seconds(), seconds)
        self._requests.append(request)
        if self._call is None:
            self._watch()
        self.transport.write(data)
        return request.answered

    def abort(self, why: str) -> None:
        """
        Close the connection at once.
        """
        if self._why is None:
            self._why = why
            self.transport.abortConnection()

    # Protocol

    def connectionMade(self) -> None:
        """
        See L{Protocol}.
        """
        # Each command waits for its reply.  Only TCP delays small packets; but Twisted 24.3 has this
        # method for UNIX sockets, too, and there it fails.
        if hasattr(self.transport, "setTcpNoDelay"):
            if not isinstance(self.transport.getPeer(), UNIXAddress):
                self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{Protocol}.
        """
        self._heard = self._clock.seconds()
        self._reader.feed(data)
        while True:
            try:
                reply = self._reader.gets()
            except ProtocolError as e:
                self.abort(f"this is not a Redis server: {e}")
                return
            if reply is False:
                return
            if not self._requests:
                # Of one that was aborted, everything was given up.
                self.abort("the server sent a reply without a request")
                return
            request = self._requests[0]
            request.replies.append(reply)
            request.missing -= 1
            if not request.missing:
                self._requests.popleft()
                request.answered.callback(request.replies)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{Protocol}.
        """
        if self._why is None:
            if reason.check(ConnectionDone):
                self._why = "the server closed the connection"
            else:
                # Twisted's words end with a full stop, and are put into sentences.
                self._why = f"the connection was lost: {reason.getErrorMessage().rstrip('.')}"
        if self._call is not None:
            self._call.cancel()
            self._call = None
        requests, self._requests = self._requests, deque()
        for request in requests:
            request.answered.errback(Unanswered(True, self._why))
        self.lost.callback(self._why)

    # Deadlines

    def _watch(self) -> None:
        """
        Look again when the server has been silent for too long.
        """
        left = self._patience() - self._clock.seconds()
        self._call = self._clock.callLater(max(0.0, left), self._look)

    def _patience(self) -> float:
        """
        @return: until when something must have arrived, in the seconds of the clock.
        """
        request = self._requests[0]
        return max(request.sent, self._heard) + request.patience

    def _look(self) -> None:
        self._call = None
        if not self._requests:
            return
        if self._patience() <= self._clock.seconds():
            self.abort("the server does not answer")
        else:
            self._watch()
