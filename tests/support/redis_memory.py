"""
Parts of the store in Redis without a server, for tests in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hiredis import Reader, ReplyError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_sse.store.redis.errors import Unanswered
from twisted_sse.store.redis.places import readID

__all__ = ["FakeConnection", "FakeLink", "Peer", "Streams", "encoded"]


def encoded(reply: Any) -> bytes:
    """
    @return: a reply as a server sends it (RESP2).
    """
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, Exception):
        return b"-%s\r\n" % str(reply).encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, str):
        reply = reply.encode()
    if isinstance(reply, bytes):
        return b"$%d\r\n%s\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))


class Peer:
    """
    The transport of a connection, and the server at its other end.

    @ivar asked: the commands received, and not answered yet.
    @ivar isClosed: whether our side has closed the connection.
    """

    def __init__(self, clock: Clock, protocol: Any) -> None:
        self.asked: list[list[str]] = []
        self.isClosed = False
        self._clock = clock
        self._reader = Reader()
        self.protocol = protocol
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        """
        Receive commands.
        """
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self.asked.append([each.decode("utf-8", "backslashreplace") for each in command])

    def abortConnection(self) -> None:
        """
        Close the connection, and report it in another turn, as a reactor does.
        """
        if not self.isClosed:
            self.isClosed = True
            self._clock.callLater(0, self.protocol.connectionLost, Failure(ConnectionAborted()))

    def answer(self, *replies: Any) -> list[list[str]]:
        """
        Answer the first commands.

        @return: the commands.
        """
        answered, self.asked[:] = self.asked[: len(replies)], self.asked[len(replies) :]
        assert len(answered) == len(replies), f"only these were asked: {answered}"
        self.protocol.dataReceived(b"".join(map(encoded, replies)))
        return answered

    def enter(self, *replies: Any, info: str = "redis_version:7.0.15\r\n") -> list[list[str]]:
        """
        Answer the first commands of a connection.

        @param replies: the answers to all but the last three commands.
        @param info: the answer to C{INFO}.
        """
        return self.answer(*(replies or ("PONG",)), "OK", 7, info)

    def lose(self) -> None:
        """
        Lose the connection.
        """
        self.isClosed = True
        self.protocol.connectionLost(Failure(ConnectionDone()))


class FakeConnection:
    """
    The commands on a connection.

    @ivar asked: the commands that are not answered yet, with the L{Deferred}s for their replies.
    @ivar patience: the timeout of the last command, in seconds.
    @ivar isOver: whether it was closed.
    @ivar why: the reason for closing it.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Any, ...], Deferred[list[Any]]]] = []
        self.patience = 0.0
        self.isOver = False
        self.why: str | None = None

    def ask(self, seconds: float, *commands: Any) -> Deferred[list[Any]]:
        """
        See L{Connection<twisted_sse.store.redis.connection.Connection>}.
        """
        if self.isOver:
            return fail(Unanswered(False, "it is closed"))
        self.patience = seconds
        answered: Deferred[list[Any]] = Deferred()
        self.asked.append((commands, answered))
        return answered

    def abort(self, why: str) -> None:
        """
        See L{Connection<twisted_sse.store.redis.connection.Connection>}.
        """
        self.isOver = True
        self.why = why

    def answer(self, *replies: Any) -> tuple[Any, ...]:
        """
        Answer the first command.
        """
        commands, answered = self.asked.pop(0)
        assert len(commands) == len(replies), commands
        answered.callback(list(replies))
        return commands

    def lose(self) -> None:
        """
        Lose the connection.
        """
        self.isOver = True
        asked, self.asked = self.asked, []
        for _, answered in asked:
            answered.errback(Unanswered(True, "it was lost"))


class FakeLink:
    """
    A link that connects when the test lets it.

    @ivar done: the calls that it received.
    """

    def __init__(self, up: Callable[[Any], object], down: Callable[[str], object]) -> None:
        self.up = up
        self.down = down
        self.connection: FakeConnection | None = None
        self.number: int | None = 7
        self.why: str | None = None
        self.losses = 0
        self.done: list[Any] = []

    def connect(self) -> FakeConnection:
        """
        Connect.
        """
        self.connection = FakeConnection()
        self.up(self.connection)
        return self.connection

    def disconnect(self, why: str = "lost") -> None:
        """
        Lose the connection.
        """
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.lose()
        self.why = why
        self.down(why)

    def start(self) -> None:
        """
        Record the start.
        """
        self.done.append("start")

    def stop(self) -> None:
        """
        Record the stop.
        """
        self.done.append("stop")
        if self.connection is not None:
            self.connection.lose()
            self.connection = None

    def confirm(self) -> None:
        """
        Record that it works.
        """
        self.done.append("confirm")
        self.why = None

    def renew(self, why: str) -> None:
        """
        Record that it should reconnect.
        """
        self.done.append("renew")
        if self.connection is not None:
            self.connection.abort(why)

    def move(self, host: str, port: int) -> None:
        """
        Record the address to connect to.
        """
        self.done.append((host, port))
        if self.connection is not None:
            self.connection.abort("moved")


class Streams:
    """
    Answers commands about one stream immediately, in place of L{Commands
    <twisted_sse.store.redis.commands.Commands>}.

    @ivar entries: the entries: the ID, and the names and values of the fields in turn.
    @ivar asked: all commands.
    @ivar refusal: an error with which every command is answered.
    @ivar failure: the failure of every command.
    """

    def __init__(self, clock: IReactorTime | None = None) -> None:
        self.entries: list[list[Any]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: str | None = None
        self.failure: Exception | None = None
        self.before: Callable[[], object] = int
        self._last = (0, 0)

    def add(self, *fields: bytes, id: str = "*") -> str:
        """
        Add an entry.
        """
        ms, seq = (1000, self._last[1] + 1) if id == "*" else map(int, id.split("-"))
        if (ms, seq) <= self._last:
            raise ReplyError("ERR The ID specified in XADD is equal or smaller")
        self._last = ms, seq
        self.entries.append([b"%d-%d" % (ms, seq), list(fields)])
        return f"{ms}-{seq}"

    def ask(
        self, *commands: tuple[Any, ...], isRepeatable: bool = False, isOrdered: bool = False
    ) -> Deferred[list[Any]]:
        """
        See L{Commands<twisted_sse.store.redis.commands.Commands>}.
        """
        self.before()
        self.asked += commands
        if self.failure is not None:
            return fail(self.failure)
        if self.refusal is not None:
            return succeed([ReplyError(self.refusal) for _ in commands])
        return succeed([self._do(command) for command in commands])

    def _do(self, command: Sequence[Any]) -> Any:
        name, *rest = command
        if name == "TIME":
            return [b"1", b"0"]
        if name == "XADD":
            rest = rest[rest.index("*") :] if "*" in rest else rest[1:]
            try:
                return self.add(*(str(each).encode() for each in rest[1:]), id=rest[0]).encode()
            except ReplyError as error:
                return error
        if name in ("XRANGE", "XREVRANGE"):
            _, first, last, _, count = rest
            if name == "XRANGE":
                start = self._from(first)
                return [list(each) for each in self.entries[start : start + count]]
            end = len(self.entries) if first == "+" else self._from(first) + 1
            assert last == "-"
            return [list(each) for each in self.entries[:end][::-1][:count]]
        return b"OK"

    def _from(self, id: str | bytes) -> int:
        if id == "-":
            return 0
        at = readID(id if isinstance(id, bytes) else id.encode())
        return sum(readID(each) < at for each, _ in self.entries)
