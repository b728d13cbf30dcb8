"""
A Redis server for a test, and the faults it may have.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from contextlib import suppress
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from hiredis import Reader, ReplyError, pack_command
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.live import freePort, reactor, until
from tests.support.patience import PATIENCE
from twisted_sse.store import RedisStore

__all__ = ["Entry", "Proxy", "RedisServer", "RedisTestCase", "Sentinel"]

#: An entry of a stream: its ID, and its fields.
Entry = tuple[str, dict[str, str]]


class RedisServer:
    """
    A server that listens on a UNIX socket in its own directory, and on request on a port.

    @ivar path: the UNIX socket.
    @ivar url: its URL.
    @ivar port: the port; 0 for none.
    @ivar directory: where its files are.
    @ivar arguments: more arguments of C{redis-server}, for the next start.
    @ivar environment: environment variables, for the next start.
    """

    def __init__(self, test: SynchronousTestCase, *arguments: str, tcp: bool = False) -> None:
        """
        @param tcp: whether it listens on a port.
        """
        self.directory = mkdtemp(prefix="twisted-sse-redis-")
        self.path = os.path.join(self.directory, "socket")
        self.port = freePort() if tcp else 0
        self.url = f"unix://{self.path}"
        self.environment: dict[str, str] = {}
        self.password = ""
        self.arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        test.addCleanup(self._remove)

    def _remove(self) -> None:
        self.kill()
        rmtree(self.directory)

    def begin(self) -> None:
        """
        Start the server, without waiting until it answers.
        """
        # Not the shell's pipes: they would stay open while the server runs.
        self._process = subprocess.Popen(
            ["redis-server", *self._first(), *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )

    def _first(self) -> list[str]:
        return [
            *("--port", str(self.port), "--unixsocket", self.path, "--bind", "127.0.0.1"),
            *("--dir", self.directory, "--save", "", "--enable-debug-command", "local"),
        ]

    async def start(self) -> RedisServer:
        """
        Start the server, and wait until it answers.
        """
        self.begin()
        await until(self.isReady, "Redis has started", PATIENCE)
        return self

    def isReady(self) -> bool:
        """
        Whether it answers.
        """
        assert self._process is not None and self._process.poll() is None, "Redis has ended"
        try:
            return self.ask("PING") == "PONG"
        except OSError:
            return False
        except ReplyError as error:
            assert str(error).startswith("LOADING"), error
            return False

    def ask(self, *command: object) -> Any:
        """
        Send a command, and wait for the answer.

        @raise ReplyError: if it is an error.
        """
        return self.askAll(command)[0]

    def askAll(self, *commands: tuple[object, ...]) -> list[Any]:
        """
        Send commands, and wait for the answers.

        @raise ReplyError: the first that is an error.
        """
        reader = Reader(encoding="utf-8", errors="surrogateescape")
        replies: list[Any] = []
        login = [("AUTH", self.password)] if self.password else []
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(self.path)
            sent: list[Any] = [*login, *commands]
            connection.sendall(b"".join([pack_command(each) for each in sent]))
            while len(replies) < len(sent):
                data = connection.recv(2**16)
                if not data:
                    raise ConnectionError("Redis has closed the connection")
                reader.feed(data)
                while (reply := reader.gets()) is not False:
                    if isinstance(reply, ReplyError):
                        raise reply
                    replies.append(reply)
        return replies[len(login) :]

    def cli(self, *arguments: str) -> str:
        """
        Run C{redis-cli}, as a shell would.

        @return: what it prints.
        """
        ran = subprocess.run(
            ["redis-cli", "-s", self.path, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        return ran.stdout.strip()

    def kill(self) -> None:
        """
        Kill the server.
        """
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            # A stopped process ends all the same.
            process.wait()
            with suppress(FileNotFoundError):
                os.remove(self.path)

    def stop(self) -> None:
        """
        Freeze the server: it neither answers nor closes connections.
        """
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def goOn(self) -> None:
        """
        Resume the server.
        """
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def replication(self) -> dict[str, str]:
        """
        @return: its report about its master and replicas.
        """
        lines = self.ask("INFO", "replication").splitlines()
        return {name: value for name, _, value in (line.partition(":") for line in lines)}

    def entries(self, key: str, after: str = "") -> list[Entry]:
        """
        @param after: the ID of an entry; empty for the position before the first.
        @return: the entries of a stream that follow that one.
        """
        return [
            (identifier, dict(zip(fields[::2], fields[1::2], strict=True)))
            for identifier, fields in self.ask("XRANGE", key, f"({after}" if after else "-", "+")
        ]

    def last(self, key: str) -> str:
        """
        @return: the ID of the last entry of a stream.
        """
        [(identifier, _)] = self.ask("XREVRANGE", key, "+", "-", "COUNT", 1)
        return str(identifier)

    def connections(self) -> list[str]:
        """
        @return: the names of the stores' connections.
        """
        return re.findall(r" name=(twisted-sse:\S+)", self.ask("CLIENT", "LIST"))


class Sentinel(RedisServer):
    """
    A Sentinel, which watches a server, and promotes a replica when the server ends.
    """

    def __init__(self, test: TestCase, watched: RedisServer, *arguments: str) -> None:
        super().__init__(test, *arguments, tcp=True)
        self._watched = watched.port
        self.url = f"redis+sentinel://127.0.0.1:{self.port}/main"

    def _first(self) -> list[str]:
        # It writes to this file.
        path = os.path.join(self.directory, "sentinel.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                f"port {self.port}\nunixsocket {self.path}\nbind 127.0.0.1\n"
                f"dir {self.directory}\n"
                f"sentinel monitor main 127.0.0.1 {self._watched} 1\n"
                "sentinel down-after-milliseconds main 300\n"
                "sentinel failover-timeout main 2000\n"
            )
        return [path, "--sentinel"]


class _Half(Protocol):
    """
    One end of a connection through a proxy.
    """

    transport: Any

    def __init__(self, proxy: Proxy, other: _Half | None) -> None:
        self._proxy = proxy
        self._other = other
        self._waiting: list[bytes] = []
        self._isOver = False

    def connectionMade(self) -> None:
        """
        Connect the other end.
        """
        self._proxy.halves[self] = None
        if self._other is not None:
            self._other._other = self
            self._other.flush()
        elif not self._proxy.isCut:
            self.reach()

    def reach(self) -> None:
        """
        Connect to the server.
        """
        factory = Factory.forProtocol(lambda: _Half(self._proxy, self))
        factory.noisy = False
        reactor.connectUNIX(self._proxy.to, _once(factory))

    def dataReceived(self, data: bytes) -> None:
        """
        Forward it, unless the network is cut.
        """
        self._waiting.append(data)
        self.flush()

    def flush(self) -> None:
        """
        Forward the received bytes.
        """
        if self._other is not None and not self._proxy.isCut:
            self._other.transport.write(b"".join(self._waiting))
            self._waiting.clear()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Close the other end, unless the network is cut.
        """
        self._isOver = True
        self._proxy.halves.pop(self, None)
        if self._other is not None and not self._proxy.isCut:
            self._other.transport.loseConnection()


