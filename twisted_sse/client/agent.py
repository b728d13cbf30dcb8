"""
The default agent of a client: connections that are used once, that notice when their peer has
vanished, and that can be closed at once.
"""

from __future__ import annotations

import re
import socket
from functools import partial
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IStreamClientEndpoint,
    ISystemHandle,
    ITCPTransport,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
    IResponse,
)
from zope.interface import implementer

from .chunks import decodeTogether
from .errors import EventSourceError, StreamBroken

__all__ = ["AnyAgent", "EventStreamAgent", "EventStreamResponse"]

#: How long to wait for a connection, in seconds.
CONNECT_TIMEOUT = 30.0

#: How long to wait for the TLS handshake after that, in seconds.
HANDSHAKE_TIMEOUT = 30.0

#: A peer that has vanished is noticed after two minutes: the kernel sends its first probe after a
#: minute of silence, and four in all.  By default, it waits for two hours.
KEEPALIVE = {
    "TCP_KEEPIDLE": 60,
    # The name of the same option on macOS.
    "TCP_KEEPALIVE": 60,
    "TCP_KEEPINTVL": 15,
    "TCP_KEEPCNT": 4,
}

#: How large the head of a response may be, in bytes.  Twisted limits the length of its lines, to 16
#: KiB, but not their number.
MOST_HEAD = 2**18

#: How much of a head is read at a time, in bytes.  It may have thousands of lines, for which Twisted
#: needs longer than for a body.
PIECE_OF_HEAD = 2**12


@implementer(IHandshakeListener)
class _Connection(ProtocolWrapper):
    """
    A connection that does not wait for its peer forever: neither for the end of the TLS
    handshake, nor for the end of the response's head.

    @ivar allowed: how many more bytes may arrive; L{None} for any number.
    @ivar refused: why we have closed it; L{None} if we have not.
    """

    allowed: int | None = MOST_HEAD
    refused: str | None = None
    _handshake: IDelayedCall | None = None
    _below: Any = None
    _bufferSize = 0

    def __init__(self, factory: Any, wrapped: IProtocol, reactor: Any) -> None:
        super().__init__(factory, wrapped)
        self._reactor = reactor

    def makeConnection(self, transport: Any) -> None:
        below = transport
        if isinstance(transport, ProtocolWrapper):
            # TLS, on top of TCP.
            below = transport.transport
            self._handshake = self._reactor.callLater(HANDSHAKE_TIMEOUT, self._noHandshake)
        _keepAlive(below)
        if hasattr(below, "bufferSize"):
            self._below, self._bufferSize = below, below.bufferSize
            below.bufferSize = PIECE_OF_HEAD
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def headReceived(self) -> None:
        """
        The head of the response is complete, so any number of bytes may arrive.
        """
        self.allowed = None
        below, self._below = self._below, None
        if below is not None:
            below.bufferSize = self._bufferSize

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        self._stopWaiting()

    def dataReceived(self, data: bytes) -> None:
        if self.allowed is not None:
            self.allowed -= len(data)
            if self.allowed < 0:
                self._refuse(f"the headers of the response are larger than {MOST_HEAD} bytes")
                return
            decodeTogether(self.wrappedProtocol)
            parser: Any = getattr(self.wrappedProtocol, "_parser", None)
            if parser is not None:
                # The length of a line.  Without the name, which is not public, it stays what it is.
                parser.MAX_LENGTH = MOST_HEAD
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._stopWaiting()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _stopWaiting(self) -> None:
        call, self._handshake = self._handshake, None
        if call is not None:
            call.cancel()

    def _noHandshake(self) -> None:
        self._handshake = None
        self._refuse(
            f"the TLS handshake did not finish within {HANDSHAKE_TIMEOUT:.0f} "
            "seconds; perhaps the server expects http://"
        )

    def _refuse(self, why: str) -> None:
        self.refused = why
        self.abortConnection()


def _keepAlive(transport: Any) -> None:
    """
    Have the kernel check that the peer is still there.

    @param transport: the transport of a TCP connection; others are left alone.
    """
    if not (ITCPTransport.providedBy(transport) and ISystemHandle.providedBy(transport)):
        return
    transport.setTcpKeepAlive(True)
    handle: Any = transport.getHandle()
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            handle.setsockopt(socket.IPPROTO_TCP, option, value)


