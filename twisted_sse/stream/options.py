"""
The options of a stream, validated in one place for resources, Klein routes and the daemon.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from ..checks import checkFlag, checkInteger, checkSeconds
from ..format.event import Event
from ..format.parser import LONGEST_ID
from .pending import PendingTotal, SlowReader

__all__ = ["END", "LONGEST_ID", "SHORTEST_RETRY", "USUAL_RETRY", "StreamOptions"]

#: The shortest reconnection time that clients may be sent, in milliseconds.  With less, browsers
#: would reconnect in a tight loop: Chromium has no minimum of its own.
SHORTEST_RETRY = 500

#: The reconnection time of a resource that gives none, in milliseconds.  Each response begins with
#: one, since a browser keeps the last one that it was sent for the life of the page: the time of a
#: drain or a limit must not slow it down forever.
USUAL_RETRY = 3000

#: The last event of a stream with C{once}.  A browser that reconnects with its ID gets a 204,
#: and stops: HTML standard, 9.2.3.
END = Event("{}", event="end", id="end")


@dataclass(frozen=True)
class StreamOptions:
    """
    The options that all streams of a resource share.

    They are arguments of L{EventStreamResource<twisted_sse.server.resource.EventStreamResource>},
    which describes them.

    @raise ValueError: if an option is out of range.
    @raise TypeError: if an option has the wrong type.
    """

    heartbeat: float | None
    retry: int | None
    once: bool
    maxStreams: int | None
    maxStreamsPerAddress: int | None
    maxPending: int
    total: PendingTotal
    slow: SlowReader
    stallTimeout: float | None
    openTimeout: float | None
    closeTimeout: float
    slim: bool
    name: str | None
    reactor: IReactorTime | None
    fastWrite: bool

    def __post_init__(self) -> None:
        if not isinstance(self.slow, SlowReader):
            raise TypeError(f"slow is {self.slow!r}: it must be a SlowReader")
        if self.name is not None and not isinstance(self.name, str):
            raise TypeError(f"name is {self.name!r}: it must be a str, or None")
        if self.reactor is not None and not IReactorTime.providedBy(self.reactor):
            raise TypeError(f"reactor is {self.reactor!r}: it must be a reactor or a Clock")
        checkFlag("once", self.once)
        checkFlag("slim", self.slim)
        checkSeconds("heartbeat", self.heartbeat)
        checkSeconds("stallTimeout", self.stallTimeout)
        checkSeconds("openTimeout", self.openTimeout)
        checkSeconds("closeTimeout", self.closeTimeout, optional=False)
        checkInteger("retry", self.retry, SHORTEST_RETRY)
        checkInteger("maxStreams", self.maxStreams, 1)
        checkInteger("maxStreamsPerAddress", self.maxStreamsPerAddress, 1)
        checkInteger("maxPending", self.maxPending, 1, optional=False)

    @property
    def preamble(self) -> bytes:
        """
        The first bytes of a body.  They go out with the headers, since Agent, Safari and some
        proxies show nothing until both have arrived.

        There is no blank line: HTML standard, 9.2.6, applies a C{retry} as soon as its line ends,
        and decoders in wide use make an empty message of every blank line.
        """
        return b":\nretry: %d\n" % (USUAL_RETRY if self.retry is None else self.retry)
