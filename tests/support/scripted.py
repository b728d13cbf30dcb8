"""
A scripted server for tests of clients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.support.live import reactor

__all__ = ["HEAD", "Asked", "ScriptedServer", "answer", "chunk", "stream"]

#: The head of a chunked event stream.
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n%s\r\n"


def chunk(data: bytes) -> bytes:
    """
    @return: a chunk, which is the last one if it is empty.
    """
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(*pieces: bytes, end: bool = True, fields: bytes = b"") -> bytes:
    """
    @return: a response that is an event stream.
    """
    body = b"".join(chunk(each) for each in pieces)
    return HEAD % fields + body + (chunk(b"") if end else b"")


def answer(status: str, *fields: str, body: bytes = b"") -> bytes:
    """
    @return: any other response.
    """
    head = "".join(f"{each}\r\n" for each in (*fields, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Asked:
    """
    A request received.
    """

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.fields = [tuple(each.split(": ", 1)) for each in lines]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = b""


class _Connection(Protocol):
    """
    One connection.

    @ivar lost: how the connection ended.
    """

    factory: Any
    lost: Failure | None = None

    def __init__(self) -> None:
        self.data = b""
        self.asked: Asked | None = None

    def connectionMade(self) -> None:
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if self.asked is None:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            self.asked = Asked(head)
            self.data = rest
        length = int(self.asked.headers.get("content-length", "0"))
        if len(self.data) < length:
            return
        self.asked.body, self.data = self.data[:length], self.data[length:]
        asked, self.asked = self.asked, None
        self.factory.asked(self, asked)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class ScriptedServer(Factory):
    """
    Listens on loopback, and answers each request with the next step of its script.

    @ivar requests: the requests received.
    @ivar connections: the connections accepted.
    @ivar context: the TLS context, or L{None} for none.
    @ivar script: the steps for the next requests: bytes to write, after which the connection is
        closed if C{close} is true, or a function of the connection.
    """

    noisy = False
    protocol = _Connection

    def __init__(
        self, test: TestCase, *script: Any, context: Any = None, close: bool = True
    ) -> None:
        """
        @param test: the test whose cleanup stops the server.
        """
        self.requests: list[Asked] = []
        self.connections: list[Any] = []
        self.script = list(script)
        self.context = context
        self._close = close
        if context is not None:
            self.port = reactor.listenSSL(0, self, context, 256, "127.0.0.1")
        else:
            self.port = reactor.listenTCP(0, self, 256, "127.0.0.1")
        number = self.port.getHost().port
        self.url = f"http{'' if context is None else 's'}://127.0.0.1:{number}/"
        test.addCleanup(self.stop)

    def asked(self, connection: Any, asked: Asked) -> None:
        """
        Handle a request.
        """
        self.requests.append(asked)
        step: bytes | Callable[[Any], object] = (
            self.script.pop(0) if self.script else answer("204 No Content")
        )
        if callable(step):
            step(connection)
            return
        connection.transport.write(step)
        if self._close:
            connection.transport.loseConnection()

    @property
    def open(self) -> int:
        """
        Return the number of open connections.
        """
        return sum(each.lost is None for each in self.connections)

    def stop(self) -> Deferred[Any]:
        """
        Close everything.
        """
        for each in self.connections:
            if each.lost is None:
                each.transport.abortConnection()
        stopped: Deferred[Any] = self.port.stopListening()
        return stopped
