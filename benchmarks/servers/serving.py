"""
What the servers on Twisted share: they listen, publish at a rate, and say how they are.
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
    Tell who started us, in one line.
    """
    print(json.dumps(values), flush=True)


def whenThere(count: Callable[[], int], wanted: int, then: Callable[[], object]) -> None:
    """
    Do something when all clients are there.

    @param count: says how many there are.
    @param wanted: how many there are to be.
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
    Whether the client of a request has not taken what was written to it.
    """
    transport = request.transport
    return bool(transport.dataBuffer or transport._tempDataBuffer)


def serve(site: Site, port: int, report: Callable[[], None], sendBuffer: int | None = None) -> None:
    """
    Serve until we are killed.

    @param report: called on SIGUSR1.
    @param sendBuffer: how much the kernel shall hold for each client, in bytes, instead of
        what it finds good.
    """
    signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(report))
    listening = reactor.listenTCP(port, site, backlog=4096, interface="127.0.0.1")
    if sendBuffer is not None:
        # The sockets that it accepts inherit it.
        listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
    reactor.run()
