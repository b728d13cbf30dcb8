"""
What the parent and a child tell each other, over a pair of sockets.

A message is a line of JSON: a list of its kind and an object with its fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["LONGEST_MESSAGE", "PROTOCOL", "Hears", "Wire", "readMessage", "writeMessage"]

#: Which messages there are, and what they mean.  It increases with each change: when the package is
#: upgraded under a parent, the children that it starts from then on are of the new version.
PROTOCOL = 1

#: How long a message may be, in bytes: far longer than any that we send.
LONGEST_MESSAGE = 2**25

Hears = Callable[[str, "dict[str, Any]"], object]


def writeMessage(kind: str, fields: dict[str, Any]) -> bytes:
    """
    @return: a message, as it is sent.
    """
    return json.dumps([kind, fields], separators=(",", ":")).encode("ascii") + b"\n"


def readMessage(line: bytes) -> tuple[str, dict[str, Any]]:
    """
    Read a message.

    @param line: the message, without its line end.
    """
    kind, fields = json.loads(line)
    return kind, fields


class Wire(protocol.Protocol):
    """
    One end of the connection.
    """

    transport: Any

    def __init__(self, hears: Hears, lost: Callable[[], object]) -> None:
        """
        @param hears: called with the kind and the fields of each message.
        @param lost: called when the other end is closed.
        """
        self._hears = hears
        self._lost = lost
        self._pieces: list[bytes] = []
        self._size = 0
        self._unsent = False
        self._closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Begin: learn when the other side does not read.
        """
        self.transport.registerProducer(self, True)

    def say(self, kind: str, fields: dict[str, Any] | None = None, needed: bool = True) -> bool:
        """
        Send a message.

        @param needed: whether it has to be sent also if much is waiting already.
        @return: whether it is on its way.
        """
        if not self.connected or (self._unsent and not needed):
            return False
        self.transport.write(writeMessage(kind, {} if fields is None else fields))
        return True

    def close(self) -> Deferred[None]:
        """
        Close the connection, when everything has been sent.

        @return: a L{Deferred} that fires when it is closed.
        """
        if self.connected:
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        elif not self._closed.called:
            self._closed.callback(None)
        return self._closed

    # IPushProducer

    def pauseProducing(self) -> None:
        """
        The other side does not read.
        """
        self._unsent = True

    def resumeProducing(self) -> None:
        """
        The other side has read everything.
        """
        self._unsent = False

    def stopProducing(self) -> None:
        """
        The connection is lost.
        """

    # IProtocol

    def dataReceived(self, data: bytes) -> None:
        """
        Take a piece of what the other side has sent.
        """
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._pieces.append(line)
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._hears(*readMessage(whole))
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
            if self._size > LONGEST_MESSAGE:
                self.transport.abortConnection()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """
        The other end is closed.
        """
        self.connected = 0
        self._pieces.clear()
        self._lost()
        if not self._closed.called:
            self._closed.callback(None)
