"""
A request in memory, and its response as the client sees it.
"""

from __future__ import annotations

from ..format.parser import MessageEvent
from .clock import MemoryClock
from .response import ResponseHeaders, ResponseReader
from .transport import KERNEL_BUFFER, MemoryTransport

__all__ = ["MemoryStream"]


class MemoryStream:
    """
    A request that a L{MemoryClient} has made, and its response as far as it has arrived.

    Each property first does everything that is due now.

    @since: 0.2
    """

    def __init__(
        self, clock: MemoryClock, transport: MemoryTransport, response: ResponseReader
    ) -> None:
        self._clock = clock
        self._transport = transport
        self._response = response

    @property
    def status(self) -> int | None:
        """
        The status of the response; L{None} before it has arrived.
        """
        return self._now().status

    @property
    def headers(self) -> ResponseHeaders:
        """
        The headers of the response.
        """
        return self._now().headers

    @property
    def events(self) -> list[MessageEvent]:
        """
        All events that have arrived, as a client would see them.
        """
        return list(self._now().events)

    @property
    def comments(self) -> list[str]:
        """
        All comments that have arrived, without the space after the colon.
        """
        return list(self._now().comments)

    @property
    def retry(self) -> int | None:
        """
        The reconnection time that the server last sent, in milliseconds; L{None} for none.
        """
        return self._now().parser.retry

    @property
    def body(self) -> bytes:
        """
        All of the body that has arrived.
        """
        return bytes(self._now().body)

    @property
    def text(self) -> str:
        """
        All of the body that has arrived, as text.
        """
        return self.body.decode("utf-8", "replace")

    @property
    def ended(self) -> bool:
        """
        Whether nothing more will arrive: the response is complete, or the connection is closed.
        """
        response = self._now()
        return response.complete or response.closed

    @property
    def complete(self) -> bool:
        """
        Whether the response has reached the end that its framing gives.  A body without a length,
        as in HTTP/1.0, is complete when the connection is closed, but not when it is reset.
        """
        response = self._now()
        return response.complete or (response.closed and response.untilClose and not response.reset)

    def disconnect(self, reset: bool = False) -> None:
        """
        Close the connection.

        @param reset: whether to reset it, rather than close it properly.
        """
        self._transport.disconnect(reset)

    def stopReading(self, kernelBuffer: int = KERNEL_BUFFER) -> None:
        """
        Stop reading.

        As with a socket, the kernel still takes some data; then the transport's buffer fills up,
        and the transport pauses its producer.

        @param kernelBuffer: how many bytes the kernel takes.
        """
        self._clock.settle()
        self._transport.reading = False
        self._transport.kernelBuffer = kernelBuffer

    def resumeReading(self) -> None:
        """
        Start reading again.
        """
        self._transport.reading = True
        self._transport.deliver()
        self._clock.settle()

    def write(self, data: bytes) -> None:
        """
        Send more bytes on the connection, such as a pipelined request.
        """
        self._transport.receive(data)

    def _now(self) -> ResponseReader:
        self._clock.settle()
        return self._response
