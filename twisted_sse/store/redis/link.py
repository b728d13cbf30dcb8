"""
Keeping a connection to a Redis server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from hiredis import ReplyError
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ...timing.backoff import Backoff
from .address import Address, readPassword
from .connection import Command, Connection
from .endpoints import CANCELLED, CannotConnect, connect, reason
from .errors import said

__all__ = ["BACKOFF", "Link", "Server"]

#: How long to wait before connecting again, in seconds.
BACKOFF = Backoff(initial=0.1, maximum=1.0, jitter=0.5)

_T = TypeVar("_T")

#: The oldest version that has all that we need (XTRIM MINID).
OLDEST = (6, 2)


class Server:
    """
    What a server says of itself.

    @ivar version: its version, such as C{"7.0.15"}; empty if it does not say.
    @ivar policy: what it does when its memory is full; empty if it does not say.
    @ivar role: C{"master"} or C{"slave"}; empty if it does not say.
    @ivar isSentinel: whether it is a Sentinel, which keeps nothing itself.
    """

    def __init__(self, told: bytes) -> None:
        """
        @param told: its answer to C{INFO}.
        """

        def find(name: str) -> str:
            found = re.search(rf"^{name}:([^\r\n]*)", told.decode("utf-8", "replace"), re.MULTILINE)
            return found[1].strip() if found else ""

        self.version = find("redis_version")
        self.policy = find("maxmemory_policy")
        self.role = find("role")
        self.isSentinel = find("redis_mode") == "sentinel"

    @property
    def isOld(self) -> bool:
        """
        Whether it has not all that we need.
        """
        found = re.match(r"(\d+)\.(\d+)", self.version)
        return found is not None and (int(found[1]), int(found[2])) < OLDEST


class Link:
    """
    Connects to a server, logs in, and does so again whenever the connection is lost.

    @ivar connection: the connection; L{None} while there is none.
    @ivar number: by which the server knows the connection; L{None} if it does not say.
    @ivar server: what the server says of itself.
    @ivar why: why there is no connection.
    @ivar losses: how often it was lost.
    """

    def __init__(
        self,
        address: Address,
        reactor: Any,
        timeout: float,
        name: str,
        up: Callable[[Connection], object],
        down: Callable[[str], object],
    ) -> None:
        """
        @param timeout: how many seconds the server may take to answer.
        @param name: what the server calls the connection.
        @param up: called with each connection, logged in.  Then C{confirm} must be called as soon
            as it is known that it is of use: until then there is trouble.
        @param down: called when it is lost, and when connecting fails, with the reason; but not
            when it is replaced.
        """
        self.connection: Connection | None = None
        self.number: int | None = None
        self.server = Server(b"")
        self.why: str | None = None
        self.losses = 0
        self._address = address
        self._reactor = reactor
        self._timeout = timeout
        self._name = name
        self._up = up
        self._down = down
        self._keeping: Deferred[None] | None = None
        # Which server of a cluster has the keys, if it is another.
        self._moved: tuple[str, int] | None = None
        self._isReplacing = False
        self._isConfirmed = False
        self._isStopped = False
        self._isTelling = False
        # How often it has failed since there was a connection of use.
        self._failures = 0

    def start(self) -> None:
        """
        Connect.
        """
        if self._keeping is None:
            self._keeping = Deferred.fromCoroutine(self._keep())
            self._keeping.addErrback(_ended)

    def stop(self) -> None:
        """
        Disconnect permanently.
        """
        self._isStopped = True
        connection, self.connection = self.connection, None
        # The callback may stop it, while nothing is waited for.
        if self._keeping is not None and not self._isTelling:
            self._keeping.cancel()
        if connection is not None:
            connection.abort("the store was closed")

    def confirm(self) -> None:
        """
        The connection is of use.
        """
        self._isConfirmed = True
        self._failures = 0
        self.why = None

    def renew(self, why: str) -> None:
        """
        Connect again, at once: the name of the server may mean another one by now.
        """
        if self.connection is not None:
            self._isReplacing = self._isConfirmed
            self.connection.abort(why)

    def move(self, host: str, port: int) -> None:
        """
        Connect to another server of the cluster.

        @param host: its name or address; empty for that of this server.
        """
        before = self._moved or (self._address.hosts or (("", 0),))[0]
        isFirst = self._moved is None
        self._moved = host or before[0], port
        self.renew(
            f"the keys are on {self._moved[0]}:{port}"
            if isFirst
            else said(ReplyError("MOVED again"))
        )
        self._isReplacing |= isFirst

    def _tell(self, told: Callable[[_T], object], what: _T) -> bool:
        """
        @return: whether to go on: the callback may have stopped us.
        """
        self._isTelling = True
        told(what)
        self._isTelling = False
        return not self._isStopped

    async def _keep(self) -> None:
        while True:
            try:
                connection = await connect(self._address, self._reactor, self._timeout, self._moved)
                await self._enter(connection)
            except CANCELLED:
                raise
            except Exception as e:
                # After a failover it may be where it was at first.
                self._moved = None
                why = reason(e)
            else:
                self.connection = connection
                self._isConfirmed = self._isReplacing = False
                if not self._tell(self._up, connection):
                    return
                why = await connection.lost
                self.connection = None
                if self._isReplacing:
                    continue
                self.losses += 1
            self.why = why
            if not self._tell(self._down, why):
                return
            self._failures += 1
            await deferLater(self._reactor, BACKOFF.afterFailure(self._failures, None))

    async def _enter(self, connection: Connection) -> None:
        """
        Log in.
        """
        address = self._address
        commands: list[Command] = []
        password = readPassword(address.password, address.passwordFile)
        if password:
            user = [address.user] if address.user else []
            commands.append(("AUTH", *user, password))
        if address.database:
            commands.append(("SELECT", address.database))
        commands.append(("PING",))
        # These may be forbidden.
        wishes: list[Command] = [
            ("CLIENT", "SETNAME", self._name),
            ("CLIENT", "ID"),
            ("INFO",),
        ]
        try:
            replies = await connection.ask(self._timeout, *commands, *wishes)
            for reply in replies[: len(commands)]:
                if isinstance(reply, ReplyError):
                    raise CannotConnect(said(reply, password))
            *_, number, told = replies
            self.number = number if isinstance(number, int) else None
            self.server = Server(told if isinstance(told, bytes) else b"")
            if self.server.isOld:
                raise CannotConnect(f"it is Redis {self.server.version}: 6.2 or newer is required")
            if self.server.isSentinel:
                raise CannotConnect(
                    "it is a Sentinel: the URL must be redis+sentinel://HOST/SERVICE"
                )
            if address.service and self.server.role not in ("", "master"):
                raise CannotConnect("the server that the Sentinels name is not the master")
        except BaseException as e:
            connection.abort(str(e))
            raise


def _ended(failure: Failure) -> None:
    failure.trap(*CANCELLED)
