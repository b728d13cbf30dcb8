"""
A client of HTTP/2 over TLS, and a server for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.live import Connection, LiveTestCase, Response, Server

try:
    import h2.config
    import h2.connection
    import h2.errors
    import h2.events
    import h2.settings
except ImportError:
    h2 = None  # type: ignore[assignment]


#: A window too large to fill.
HUGE = 2**31 - 1


class Client2(Connection):
    """
    An HTTP/2 client: one connection, many requests.

    @ivar resets: the error code of each request that the server has reset, by number.
    @ivar terminated: whether the server has sent GOAWAY.
    """

    def __init__(self, address: tuple[str, int], *, window: int = HUGE, **options: Any) -> None:
        """
        @param window: how many bytes the server may send for one request before they are read.
        """
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.responses: dict[int, Response] = {}
        self.resets: dict[int, int] = {}
        self.terminated = False
        self._window = window
        super().__init__(address, tls=True, protocols=["h2"], **options)
        self.http.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
            },
        )
        self.http.initiate_connection()
        # The window of the connection as a whole.
        self.http.increment_flow_control_window(HUGE - 65535)
        self._flush()

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        more: Sequence[tuple[str, str]] = (),
    ) -> tuple[int, Response]:
        """
        Make a request.

        @param body: its body, which fits in a frame.
        @param more: more headers; names may repeat.
        @return: its number, and its response.
        """
        number = self.http.get_next_available_stream_id()
        head = {
            ":method": method,
            ":scheme": "https",
            ":authority": "localhost",
            ":path": path,
            "accept": "text/event-stream",
            **(headers or {}),
        }
        self.http.send_headers(number, [*head.items(), *more], end_stream=not body)
        if body:
            self.http.send_data(number, body, end_stream=True)
        self.responses[number] = response = Response()
        self._flush()
        return number, response

    def cancel(self, number: int) -> None:
        """
        Reset a request.
        """
        self.http.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    def open(self, number: int, size: int) -> None:
        """
        Let the server send more in response to a request.
        """
        self.http.increment_flow_control_window(size, number)
        self._flush()

    def received(self, data: bytes) -> None:
        """
        Handle bytes received.
        """
        for event in self.http.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                head = dict(event.headers)
                status = int(head[b":status"])
                self.responses[event.stream_id].begin(status, head.items())
            elif isinstance(event, h2.events.DataReceived):
                self.responses[event.stream_id].feed(event.data)
                if self._window == HUGE:
                    self.http.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            elif isinstance(event, h2.events.StreamEnded):
                self.responses[event.stream_id].complete = True
            elif isinstance(event, h2.events.StreamReset):
                self.responses[event.stream_id].broken = True
                self.resets[event.stream_id] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.terminated = True
        self._flush()

    def _flush(self) -> None:
        data = self.http.data_to_send()
        if data and self.lost is None:
            self.write(data)


class HTTP2TestCase(LiveTestCase):
    """
    Base class for tests of HTTP/2.

    @cvar guarded: whether the site is a L{GuardedSite<twisted_sse.guard.GuardedSite>}.
    """

    if h2 is None:
        skip = "network (HTTP/2 needs the extra tls)"

    guarded = False

    def serve2(
        self,
        connected: Callable[[Any], object],
        *,
        site: Mapping[str, Any] | None = None,
        client: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Client2:
        """
        Start a server, and connect to it.
        """
        options["site"] = {"tls": True, "guarded": self.guarded, **(site or {})}
        self.server: Server = self.serve(connected, **options)
        made: Client2 = self.server.connect(Client2, **(client or {}))
        return made
