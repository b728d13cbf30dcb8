"""
The agent of a client that was given none: connections that are used once, that notice when their
peer has vanished, and that can be cut off.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
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

from .clienterrors import EventSourceError, StreamBroken

__all__ = ["EventStreamAgent", "EventStreamResponse"]

#: How long to wait for a connection, in seconds.
CONNECT_TIMEOUT = 30.0

#: How large the head of a response may be, in bytes.  Twisted has a limit for each line of it,
#: but none for how many there are.
MOST_HEAD = 2**18


class _Connection(ProtocolWrapper):
    """
    A connection that counts what comes before the response.

    @ivar allowed: how many bytes may come; L{None} for any number.
    @ivar isTooLarge: whether more came.
    """

    allowed: int | None = MOST_HEAD
    isTooLarge = False

    def makeConnection(self, transport: Any) -> None:
        # After a while the kernel asks whether the peer is still there.
        setKeepAlive = getattr(transport, "setTcpKeepAlive", None)
        if setKeepAlive is not None:
            setKeepAlive(True)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        if self.allowed is not None:
            self.allowed -= len(data)
            if self.allowed < 0:
                self.isTooLarge = True
                self.abortConnection()
                return
        super().dataReceived(data)  # type: ignore[no-untyped-call]


class EventStreamResponse(proxyForInterface(IResponse, "_response")):  # type: ignore[misc]
    """
    A response that can be cut off: through TLS too, whatever the peer does.

    @since: 0.1
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
    Connects, and counts what comes.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, connections: list[_Connection]) -> None:
        self._endpoint = endpoint
        self._connections = connections

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        factory = WrappingFactory(protocolFactory)
        factory.protocol = _Connection
        factory.noisy = False
        connecting = cast("Deferred[_Connection]", self._endpoint.connect(factory))
        return connecting.addCallback(self._connected)

    def _connected(self, connection: _Connection) -> IProtocol:
        self._connections.append(connection)
        return connection.wrappedProtocol


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """
    Finds out where to connect to, for one request.

    @ivar connections: the one that was made, once there is one.
    """

    def __init__(self, reactor: Any, policy: IPolicyForHTTPS | None) -> None:
        self.connections: list[_Connection] = []
        self._reactor = reactor
        self._policy = policy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint: Any = HostnameEndpoint(
            self._reactor, uri.host.decode("ascii"), uri.port, CONNECT_TIMEOUT
        )
        if uri.scheme == b"https":
            assert self._policy is not None
            creator = self._policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        return _Endpoint(endpoint, self.connections)


@implementer(IAgent)
class EventStreamAgent:
    """
    Makes requests, each on a connection of its own.

    @since: 0.1
    """

    def __init__(self, reactor: Any, policy: IPolicyForHTTPS | None = None) -> None:
        """
        @param policy: which certificates are good; those that the system trusts if not given.
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
                # Late: reading the system's certificates takes a while.
                self._policy = BrowserLikePolicyForHTTPS()
        endpoints = _Endpoints(self._reactor, self._policy)
        # Without a pool, connections are not kept.
        agent = Agent.usingEndpointFactory(self._reactor, endpoints)

        def responded(response: IResponse) -> IResponse:
            (connection,) = endpoints.connections
            connection.allowed = None
            return EventStreamResponse(response, connection)

        def failed(failure: Failure) -> Failure:
            if any(connection.isTooLarge for connection in endpoints.connections):
                raise StreamBroken(f"the head of the response is larger than {MOST_HEAD} bytes")
            return failure

        responding: Deferred[IResponse] = agent.request(method, uri, headers, bodyProducer)
        return responding.addCallbacks(responded, failed)
