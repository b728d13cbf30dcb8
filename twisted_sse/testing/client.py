"""
A client that makes requests of a resource, in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakSet

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from .clock import MemoryClock
from .response import ResponseReader
from .stream import MemoryStream
from .transport import MemoryTransport

__all__ = ["MemoryClient"]


class MemoryClient:
    """
    Makes requests of a resource, in memory.

    @ivar clock: the L{MemoryClock} that gives the resource, and everything else that answers
        requests, the time.
    @ivar site: the L{Site} that was made for the resource.

    @since: 0.2
    """

    def __init__(self, resource: IResource | Resource, clock: MemoryClock | None = None) -> None:
        """
        @param resource: the resource under test.
        @param clock: a clock to share with other clients, or with objects that are made before
            the client.
        """
        self.clock = clock if clock is not None else MemoryClock()
        self.site = Site(resource, reactor=self.clock)
        # The site keeps the open ones alive.
        self._transports: WeakSet[MemoryTransport] = WeakSet()

    def close(self) -> None:
        """
        Close all connections.  C{with MemoryClient(resource) as client} does this at the end.
        """
        for transport in list(self._transports):
            transport.disconnect()

    def __enter__(self) -> MemoryClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(
        self,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> MemoryStream:
        """
        Make a GET request.  See L{request}.
        """
        return self.request("GET", path, headers, b"", address)

    def post(
        self,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        address: str = "127.0.0.1",
    ) -> MemoryStream:
        """
        Make a POST request.  See L{request}.
        """
        return self.request("POST", path, headers, body, address)

    def request(
        self,
        method: str,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        address: str = "127.0.0.1",
        version: str = "HTTP/1.1",
    ) -> MemoryStream:
        """
        Make a request, on a connection of its own.

        @param method: the method, in capitals.
        @param path: the path, with the query if there is one.
        @param headers: the headers to send besides C{Host} and C{Content-Length}.
        @param body: the body; a C{str} is sent as UTF-8.
        @param address: the IP address of the client.
        @param version: C{"HTTP/1.1"} or C{"HTTP/1.0"}.
        @return: the request, and its response as far as it has arrived.
        """
        if isinstance(body, str):
            body = body.encode()
        sent = {**(headers or {})}
        given = {name.lower() for name in sent}
        if "host" not in given:
            sent = {"Host": "localhost", **sent}
        if "content-length" not in given and (body or method in ("POST", "PUT", "PATCH")):
            sent["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        family = IPv6Address if ":" in address else IPv4Address
        peer = family("TCP", address, 50000)
        response = ResponseReader(method)
        transport = MemoryTransport(self.clock, response, peer)
        self._transports.add(transport)
        protocol = self.site.buildProtocol(peer)
        assert protocol is not None, "a Site takes every connection"
        transport.connect(protocol)
        transport.receive(f"{method} {path} {version}\r\n{head}\r\n".encode() + body)
        self.clock.settle()
        return MemoryStream(self.clock, transport, response)
