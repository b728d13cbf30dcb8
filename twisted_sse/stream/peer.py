"""
Whether the peer of a connection is still there, as far as the kernel knows.

A peer that vanishes without a word, such as a phone without a network, acknowledges nothing any
more; but the kernel goes on taking what we send, for minutes and until its buffer is full.  So we
ask it.  On systems where it cannot be asked, its own limits apply.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from twisted.internet import tcp

from .transport import socketBelow

if TYPE_CHECKING:
    from twisted.web.http import Request as HTTPRequest

__all__ = ["GRACE", "KEEPALIVE", "probePeer", "seemsGone", "setProbes"]

#: After how many idle seconds the kernel probes whether the peer is still there, at which
#: interval it repeats that, and after how many unanswered probes it closes the connection.  This
#: is for connections that wait for a request, and for streams without a heartbeat.  The kernel
#: sends no probes while data is not acknowledged: TCP_USER_TIMEOUT is for that.
KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))

#: How much later than we do the kernel gives up a peer that acknowledges nothing, in seconds.
#: Twisted does not say why a connection was lost, so that we should be first.
GRACE = 15

#: The parts of C{struct tcp_info} (Linux, C{linux/tcp.h}) that we need: C{tcpi_retransmits} and
#: C{tcpi_probes}, each one byte.
RETRANSMITS, PROBES = 2, 3


def setProbes(connection: socket.socket, stallTimeout: float | None) -> None:
    """
    Let the kernel close the connection of a peer that has vanished.

    @param connection: a TCP socket, which may be a listening one: what it accepts inherits this.
    @param stallTimeout: after how many seconds we do that ourselves; L{None} for never.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = list(KEEPALIVE)
    if stallTimeout is not None:
        milliseconds = round((stallTimeout + GRACE) * 1000)
        options.append(("TCP_USER_TIMEOUT", min(milliseconds, 2**31 - 1)))
    for name, value in options:
        # Not every platform has all of them.
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def probePeer(request: HTTPRequest, stallTimeout: float | None) -> bool:
    """
    Do the same as L{setProbes} for the connection of a request, if it is a TCP connection.

    @return: whether L{seemsGone} can tell anything about it.
    """
    connection = _connection(request)
    if connection is None:
        return False
    try:
        setProbes(connection, stallTimeout)
    except OSError:
        # It was closed already.
        return False
    return hasattr(socket, "TCP_INFO")


def seemsGone(request: HTTPRequest) -> bool:
    """
    Whether the peer of a request's connection does not answer at present: the kernel repeats what
    it has not acknowledged.  That happens on a bad network, too, for a moment.
    """
    connection = _connection(request)
    if connection is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, PROBES + 1)
    except OSError:
        return False
    return bool(information[RETRANSMITS] or information[PROBES])


def _connection(request: HTTPRequest) -> socket.socket | None:
    transport = socketBelow(request)
    if type(transport) is not tcp.Server:
        return None
    # A transport that is closed has no socket.
    connection: socket.socket | None = getattr(transport, "socket", None)
    return connection
