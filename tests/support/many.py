"""
Several daemons that share one Redis server.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin, until
from tests.support.ports import freePort
from twisted_sse import EventStreamParser, MessageEvent

__all__ = ["Ended", "ManyMixin", "Subscriber"]


class Ended(Exception):
    """
    A stream has ended.
    """


class Subscriber:
    """
    A client of one daemon.

    @ivar events: what it has received, without the C{stream-position}.
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
        Read until something is true, or raise if the stream ends or nothing comes before.
        """
        while not isEnough():
            try:
                data = self._response.read1()
            except (ConnectionError, http.client.IncompleteRead) as e:
                raise Ended(f"the stream was cut after {self.events}") from e
            if not data:
                raise Ended(f"the stream has ended after {self.events}")
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

    def close(self) -> None:
        """
        Disconnect.
        """
        self._response.close()
        self._connection.close()


class ManyMixin(DaemonMixin):
    """
    Runs a Redis server, and daemons that keep their events in it.

    @ivar redisPort: the port of the server.
    """

    def setUp(self) -> None:
        """
        Start the server.
        """
        super().setUp()
        self.redisPort = freePort()
        self.startRedis(self.redisPort)

    def startRedis(self, port: int, *options: str) -> subprocess.Popen[Any]:
        """
        Start a Redis server that keeps nothing on the disk.

        @param options: more options, which win.
        """
        process = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def isThere() -> bool:
            assert process.poll() is None, "redis-server has ended"
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"PING\r\n")
                # Not "-LOADING ..".
                return connection.recv(1) == b"+"
            return False

        until(isThere)
        return process

    @property
    def redisURL(self) -> str:
        """
        The URL of the Redis server.
        """
        return f"redis://127.0.0.1:{self.redisPort}/0"

    def cli(self, *command: str) -> str:
        """
        Run a command of Redis.

        @return: what it answers.
        """
        done = self.run_("redis-cli", "-p", str(self.redisPort), *command)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def daemon(self, *options: str) -> tuple[subprocess.Popen[str], int]:
        """
        Start a daemon to which can be posted.

        @param options: more options.
        @return: the daemon and its port.
        """
        self.port = freePort()
        arguments = ("sse", "post", "--store", self.redisURL, "--allow-host", "localhost")
        return self.start(*FOREGROUND, *arguments, *options), self.port

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