class EventStreamResponse(proxyForInterface(IResponse, "_response")):  # type: ignore[misc]
    """
    A response whose connection can be closed at once: through TLS too, whatever the peer does.

    @since: 0.2
    """

    def __init__(self, response: IResponse, connection: _Connection) -> None:
        super().__init__(response)
        self._connection = connection

    def abort(self) -> None:
        """
        Close the connection at once.
        """
        if self._connection.connected:
            self._connection.abortConnection()


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """
    Connects, and keeps the connection.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, connections: list[_Connection], reactor: Any
    ) -> None:
        self._endpoint = endpoint
        self._connections = connections
        self._reactor = reactor

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        factory: Any = WrappingFactory(protocolFactory)
        factory.protocol = partial(_Connection, reactor=self._reactor)
        # Twisted would log the beginning and the end of each connection.
        factory.noisy = protocolFactory.noisy = False
        connecting = cast("Deferred[_Connection]", self._endpoint.connect(factory))
        return connecting.addCallback(self._connected)

    def _connected(self, connection: _Connection) -> IProtocol:
        self._connections.append(connection)
        return connection.wrappedProtocol


class _HostEndpoint(HostnameEndpoint):
    """
    Accepts host names with underscores, which containers have and Twisted rejects.
    """

    @staticmethod
    def _hostAsBytesAndText(host: bytes | str) -> tuple[bool, bytes, str]:
        # Overrides a method that is not public.  If Twisted drops it, such names are rejected.
        isInvalid, asBytes, text = HostnameEndpoint._hostAsBytesAndText(host)
        isInvalid = isInvalid and not re.fullmatch(r"[\w.-]+", text, re.ASCII)
        return isInvalid, asBytes, text


class AnyAgent(Protocol):
    """
    What makes requests: an L{IAgent}, to type checkers that do not know zope.interface.
    """

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        See L{IAgent}.
        """


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """
    Makes the endpoint of a single request.

    @ivar connections: the connection that was made, as soon as there is one.
    """

    def __init__(
        self, reactor: Any, policy: IPolicyForHTTPS | BrowserLikePolicyForHTTPS | None
    ) -> None:
        self.connections: list[_Connection] = []
        self._reactor = reactor
        self._policy = policy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint: Any = _HostEndpoint(
            self._reactor, uri.host.decode("ascii"), uri.port, CONNECT_TIMEOUT
        )
        if uri.scheme == b"https":
            assert self._policy is not None
            creator = self._policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        return _Endpoint(endpoint, self.connections, self._reactor)


@implementer(IAgent)
class EventStreamAgent:
    """
    Makes requests, each on a connection of its own.

    @since: 0.2
    """

    def __init__(
        self,
        reactor: Any,
        policy: IPolicyForHTTPS | BrowserLikePolicyForHTTPS | None = None,
    ) -> None:
        """
        @param policy: which certificates to trust; by default, those that the system trusts.
        """
        self._reactor = reactor
        self._policy = policy

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        See L{IAgent}.

        @return: a L{Deferred} of an L{EventStreamResponse}.
        """
        if uri.startswith(b"https:"):
            try:
                import OpenSSL  # noqa: F401
            except ImportError as e:
                why = f"https needs TLS ({e}): pip install 'twisted-sse[tls]'"
                return fail(EventSourceError(why))
            if self._policy is None:
                # As late as possible: reading the system's certificates takes a while.
                self._policy = BrowserLikePolicyForHTTPS()
        endpoints = _Endpoints(self._reactor, self._policy)
        # There is no pool, so connections are not kept.
        agent = Agent.usingEndpointFactory(self._reactor, endpoints)

        def responded(response: IResponse) -> IResponse:
            (connection,) = endpoints.connections
            connection.headReceived()
            return EventStreamResponse(response, connection)

        def failed(failure: Failure) -> Failure:
            for connection in endpoints.connections:
                if connection.refused is not None:
                    raise StreamBroken(connection.refused)
            return failure

        responding: Deferred[IResponse] = agent.request(method, uri, headers, bodyProducer)
        return responding.addCallbacks(responded, failed)
