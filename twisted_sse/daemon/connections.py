"""
Connections that have not sent a whole request: how long they may wait, and how many there may be.

A connection costs a descriptor, and the system's limit on them is the first thing that runs out.  So
a client that sends its request a byte at a time, dribbles through a TLS handshake, or keeps an HTTP/2
connection without a stream may do so for a while, but not keep others out: where there are too many,
the one that has waited longest is closed, and the newest gets its turn.

Open streams are not limited here, and nor are connections of trusted proxies, which have many clients
behind one address.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..server.address import Networks, isIn
from ..stream.transport import connectionOf, heldBy, streamsOf

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.web.server import Request

__all__ = ["Connection", "Connections"]

#: How many descriptors are kept free for the daemon's own files, such as logs that are rotated, files
#: that are followed and files of passwords: as many as a command needs while it starts, twice.
KEPT = 16

#: How many more are kept free for connections.  One that is closed gives its descriptor back in the
#: next turn of the reactor only.
SPARE = 8

#: How many connections may be accepted before the descriptors are counted again, and for how many
#: seconds a count is good: others open files, too.
COUNTED = 64
RECOUNT = 0.5

#: For how many seconds nothing is accepted if there is no descriptor and nothing to close.
PAUSE = 0.5

#: For how many seconds a connection may take the rest of an answer when it is closed.
LEAVING = 15

#: After how many seconds to look whether a connection can be closed, in a drain: the next request may
#: be there already, and HTTP/2 sends the rest of an answer later.
LOOK_AGAIN = 0.05

#: For how many seconds a drain waits for the first bytes of a client, which may have to shake hands.
HANDSHAKE = 1.0

#: How often the log tells of the same, in seconds.
TELL = 60

_log = Logger()


@implementer(IProtocol)
class Connection:
    """
    One connection: a protocol around that of the site.  It sees what is received, and hands the
    site's protocol the transport itself.

    @ivar address: the peer's.
    @ivar isTrusted: whether it is a trusted proxy's.
    @ivar isNew: whether nothing has arrived at all.
    @ivar transport: L{None} before the connection is made, and when it is lost.
    """

    __slots__ = (
        "_answering",
        "_call",
        "_connections",
        "_isIdle",
        "_isLeaving",
        "_protocol",
        "_streams",
        "address",
        "isNew",
        "isTrusted",
        "transport",
    )

    def __init__(
        self, connections: Connections, protocol: IProtocol, address: str, isTrusted: bool
    ) -> None:
        """
        @param protocol: the protocol of the site.
        """
        self.address = address
        self.isTrusted = isTrusted
        self.transport: Any = None
        self._connections = connections
        self._protocol: IProtocol | None = protocol
        # The requests that are being answered: their numbers in HTTP/2.
        self._answering: list[int] = []
        self._streams: Mapping[int, object] | None = None
        # Whether nothing has arrived since the last whole request: so there was one.
        self._isIdle = False
        self._isLeaving = False
        self.isNew = True
        # What closes it when the time for a request is over.
        self._call: IDelayedCall | None = None

    def began(self, request: Request) -> None:
        """
        A whole request has arrived.
        """
        self._streams = streamsOf(request)
        self._answering.append(self._numberOf(request))
        self._isIdle = True
        self._within(None)
        self._connections.ceasedToWait(self)

    def ended(self, request: Request) -> None:
        """
        A request was answered, or cannot be any more.
        """
        number = self._numberOf(request)
        if number in self._answering:
            self._answering.remove(number)
            self._wait()
            if self._connections.areDraining:
                self._connections.callLater(LOOK_AGAIN, self.leave)

    def _numberOf(self, request: Request) -> int:
        return 0 if self._streams is None else getattr(request.channel, "streamID", 0)

    def _wait(self) -> None:
        """
        Wait for a request, if none is being answered.
        """
        if self._answering or self._isLeaving or self.transport is None:
            return
        limits = self._connections
        self._within(limits.idleTimeout if self._isIdle else limits.timeout)
        limits.waits(self)

    def _within(self, seconds: float | None) -> None:
        """
        Let the time for a request begin.

        @param seconds: how long it is; L{None} for any time.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if seconds is not None:
            self._call = self._connections.callLater(seconds, self._timedOut)

    def _timedOut(self) -> None:
        self._call = None
        self._connections.ceasedToWait(self)
        self.close()

    def leave(self) -> None:
        """
        Close the connection when no request is on its way, and none is being answered: now, or
        when that was answered.
        """
        if self._isLeaving or self._answering or self.transport is None:
            return
        if self._streams:
            self._connections.callLater(LOOK_AGAIN, self.leave)
        elif self._isIdle or self.isNew or self._streams is not None:
            self.close()

    def close(self, inHurry: bool = False) -> None:
        """
        Close the connection.  If a request was answered, the answer still goes out, unless that takes
        too long.

        @param inHurry: whether its descriptor is needed: then an answer is cut off that has not left
            this process.
        """
        transport = self.transport
        holds = heldBy(transport)
        if not self._isIdle or self._isLeaving or (holds and inHurry):
            transport.abortConnection()
            return
        self._isLeaving = True
        self._within(LEAVING)
        if not transport.disconnecting:
            # TLS would wait for it.
            transport.unregisterProducer()
            transport.loseConnection()
        below = getattr(transport, "transport", None)
        if below is not None and not holds:
            # TLS would also wait for the peer to say goodbye, which is not needed (RFC 8446, 6.1).
            below.loseConnection()

    # IProtocol

    def makeConnection(self, transport: Any) -> None:
        """
        The connection was accepted: from now on its first request is waited for.
        """
        self.transport = transport
        self._connections.made(self)
        self._wait()
        assert self._protocol is not None
        self._protocol.makeConnection(transport)

    def connectionMade(self) -> None:
        """
        See L{IProtocol}.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Hand on what was received.
        """
        streams = self._streams
        if streams is not None and self._answering:
            # HTTP/2 does not tell of the streams that we have reset ourselves.
            left = [number for number in self._answering if number in streams]
            if len(left) < len(self._answering):
                self._answering = left
                self._wait()
        self.isNew = False
        if self._isIdle:
            self._isIdle = False
            if not self._answering:
                self._within(self._connections.timeout)
        if self._protocol is not None and not self._isLeaving:
            self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost: forget everything.
        """
        self._within(None)
        self._connections.lost(self)
        protocol, self._protocol, self.transport = self._protocol, None, None
        if protocol is not None:
            protocol.connectionLost(reason)


class Connections:
    """
    The connections of a daemon, to all of its sites.

    @ivar timeout: how many seconds a whole request may take; L{None} for any time.
    @ivar idleTimeout: for how many seconds nothing may come after an answer.
    """

    def __init__(
        self,
        reactor: Any,
        timeout: float | None,
        idleTimeout: float,
        most: int,
        mostPerAddress: int,
        proxies: Networks = (),
    ) -> None:
        """
        @param timeout: how many seconds a whole request may take, from when the connection was
            accepted, or from the first byte after the answer before.  L{None} for any time.
        @param idleTimeout: for how many seconds nothing may come after an answer.
        @param most: how many connections may wait for a request.
        @param mostPerAddress: how many of one address.
        @param proxies: the networks of trusted proxies.
        """
        self._reactor = reactor
        self.timeout = timeout
        self.idleTimeout = idleTimeout
        self._most = most
        self._mostPerAddress = mostPerAddress
        self._proxies = proxies
        self._all: dict[Any, Connection] = {}
        # Those that wait for a request, the one that has waited longest first.
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._byAddress: dict[str, OrderedDict[Connection, None]] = {}
        # How many connections may be accepted before the descriptors are counted again, and when
        # that was.
        self._room = 0
        self._countedAt = 0.0
        self._closed = 0
        self._drained: Deferred[None] | None = None
        self._tellAgain: dict[str, float] = {}

    def watch(self, protocol: IProtocol, address: IAddress | None) -> Connection:
        """
        Make a connection.

        @param protocol: the protocol that answers it.
        @param address: the peer's.
        @return: the protocol for the transport.
        """
        host = getattr(address, "host", "unix")
        isTrusted = bool(self._proxies) and isIn(host, self._proxies)
        return Connection(self, protocol, host, isTrusted)

    def of(self, request: Request) -> Connection | None:
        """
        Find the connection of a request; L{None} if it is none of these.
        """
        return self._all.get(connectionOf(request))

    def count(self) -> int:
        """
        @return: how many connections there are.
        """
        return len(self._all)

    @property
    def areDraining(self) -> bool:
        """
        Whether each connection is closed when its requests are answered.
        """
        return self._drained is not None

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Close each connection when its requests are answered, also those that are on their way.

        @param seconds: for how long to wait for that.
        @return: a L{Deferred} that fires when no connection is left, or the time is over.
        """
        drained: Deferred[None] = Deferred()
        self._drained = drained
        if self._all:
            # What has arrived in the system's buffers by now is read first.
            self.callLater(LOOK_AGAIN, self._leave)
        else:
            drained.callback(None)
        return drained.addTimeout(seconds, self._reactor, lambda result, seconds: None)

    def _leave(self) -> None:
        for connection in [*self._all.values()]:
            if connection.isNew:
                self.callLater(HANDSHAKE, connection.leave)
            else:
                connection.leave()

    # What a connection calls

    def made(self, connection: Connection) -> None:
        """
        A connection was accepted.
        """
        self._all[connection.transport] = connection
        self._room -= 1

    def lost(self, connection: Connection) -> None:
        """
        A connection is lost.
        """
        self._all.pop(connection.transport, None)
        self.ceasedToWait(connection)
        drained = self._drained
        if drained is not None and not (drained.called or self._all):
            drained.callback(None)

    def waits(self, connection: Connection) -> None:
        """
        A connection begins to wait for a request.  If too many do, close the one that has waited
        longest.
        """
        if connection.isTrusted or connection in self._waiting:
            return
        self._waiting[connection] = None
        mine = self._byAddress.setdefault(connection.address, OrderedDict())
        mine[connection] = None
        if len(mine) > self._mostPerAddress:
            self._close(next(iter(mine)), "its address has too many of them")
        elif len(self._waiting) > self._most:
            self._close(next(iter(self._waiting)), "there are too many of them")

    def ceasedToWait(self, connection: Connection) -> None:
        """
        A connection does not wait for a request any more.
        """
        if connection not in self._waiting:
            return
        del self._waiting[connection]
        mine = self._byAddress[connection.address]
        del mine[connection]
        if not mine:
            del self._byAddress[connection.address]

    def callLater(self, seconds: float, call: Callable[[], object]) -> IDelayedCall:
        """
        See L{IReactorTime<twisted.internet.interfaces.IReactorTime>}.
        """
        later: IDelayedCall = self._reactor.callLater(seconds, call)
        return later

    def _close(self, connection: Connection, why: str, inHurry: bool = False) -> None:
        self.ceasedToWait(connection)
        connection.close(inHurry)
        self._closed += 1
        self._tell(
            "Closed a connection from {address} without a complete request, since "
            "{why}; {count} were closed so far",
            address=connection.address,
            why=why,
            count=self._closed,
        )

    def _tell(self, said: str, **fields: object) -> None:
        """
        Log a warning, but not again and again.
        """
        now = self._reactor.seconds()
        if now >= self._tellAgain.get(said, now):
            self._tellAgain[said] = now + TELL
            _log.warn(said, **fields)

    # Descriptors

    def guard(self, port: IListeningPort) -> None:
        """
        Keep descriptors free when a port accepts connections.

        Twisted accepts until there is no descriptor left, and then closes whatever comes.

        @param port: what listens.  One that is not a socket of ours is left as it is.
        """
        if not isinstance(port, tcp.Port):
            return
        accept: Callable[[], object] = port.doRead

        def doRead() -> None:
            room = self._findRoom(port.fileno())
            closed = self._makeRoom(SPARE - room)
            if room > 0:
                # This is how many are accepted in one turn.
                port.numberAccepts = min(port.numberAccepts, room)
                accept()
            elif not closed:
                self._pause(port)

        port.doRead = doRead  # type: ignore[method-assign]

    def _findRoom(self, fd: int) -> int:
        """
        @param fd: any descriptor that is open.
        @return: how many connections may be accepted now.
        """
        now = self._reactor.seconds()
        if self._room <= SPARE or now - self._countedAt >= RECOUNT:
            self._room = _count(fd, KEPT + COUNTED) - KEPT
            self._countedAt = now
        return self._room

    def _makeRoom(self, count: int) -> int:
        """
        Close those that have waited longest.

        @param count: how many.
        @return: how many were closed.
        """
        closed = 0
        while closed < count and self._waiting:
            self._close(next(iter(self._waiting)), "file descriptors are running short", True)
            closed += 1
        return closed

    def _pause(self, port: tcp.Port) -> None:
        """
        Accept nothing for a while: there is no descriptor, and nothing to close.
        """
        self._tell("No connection can be accepted: too many files are open")
        port.stopReading()

        def resume() -> None:
            if port.connected and not port.disconnecting:
                port.startReading()

        self._reactor.callLater(PAUSE, resume)


def _count(fd: int, most: int) -> int:
    """
    Count the descriptors that are free.  The system tells of none but by giving them out.

    @param fd: any descriptor that is open.
    @param most: how many to count at most.
    """
    free: list[int] = []
    try:
        while len(free) < most:
            free.append(os.dup(fd))
    except OSError:
        # There are no more.
        pass
    for each in free:
        os.close(each)
    return len(free)
