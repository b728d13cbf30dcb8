"""
The shared parts of the servers on Twisted: they listen, publish at a rate, and report their state.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable

from pace import Pace
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.server import Request, Site

__all__ = ["isFull", "publishing", "say", "serve", "whenThere"]


def say(**values: object) -> None:
    """
    Report to the parent process, in one line.
    """
    print(json.dumps(values), flush=True)


def whenThere(count: Callable[[], int], wanted: int, then: Callable[[], object]) -> None:
    """
    Do something once all clients are connected.

    @param count: returns the number of clients.
    @param wanted: the wanted number of clients.
    """

    def look() -> None:
        if count() >= wanted:
            looking.stop()
            then()

    looking = LoopingCall(look)
    looking.start(0.1, now=False)


def publishing(rate: float, publish: Callable[[int], object]) -> None:
    """
    Publish at a rate.

    @param rate: events per second.
    @param publish: called with the moment at which the event was due.
    """
    pace = Pace(rate)

    def tick() -> None:
        for moment in pace.due():
            publish(moment)
        reactor.callLater(pace.wait(), tick)

    tick()


def isFull(request: Request) -> bool:
    """
    Whether a request has unsent data for its client.
    """
    transport = request.transport
    return bool(transport.dataBuffer or transport._tempDataBuffer)


def serve(site: Site, port: int, report: Callable[[], None], sendBuffer: int | None = None) -> None:
    """
    Serve until the process is killed.

    @param report: called on SIGUSR1.
    @param sendBuffer: the size of the kernel's buffer for each client, in bytes, in place of its
        default.
    """
    signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(report))
    listening = reactor.listenTCP(port, site, backlog=4096, interface="127.0.0.1")
    if sendBuffer is not None:
        # The sockets that it accepts inherit it.
        listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
    reactor.run()
