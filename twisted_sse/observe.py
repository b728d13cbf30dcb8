"""
What happened to streams and channels, told once: for metrics and logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .channel.observer import AnyChannelObserver, ChannelObserver
from .listeners import checkObserver, listener, methodsOf
from .stream.observer import AnyStreamObserver, StreamObserver

__all__ = ["AnyObserver", "Observer", "Observers"]

#: An observer with any of the methods of L{Observer}: it need not have the others.
AnyObserver = AnyStreamObserver | AnyChannelObserver


class Observer(StreamObserver, ChannelObserver, Protocol):
    """
    All that an observer may be told, by resources and by channels.  It need only have the
    methods that interest it.

    The methods are called in the middle of things, so they should be quick.  What they raise
    is logged and otherwise ignored.

    @since: 0.1
    """


class Observers(Observer):
    """
    Several observers in the place of one: each is told everything, in the order given.

        >>> observer = Observers(PrometheusObserver(), AccessLog(sys.stdout))

    What one of them raises is logged, and the others are told all the same.

    One that ends streams from its methods should be the last: those behind it would hear of
    the end of a stream before its beginning.

    @since: 0.1
    """

    def __init__(self, *observers: AnyObserver | None) -> None:
        """
        @param observers: those that are told.  L{None} is none.
        @raise TypeError: if one of them has none of the methods.
        """
        for observer in observers:
            checkObserver(observer, Observer)
        self._observers = tuple(each for each in observers if each is not None)
        for name in methodsOf(Observer):
            # Told a million times a second: those that do not listen are left out now.
            told = [(each, listener(each, name, Observer)) for each in self._observers]
            listening = [(each, bound) for each, bound in told if bound is not None]
            if len(listening) == 1:
                # Nothing is between it and the stream, which sees to what it raises.
                setattr(self, name, getattr(listening[0][0], name))
            elif listening:
                setattr(self, name, _tellEach([bound for _, bound in listening]))

    def __repr__(self) -> str:
        return f"<Observers {', '.join(map(repr, self._observers))}>"


def _tellEach(listening: list[Callable[..., None]]) -> Callable[..., None]:
    def told(*news: object) -> None:
        for each in listening:
            each(*news)

    return told
