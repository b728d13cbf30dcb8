"""
Connecting to Redis servers: over TCP, TLS or UNIX sockets, and to the one that Sentinels name.
"""

from __future__ import annotations

import os
from typing import Any

from hiredis import ReplyError
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from .address import Address, readPassword
from .connection import Command, Connection
from .errors import said

__all__ = ["CANCELLED", "CannotConnect", "connect", "reason"]

#: What something fails with that is cancelled: connecting has an error of its own.
CANCELLED = CancelledError, ConnectingCancelledError


class CannotConnect(Exception):
    """
    There is no connection to the server.
    """


def reason(error: Exception) -> str:
    """
    @return: why there is no connection, for people.
    """
    if isinstance(error, ConnectError) and error.osError:
        # Twisted's own words come before these, and say the same.
        return os.strerror(error.osError)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be read: {error.strerror}"
    # Twisted's own end with a full stop, and are put into sentences.
    return str(error).rstrip(".") or type(error).__name__


async def connect(
    address: Address, reactor: Any, timeout: float, moved: tuple[str, int] | None
) -> Connection:
    """
    Connect to a server.

    @param timeout: how many seconds connecting, and each answer of a Sentinel, may take.
    @param moved: which server of a cluster it must be; L{None} for that of the address.
    @return: a connection that is not logged in.
    """
    if moved is not None:
        return await _connectTo(address, reactor, timeout, *moved)
    if address.service:
        return await _connectTo(address, reactor, timeout, *await _ask(address, reactor, timeout))
    if address.path:
        endpoint = UNIXClientEndpoint(reactor, address.path, timeout)
        return await _open(endpoint, reactor)
    return await _connectTo(address, reactor, timeout, *address.hosts[0])


async def _connectTo(
    address: Address, reactor: Any, timeout: float, host: str, port: int
) -> Connection:
    # An address needs no thread, which an application may have none left of, to find out what it is.
    kind: Any = HostnameEndpoint
    if isIPAddress(host):
        kind = TCP4ClientEndpoint
    elif isIPv6Address(host):
        kind = TCP6ClientEndpoint
    endpoint = kind(reactor, host, port, timeout)
    if address.isTLS:
        endpoint = wrapClientTLS(_trust(address, host), endpoint)
    return await _open(endpoint, reactor)


class _Factory(Factory):
    """
    Makes connections, and says nothing of each in the log.
    """

    noisy = False

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        """
        See L{Factory}.
        """
        return Connection(self._reactor)


async def _open(endpoint: IStreamClientEndpoint, reactor: Any) -> Connection:
    connection: Any = await endpoint.connect(_Factory(reactor))
    return connection  # type: ignore[no-any-return]


async def _ask(address: Address, reactor: Any, timeout: float) -> tuple[str, int]:
    """
    Ask the Sentinels which server is the master (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
    """
    why = "no Sentinel was asked"
    password = readPassword(address.sentinelPassword, address.sentinelPasswordFile)
    for host, port in address.hosts:
        commands: list[Command] = []
        if password:
            commands.append(("AUTH", password))
        commands.append(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service))
        try:
            connection = await _connectTo(address, reactor, timeout, host, port)
            try:
                replies = await connection.ask(timeout, *commands)
            finally:
                connection.abort("the Sentinel was asked")
            reply = replies[-1]
            if isinstance(reply, ReplyError):
                # If logging in has failed, that is why.
                first = next(each for each in replies if isinstance(each, ReplyError))
                why = f"{host}:{port}: {said(first, password)}"
            elif reply is None:
                why = f"{host}:{port} does not know {address.service!r}"
            else:
                master, number = reply
                return master.decode(), int(number)
        except CANCELLED:
            raise
        except Exception as e:
            why = f"{host}:{port}: {reason(e)}"
    raise CannotConnect(f"no Sentinel knows the master: {why}")


def _trust(address: Address, host: str) -> Any:
    from twisted.internet import ssl

    trusted = None
    if address.authorities:
        trusted = ssl.trustRootFromCertificates(
            [ssl.Certificate.loadPEM(each) for each in _certificates(address.authorities)]
        )
    mine = None
    if address.certificate:
        with open(address.certificate, "rb") as file:
            pem = file.read()
        if address.key:
            with open(address.key, "rb") as file:
                pem += b"\n" + file.read()
        mine = ssl.PrivateCertificate.loadPEM(pem)
    return ssl.optionsForClientTLS(host, trusted, mine)


def _certificates(path: str) -> list[bytes]:
    end = b"-----END CERTIFICATE-----"
    with open(path, "rb") as file:
        parts = file.read().split(end)[:-1]
    if not parts:
        raise CannotConnect(f"{path} contains no certificates")
    return [part + end for part in parts]
