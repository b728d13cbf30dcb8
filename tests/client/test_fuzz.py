"""
Random input for the client, in memory, as HTTP and as a body.

C{SSE_FUZZ=100} in the environment makes it a hundred times as long.
"""

from __future__ import annotations

import gzip
import socket
import zlib
from random import Random
from typing import Any

import twisted.internet
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.support.fuzz import FuzzMixin, cut, mutated, pick, rubbish
from tests.support.live import reactor as installed
from tests.support.memory_agent import MemoryAgent, MemoryResponse, Taking
from tests.support.memory_reactor import MemoryNamesReactor
from twisted_sse.client import EventSource, EventSourceError

STATUSES = (b"200 OK", b"200", b"204 No Content", b"301 x", b"307 x", b"401 x", b"503 x", b"100 x")

FIELDS: dict[bytes, tuple[bytes, ...]] = {
    b"Content-Type": (b"text/event-stream", b"text/event-stream;charset=utf-8", b"a/b", b'x/y;z="'),
    b"Content-Encoding": (b"gzip", b"deflate", b"br", b"none", b"gzip, gzip", b"identity"),
    b"Content-Length": (b"0", b"10", b"-1", b"10, 10", b"9" * 4400),
    b"Transfer-Encoding": (b"chunked", b"Chunked", b"gzip, chunked", b"identity"),
    b"Location": (b"/other", b"http://[::1", b"https://a.example:99999/", b"//x", b"\xff"),
    b"Retry-After": (b"1", b"Thu, 01 Jan 1970 00:00:00 GMT", b"-1", b"9" * 400, b"x"),
    b"Connection": (b"close", b"keep-alive"),
    b"Set-Cookie": (b"a=b", b"\xff=;;"),
}

EVENTS = (
    b": \nretry: 1\nid: 1\nevent: a\ndata: b\ndata\n\nid: \xe2\x82\xac\ndata: c\r\n\r\ndata: d\r\r"
)


def body(random: Random) -> bytes:
    """
    @return: something close to events, perhaps in chunks or compressed.
    """
    data = b"".join(pick(random, (EVENTS, b"data: x\n\n", b"\n")) for _ in range(3))
    how = random.randrange(5)
    if how == 0:
        data = gzip.compress(data, mtime=0)
    elif how == 1:
        data = zlib.compress(data)
    if random.random() < 0.5:
        data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
    return mutated(random, data) if random.random() < 0.5 else data


def response(random: Random) -> bytes:
    """
    @return: something close to a response of HTTP/1.1.
    """
    lines = [b"HTTP/1.1 " + pick(random, STATUSES)]
    if random.random() < 0.8:
        lines.append(b"Content-Type: text/event-stream")
    if random.random() < 0.4:
        lines.append(b"Transfer-Encoding: chunked")
    names = random.sample(list(FIELDS), random.randrange(4))
    lines += [name + b": " + pick(random, FIELDS[name]) for name in names]
    data = b"\r\n".join((*lines, b"", b"")) + body(random)
    return mutated(random, data, 5) if random.random() < 0.3 else data


class _Transport(StringTransport):
    """
    The client's transport.
    """

    def getHandle(self) -> socket.socket:
        """
        See L{ISystemHandle}.
        """
        return self.handle

    handle: socket.socket

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See L{ITCPTransport}.
        """

    setTcpNoDelay = setTcpKeepAlive


class FuzzTests(FuzzMixin):
    """
    Tests for L{EventSource}.
    """

    def assertHandled(self, clock: Clock, source: EventSource, taking: Taking) -> None:
        """
        Assert that a source had events or raised one of its errors, and leaves nothing behind when
        closed.
        """
        source.close()
        clock.advance(0)
        if taking.error is not None and not isinstance(taking.error, EventSourceError):
            raise taking.error
        self.assertTrue(taking.hasEnded or taking.error is not None)
        clock.advance(1000)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_http(self) -> None:
        """
        Any bytes in place of a response become events or an error.
        """
        handle = socket.socket()
        self.addCleanup(handle.close)
        # Twisted's pool uses the installed reactor.
        self.addCleanup(setattr, twisted.internet, "reactor", installed)

        def receive(random: Random) -> None:
            reactor: Any = MemoryNamesReactor()
            setattr(twisted.internet, "reactor", reactor)  # noqa: B010, mypy knows another type
            source = EventSource(
                "http://sse.example/",
                reactor=reactor,
                readTimeout=random.choice((None, 5)),
                strict=random.random() < 0.2,
                maxEventSize=10_000,
            )
            taking = Taking(source)
            done = 0
            for _ in range(4):
                if len(reactor.tcpClients) == done:
                    break
                _, _, factory, _, _ = reactor.tcpClients[done]
                done = len(reactor.tcpClients)
                protocol = factory.buildProtocol(None)
                transport = _Transport()
                transport.handle = handle
                transport.protocol = protocol
                protocol.makeConnection(transport)
                data = rubbish(random, 300) if random.random() < 0.1 else response(random)
                for piece in cut(random, data):
                    if transport.disconnecting:
                        break
                    protocol.dataReceived(piece)
                    reactor.advance(random.choice((0, 0.1)))
                protocol.connectionLost(Failure(random.choice((ConnectionDone, ConnectionLost))()))
                # Until it retries, if it does; but a try must not time out.
                for _ in range(random.choice((0, 60))):
                    if len(reactor.tcpClients) == done:
                        reactor.advance(1)
            self.assertHandled(reactor, source, taking)

        self.fuzz(300, receive)

    def test_bodies(self) -> None:
        """
        Any body of any response becomes events or an error, with any agent.
        """

        def receive(random: Random) -> None:
            clock = Clock()
            answers = []
            for _ in range(3):
                headers = {
                    name: pick(random, FIELDS[name])
                    for name in random.sample(list(FIELDS), random.randrange(4))
                }
                if random.random() < 0.8:
                    headers[b"Content-Type"] = b"text/event-stream"
                answers.append(
                    MemoryResponse(
                        random.choice((200, 200, 200, 204, 301, 404, 503)),
                        {name: value.translate(None, b"\r\n\0") for name, value in headers.items()},
                        body(random),
                        random.choice((False, True, ConnectionLost())),
                        random.random() < 0.5,
                    )
                )
            source = EventSource("http://sse.example/", reactor=clock, agent=MemoryAgent(*answers))
            taking = Taking(source)
            for _ in range(10):
                clock.advance(random.choice((0, 1, 60)))
            self.assertHandled(clock, source, taking)

        self.fuzz(300, receive)
