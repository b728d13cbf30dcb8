"""
What happened to streams and channels, told once: for metrics and logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

if TYPE_CHECKING:
    from .channel.channel import Channel
    from .format.event import Event
    from .stream.stream import CloseReason, EventStream

__all__ = ["Observer", "Observers", "checkObserver", "tell"]


_log = Logger()


class Observer(Protocol):
    """
    Somebody who wants to know.  It need only have the methods that interest it.

    The methods are called in the middle of things, so they should be quick.  What they raise
    is logged and otherwise ignored.

    @since: 0.1
    """

    def opened(self, stream: EventStream) -> None:
        """
        The headers of a stream have been sent.
        """
        return

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        A stream that was opened is over.
        """
        return

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Something was handed to a stream's connection.

        @param events: the number of events in it; 0 for a heartbeat.
        @param size: its size in bytes, before the framing of HTTP.
        """
        return

    def dropped(self, stream: EventStream, events: int) -> None:
        """
        Events were dropped, since the client does not read.

        @param events: how many.
        """
        return

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        An event was published.

        @param event: with its ID.
        @param size: its size in bytes.
        """
        return

    def delivered(self, channel: Channel, events: int, streams: int, seconds: float) -> None:
        """
        What was published in one turn of the reactor has been handed to all who want it.

        @param events: how many events were published.
        @param streams: how many streams were handed something.
        @param seconds: how long it took since the first of them was published.
        """
        return

    def replayed(self, stream: EventStream, events: int) -> None:
        """
        Events of a history were handed to a stream; C{sent} has told of them, too.

        @param events: how many.
        """
        return

    def reset(self, stream: EventStream) -> None:
        """
        A client was told that it has missed something for good: its last event ID is unknown
        or no longer kept, or it has read too slowly for the history.
        """
        return


_METHODS = [name for name in vars(Observer) if not name.startswith("_")]


def checkObserver(observer: object) -> None:
    """
    Check an argument C{observer}.

    @raise TypeError: if it has none of the methods.
    """
    if observer is not None and not any(
        callable(getattr(observer, name, None)) for name in _METHODS
    ):
        raise TypeError(
            f"observer is {observer!r}: it must have one of the methods {', '.join(_METHODS)}"
        )


def tell(observer: Any, what: str, *news: object) -> None:
    """
    Tell an observer; what goes wrong there is not to go wrong here.

    @param observer: or L{None}: nobody.
    @param what: the name of one of its methods.
    """
    if observer is None:
        return
    method = getattr(observer, what, None)
    if method is None:
        return
    try:
        method(*news)
    except Exception:
        _log.failure("The observer {observer!r} failed", observer=observer)


class Observers(Observer):
    """
    Several observers in the place of one: each is told everything, in the order given.

        >>> observer = Observers(PrometheusObserver(), AccessLog(sys.stdout))

    What one of them raises is logged, and the others are told all the same.

    One that ends streams from its methods should be the last: those behind it would hear of
    the end of a stream before its beginning.

    @since: 0.1
    """

    def __init__(self, *observers: Observer | None) -> None:
        """
        @param observers: who is told.  L{None} is nobody.
        @raise TypeError: if one of them has none of the methods.
        """
        for observer in observers:
            checkObserver(observer)
        self._observers = tuple(each for each in observers if each is not None)
        for name in _METHODS:
            # Told a million times a second: so those who do not listen are left out now, and
            # if only one is left, there is nothing between it and the stream.
            interested = [each for each in self._observers if _listens(each, name)]
            if len(interested) == 1:
                setattr(self, name, getattr(interested[0], name))
            elif interested:
                setattr(self, name, _tellEach(interested, name))

    def __repr__(self) -> str:
        return f"<Observers {', '.join(map(repr, self._observers))}>"


def _listens(observer: object, name: str) -> bool:
    """
    Whether an observer has a method of its own, not just that of L{Observer}, which does
    nothing.
    """
    method = getattr(observer, name, None)
    return method is not None and getattr(method, "__func__", None) is not vars(Observer)[name]


def _tellEach(observers: list[Observer], what: str) -> Callable[..., None]:
    methods = [(observer, getattr(observer, what)) for observer in observers]

    def told(*news: object) -> None:
        for observer, method in methods:
            try:
                method(*news)
            except Exception:
                _log.failure("The observer {observer!r} failed", observer=observer)

    return told
