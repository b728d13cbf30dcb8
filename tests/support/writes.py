"""
Streams with slow writes, and sockets that record what is written.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted_sse import EventStreamResource

try:
    from OpenSSL import SSL  # noqa: F401
except ImportError:
    hasTLS = False
else:
    hasTLS = True


class SlowResource(EventStreamResource):
    """
    A resource without direct writes.
    """

    fastWrite = False


class WriteCounter:
    """
    A socket that records the sent bytes.
    """

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.sent: list[int] = []

    def send(self, data: bytes) -> int:
        """
        Send, and record how much was accepted.
        """
        sent = self.real.send(data)
        self.sent.append(sent)
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
