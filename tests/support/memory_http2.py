"""
A client of HTTP/2 in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.settings
except ImportError:
    h2 = None  # type: ignore[assignment]

__all__ = ["H2_MISSING", "MemoryClient2"]

#: Why tests of HTTP/2 are skipped; L{None} if they are not.
H2_MISSING = "network (HTTP/2 needs the extra tls)" if h2 is None else None


class Transport(StringTransport):
    """
    The server's transport: TLS has chosen HTTP/2.

    @ivar paused: whether the server has paused reading.
    @ivar aborted: whether the server has aborted the connection.
    """

    negotiatedProtocol = b"h2"
    paused = False
    aborted = False

    def pauseProducing(self) -> None:
        """
        Record that the server pauses reading.
        """
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Record that the server resumes reading.
        """
        self.paused = False

    def abortConnection(self) -> None:
        """
        Record that the server has aborted the connection.
        """
        self.aborted = self.disconnecting = True


class MemoryClient2:
    """
    An HTTP/2 client: one connection to a site.

    @ivar http: the client's h2 connection.
    @ivar events: the events that h2 has reported.
    @ivar protocol: the server's protocol.
    """

    def __init__(self, site: Site, clock: Clock, *, hello: bool = True, **settings: int) -> None:
        """
        @param site: the server, whose reactor is the clock.
        @param hello: whether to send the HTTP/2 preface.
        @param settings: the client's settings, by their names in h2's C{SettingCodes}.
        """
        self.clock = clock
        self.transport = Transport(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))
        self.protocol: Any = site.buildProtocol(self.transport.getPeer())
        # The daemon counts its connections with a protocol that wraps the site's.
        self._inner = getattr(self.protocol, "_protocol", self.protocol)
        self.protocol.makeConnection(self.transport)
        # It may send invalid data.
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.events: list[Any] = []
        if not hello:
            return
        self.http.initiate_connection()
        if settings:
            codes = h2.settings.SettingCodes
            self.http.update_settings({codes[name]: value for name, value in settings.items()})
        self.flush()

    @property
    def connection(self) -> Any:
        """
        The server's connection.
        """
        return self._inner._channel

    def flush(self) -> None:
        """
        Send h2's output, and receive the server's.
        """
        self.send(self.http.data_to_send())

    def send(self, data: bytes) -> None:
        """
        Send bytes, at most 64 KiB at a time, as a socket does, and only while the server reads.
        """
        while data and not self.transport.disconnecting:
            if not self.transport.paused:
                self.protocol.dataReceived(data[: 2**16])
                data = data[2**16 :]
            self.clock.advance(0)
        self.settle()

    def settle(self, turns: int = 50) -> None:
        """
        Let the server do its pending work, and receive what it sends.
        """
        for _ in range(turns):
            self.clock.advance(0)
        received = self.transport.value()
        self.transport.clear()
        if received:
            self.events += self.http.receive_data(received)

    def request(self, path: str = "/", method: str = "GET", end: bool = True, **fields: str) -> int:
        """
        Make a request, but do not L{flush}.

        @param end: whether there is no body.
        @return: its number.
        """
        number: int = self.http.get_next_available_stream_id()
        head = {":method": method, ":scheme": "https", ":authority": "a", ":path": path}
        if method == "CONNECT":
            del head[":scheme"], head[":path"]
        head.update((name.replace("_", "-"), value) for name, value in fields.items())
        self.http.send_headers(number, list(head.items()), end_stream=end)
        return number

    def statuses(self) -> dict[int, int]:
        """
        @return: the status of each request that was answered.
        """
        return {
            event.stream_id: int(dict(event.headers)[b":status"])
            for event in self.events
            if isinstance(event, h2.events.ResponseReceived)
        }

    def body(self, number: int) -> bytes:
        """
        @return: the part of the response received so far.
        """
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, h2.events.DataReceived) and event.stream_id == number
        )

    def ended(self) -> set[int]:
        """
        @return: the requests whose answers are complete.
        """
        return self._numbers(h2.events.StreamEnded)

    def resets(self) -> set[int]:
        """
        @return: the requests that the server has reset.
        """
        return self._numbers(h2.events.StreamReset)

    def _numbers(self, kind: type[Any]) -> set[int]:
        return {event.stream_id for event in self.events if isinstance(event, kind)}

    def close(self) -> None:
        """
        Close the connection.
        """
        why = ConnectionAborted if self.transport.aborted else ConnectionDone
        self.protocol.connectionLost(Failure(why()))
