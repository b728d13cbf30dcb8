"""
Several daemons that share one Redis server.
"""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Callable
from contextlib import closing

from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin, until
from tests.support.ports import freePort
from tests.support.redis_server import RedisServer
from twisted_sse import EventStreamParser, MessageEvent

__all__ = ["Ended", "ManyMixin", "Subscriber"]


class Ended(Exception):
    """
    The stream has ended.
    """


class Subscriber:
    """
    A client of one daemon.

    @ivar events: the events received, except C{stream-position}.
    @ivar position: where it could resume.
    """

    def __init__(self, port: int, path: str = "/", lastEventID: str = "") -> None:
        self.events: list[MessageEvent] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = {"Accept": "text/event-stream", "Host": "localhost"}
        if lastEventID:
            headers["Last-Event-ID"] = lastEventID
        self._connection.request("GET", path, headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.status
        self._parser = EventStreamParser(lastEventID=lastEventID)

    @property
    def position(self) -> str:
        """
        The last event ID.
        """
        return self._parser.lastEventID

    def readUntil(self, isEnough: Callable[[], object]) -> None:
        """
        Read until something is true, or raise if the stream ends or nothing arrives before.
        """
        while not isEnough():
            try:
                data = self._response.read1()
            except (ConnectionError, http.client.IncompleteRead) as e:
                raise Ended(f"the stream was cut after {self.events}") from e
            if not data:
                raise Ended(f"the stream has ended after {self.events}")
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self.events += [
            event for event in self._parser.feed(data) if event.type != "stream-position"
        ]

    def until(self, data: str) -> list[MessageEvent]:
        """
        Read up to an event.

        @param data: its data.
        @return: all events before it.
        """
        self.readUntil(lambda: self.events and self.events[-1].data == data)
        return self.events[:-1]

    def toEnd(self) -> list[MessageEvent]:
        """
        Read until the server ends the stream.

        @return: all events.
        """
        while data := self._response.read1():
            self._feed(data)
        return self.events

    def close(self) -> None:
        """
        Disconnect.
        """
        self._response.close()
        self._connection.close()


class ManyMixin(DaemonMixin):
    """
    Runs a Redis server, and daemons that keep their events in it.

    @ivar redis: the server.
    """

    def setUp(self) -> None:
        """
        Start the server.
        """
        super().setUp()
        self.redis = self.startRedis()

    def startRedis(self, *options: str) -> RedisServer:
        """
        Start a Redis server without persistence.

        @param options: more options, which take precedence.
        """
        server = RedisServer(self, *options, tcp=True)
        server.begin()
        until(server.isReady)
        return server

    @property
    def redisURL(self) -> str:
        """
        The URL of the Redis server.
        """
        return f"redis://127.0.0.1:{self.redis.port}/0"

    def daemon(self, *options: str) -> tuple[subprocess.Popen[str], int]:
        """
        Start a daemon that accepts published events.

        @param options: more options.
        @return: the daemon and its port.
        """
        self.port = freePort()
        arguments = ("sse", "post", "--store", self.redisURL)
        process, port = self.start(*FOREGROUND, *arguments, *options), self.port
        until(lambda: self.isReady(port))
        return process, port

    def isReady(self, port: int) -> bool:
        """
        Whether a daemon has opened its channels.  A client that connects earlier misses events
        published elsewhere until then.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/readyz", headers={"Host": "localhost"})
            return connection.getresponse().status == 200

    def subscribe(self, port: int, path: str = "/", lastEventID: str = "") -> Subscriber:
        """
        Follow a daemon.
        """
        subscriber = Subscriber(port, path, lastEventID)
        self.addCleanup(subscriber.close)
        return subscriber

    def post(self, port: int, data: str, query: str = "", **headers: str) -> None:
        """
        Publish an event.
        """
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.addCleanup(connection.close)
        headers = {"Content-Type": "text/plain", "Host": "localhost", **headers}
        connection.request("POST", f"/{query}", data.encode(), headers)
        response = connection.getresponse()
        self.assertEqual((response.status, response.read()[:6]), (200, b'{"id":'))
