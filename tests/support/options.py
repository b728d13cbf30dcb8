"""
The daemon in memory, made from its command line.
"""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import EventStream
from twisted_sse.daemon import Options, makeService, service
from twisted_sse.testing import MemoryClient, MemoryClock

ACCEPT = {"Accept": "text/event-stream"}

#: What Firefox, Chromium and Safari send when the user opens a page.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def connected(stream: EventStream) -> list[str]:
    """
    Return the events of a simple source.
    """
    return ["first", "last"]


SOURCE = f"python:{__name__}:connected"


def site(reactor: Any) -> Any:
    """
    @return: the site on the first port of a reactor.
    """
    return reactor.tcpServers[0][1]


def password(user: str = "alice", secret: str = "wonderland") -> dict[str, str]:
    """
    @return: the headers of a request with a user name and a password.
    """
    both = base64.b64encode(f"{user}:{secret}".encode()).decode("ascii")
    return {**ACCEPT, "Authorization": f"Basic {both}"}


class DaemonReactor(MemoryClock):
    """
    A clock that records the listening ports, for a daemon and its clients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryReactorClock()
        self.tcpServers = self.memory.tcpServers
        self.stops = 0

    def listenTCP(self, *arguments: Any, **more: Any) -> Any:
        """
        Only record the call.
        """
        return self.memory.listenTCP(*arguments, **more)

    def callWhenRunning(self, *arguments: Any) -> None:
        """
        Ignore the call: signals are not for tests.
        """

    def spawnProcess(self, *arguments: Any, **more: Any) -> Any:
        """
        Fail as a machine with too many processes does.
        """
        raise OSError(11, "Resource temporarily unavailable")

    def addReader(self, reader: Any) -> None:
        """
        Keep the reader.
        """
        self.reader = reader

    def removeReader(self, reader: Any) -> None:
        """
        Ignore the call.
        """

    def stop(self) -> None:
        """
        Count the calls.
        """
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class OptionsMixin(SynchronousTestCase):
    """
    Parses command lines.
    """

    def setUp(self) -> None:
        """
        Keep the module search path and the limit on open files unchanged.
        """
        self.patch(sys, "path", sys.path[:])
        self.patch(service, "raiseFileLimit", lambda: None)

    def options(self, *arguments: str) -> Options:
        """
        @return: the options of a valid command line.
        """
        options = Options()
        options.parseOptions(arguments)
        return options

    def refusal(self, *arguments: str) -> str:
        """
        @return: the line printed for an invalid command line.
        """
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        exit = self.assertRaises(
            SystemExit, lambda: makeService(self.options(*arguments), MemoryReactorClock())
        )
        self.assertEqual(exit.code, 64)
        (line,) = stderr.getvalue().splitlines()
        return line

    def client(self, *arguments: str) -> MemoryClient:
        """
        @return: a client of the daemon with these options.
        """
        reactor: Any = DaemonReactor()
        makeService(self.options(*arguments), reactor)
        return MemoryClient(site(reactor).resource, clock=reactor)