def _once(factory: Factory) -> Any:
    from twisted.internet.protocol import ClientFactory

    client = ClientFactory()
    client.noisy = False
    client.buildProtocol = factory.buildProtocol  # type: ignore[method-assign]
    return client


class Proxy:
    """
    A network between a store and a server, which can be cut: then nothing arrives, and no
    connection closes.

    @ivar url: the URL of the server through it.
    @ivar to: the UNIX socket of the server.
    @ivar isCut: whether it is cut.
    """

    def __init__(self, test: TestCase, server: RedisServer) -> None:
        self.to = server.path
        self.isCut = False
        self.halves: dict[_Half, None] = {}
        factory = Factory.forProtocol(lambda: _Half(self, None))
        factory.noisy = False
        self._port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.url = f"redis://127.0.0.1:{self._port.getHost().port}"
        test.addCleanup(self._close)

    def cut(self) -> None:
        """
        Cut the network.
        """
        self.isCut = True

    def mend(self) -> None:
        """
        Restore the network: data sent meanwhile arrives now.
        """
        self.isCut = False
        for half in list(self.halves):
            if half._other is None:
                half.reach()
            elif half._other._isOver:
                half.transport.loseConnection()
            else:
                half.flush()

    def _close(self) -> Any:
        self.isCut = False
        for half in list(self.halves):
            half.transport.abortConnection()
        return self._port.stopListening()


class RedisTestCase(TestCase):
    """
    A test of stores with its own Redis server.

    @ivar arguments: the arguments of the server.
    @ivar server: the server.
    """

    timeout = 3 * PATIENCE

    arguments: tuple[str, ...] = ()

    def setUp(self) -> Any:
        """
        Start the server.
        """
        self._logged: list[LogEvent] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)
        self.server = RedisServer(self, *self.arguments)
        self.server.begin()
        return until(self.server.isReady, "Redis has started")

    def _observe(self, event: LogEvent) -> None:
        if event["log_namespace"].startswith("twisted_sse."):
            self._logged.append(event)

    def store(self, url: str = "", timeout: float = 0.5, **options: Any) -> RedisStore:
        """
        Make a store, which is closed when the test ends.
        """
        options = {"prefix": "t:", "timeout": timeout, **options}
        store = RedisStore(url or self.server.url, **options)
        self.addCleanup(store.close)
        return store

    def flushLogged(self) -> list[str]:
        """
        @return: the log messages about stores and channels since the last call.
        """
        logged, self._logged[:] = [eventAsText(event) for event in self._logged], []
        return logged
