"""
Where the daemon listens.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..stream.peer import setProbes

__all__ = ["CannotListen", "Endpoint", "ListeningService", "endpointOf", "freePort"]

#: How many connections may wait to be accepted.  Twisted's 50 are too few when all clients
#: reconnect after a restart: the kernel drops the others, which try again after one second, or
#: three, or seven.  Linux takes at most C{net.core.somaxconn}, by default 4096.
BACKLOG = 4096

#: The backlog that Twisted uses if the endpoint's description has none.
TWISTEDS_BACKLOG = 50

_log = Logger()


class Endpoint(NamedTuple):
    """
    A place to listen, and the option of the command line that names it.

    @ivar option: the name of the option.
    @ivar value: its value, as the user wrote it.
    @ivar description: the endpoint, as L{serverFromString} reads it.
    """

    option: Literal["port", "listen", "admin"]
    value: str
    description: str

    def __str__(self) -> str:
        return f"--{self.option} {self.value}"


class CannotListen(Exception):
    """
    It is not possible to listen on an endpoint.  The message says why.

    @ivar isInUse: whether another program listens there.

    @since: 0.2
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.isInUse = why == _IN_USE


class ListeningService(Service):
    """
    Listens on endpoints, from L{listen} until the service is stopped.

    Other services begin to listen when they are started.  C{twistd} starts its services after it
    has become a daemon and has closed its standard error, so a failure would look like success
    to its caller.  Listening early also opens ports below 1024 before root's rights are given
    up.  Clients wait in the backlog until the reactor runs.

    @since: 0.2
    """

    def __init__(
        self,
        reactor: Any,
        stallTimeout: float | None = None,
        opened: Callable[[IListeningPort], object] | None = None,
        makeEndpoint: Callable[[Any, str], Any] | None = None,
    ) -> None:
        """
        @param reactor: the reactor to listen with.
        @param stallTimeout: see L{setProbes}.
        @param opened: called with each port that has been opened.
        @param makeEndpoint: makes an endpoint of the reactor from its description, if not L{endpointOf}.
        """
        self._reactor = reactor
        self._stallTimeout = stallTimeout
        self._tell = opened
        self._makeEndpoint = endpointOf if makeEndpoint is None else makeEndpoint
        self._ports: list[IListeningPort] = []
        self._process = os.getpid()

    @property
    def ports(self) -> tuple[IListeningPort, ...]:
        """
        The ports that are open.
        """
        return tuple(self._ports)

    def listen(self, description: str, factory: IProtocolFactory) -> IListeningPort | None:
        """
        Listen on one more endpoint.

        @param description: as for L{serverFromString}.
        @param factory: the factory of what is served there.
        @return: the port; L{None} if it is not open yet.
        @raise CannotListen: if it is not possible.
        """
        try:
            endpoint = self._makeEndpoint(self._reactor, description)
        except LookupError as e:
            if description.startswith("systemd:"):
                raise CannotListen(_NOT_PASSED) from e
            raise CannotListen(_explain(e)) from e
        except Exception as e:
            raise CannotListen(_explain(e)) from e
        refusals: list[Failure] = []
        before = len(self._ports)
        opening = maybeDeferred(endpoint.listen, factory).addCallback(self._opened)
        opening.addErrback(refusals.append)
        if refusals:
            raise CannotListen(_explain(refusals[0].value))
        # Twisted's own endpoints have answered by now.  Others may take minutes (Tor's do).
        opening.addCallback(lambda _: self._refusedLate(description, refusals))
        return self._ports[before] if len(self._ports) > before else None

    def _opened(self, port: IListeningPort) -> None:
        self._ports.append(port)
        if self._tell is not None:
            self._tell(port)
        listening = getattr(port, "socket", None)
        if isinstance(listening, socket.socket):
            if getattr(port, "backlog", None) == TWISTEDS_BACKLOG:
                listening.listen(BACKLOG)
            if listening.family in (socket.AF_INET, socket.AF_INET6):
                setProbes(listening, self._stallTimeout)

    def _refusedLate(self, description: str, refusals: list[Failure]) -> None:
        for failure in refusals:
            _log.failure("Cannot listen on {description}", failure, description=description)

    def privilegedStartService(self) -> None:
        """
        Take over the locks of UNIX sockets, if C{twistd} has become a daemon, and so is another
        process now.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        if os.getpid() != self._process:
            self._process = os.getpid()
            for port in self._ports:
                # The lock names the process that holds it.  When that process has ended, any
                # other may take the lock.
                lock = getattr(port, "lockFile", None)
                if lock is not None:
                    os.remove(lock.name)
                    lock.lock()

    def stopService(self) -> Deferred[Any]:
        """
        Close the ports.

        @return: a L{Deferred} that fires when they are closed.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


def endpointOf(reactor: Any, description: str) -> Any:
    """
    Make an endpoint.

    @param description: as for L{serverFromString}.
    """
    endpoint = serverFromString(reactor, description)
    family = getattr(endpoint, "addressFamily", None)
    if isinstance(endpoint, AdoptedStreamServerEndpoint) and family == socket.AF_UNIX:
        # Twisted would take the file for its own.
        from .inherited import InheritedEndpoint

        return InheritedEndpoint(reactor, endpoint.fileno)
    return endpoint


_NOT_PASSED = "systemd passed no such socket: start the service through its socket unit"

_IN_USE = "it is already in use; stop the other program or choose another"


def freePort(after: int, host: str) -> int:
    """
    Find a port to suggest in place of one that is in use.

    @param host: the address to listen on.
    @return: the next port that is free now; 0, for any free port, if there is none nearby.

    @since: 0.2
    """
    for port in range(after + 1, min(after + 100, 2**16)):
        with socket.socket() as tried:
            try:
                tried.bind((host, port))
            except OSError:
                continue
            return port
    return 0


def _explain(error: BaseException | None) -> str:
    """
    @return: why it is not possible, for the user who has written the description.
    """
    if isinstance(error, CannotListenError):
        cause = error.socketError
        # For a UNIX socket whose lock is held, the cause is a string.
        number = getattr(cause, "errno", errno.EADDRINUSE)
        if number == errno.EADDRINUSE:
            return _IN_USE
        if number == errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        if number == errno.EACCES and isinstance(error.port, int):
            return "permission denied: ports below 1024 need root; try a higher one, such as 8080"
        return getattr(cause, "strerror", None) or str(cause)
    if isinstance(error, OSError):
        # If there are two names, the second is that of a link, such as a UNIX socket's lock.
        name = error.filename2 or error.filename
        where = f"{os.fsdecode(name)}: " if isinstance(name, (str, bytes)) else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, ImportError):
        return f"TLS is not installed ({error}): pip install 'twisted-sse[tls]'"
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, (LookupError, OverflowError, TypeError, ValueError)):
        return (
            f"it is not a known endpoint ({why}); expected an endpoint such as"
            " tcp:8080:interface=127.0.0.1, unix:/run/sse.sock or"
            " ssl:8443:privateKey=key.pem:certKey=cert.pem"
        )
    return f"its key and certificate cannot be used ({why})"
