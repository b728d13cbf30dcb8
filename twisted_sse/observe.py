"""
Observers of streams and channels, for metrics and logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .channel.observer import AnyChannelObserver, ChannelObserver
from .listeners import checkObserver, listener, methodsOf
from .stream.observer import AnyStreamObserver, StreamObserver

__all__ = ["AnyObserver", "Observer", "Observers"]

#: An observer with at least one of the methods of L{Observer}.
AnyObserver = AnyStreamObserver | AnyChannelObserver


class Observer(StreamObserver, ChannelObserver, Protocol):
    """
    Everything that an observer can receive, from resources and from channels.  An observer needs
    only the methods that it is interested in.

    They are called while events are being sent, so they should be quick.  Exceptions are logged
    and otherwise ignored.

    @since: 0.2
    """


class Observers(Observer):
    """
    Several observers as one: each receives everything, in the order given.

        >>> observer = Observers(PrometheusObserver(), AccessLog(sys.stdout))

    If one of them raises, that is logged, and the others are still told.

    An observer that ends streams in its methods should be the last: those after it would receive
    the end of a stream before its beginning.

    @since: 0.2
    """

    def __init__(self, *observers: AnyObserver | None) -> None:
        """
        @param observers: the observers.  L{None} is skipped.
        @raise TypeError: if one of them has none of the methods.
        """
        for observer in observers:
            checkObserver(observer, Observer)
        self._observers = tuple(each for each in observers if each is not None)
        for name in methodsOf(Observer):
            # Called a million times a second, so observers without the method are left out here.
            told = [(each, listener(each, name, Observer)) for each in self._observers]
            listening = [(each, bound) for each, bound in told if bound is not None]
            if len(listening) == 1:
                # Not wrapped: the stream or channel logs what it raises.
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
