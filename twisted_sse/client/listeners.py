"""
The functions that are called with the events of a stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from inspect import isawaitable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from ..format.parser import MessageEvent
from .queue import EventQueue

__all__ = ["Listenable", "Listeners"]


class Listenable(Protocol):
    """
    What there is to listen to.  It is iterated over once, from the first listener on.
    """

    def __aiter__(self) -> AsyncIterator[MessageEvent]: ...


class Listeners:
    """
    The listeners of one source of events.

    They refer to the source only while they listen to it.
    """

    def __init__(self, queue: EventQueue, close: Callable[[], object]) -> None:
        """
        @param queue: the queue that the source takes its events from.
        @param close: called when the last listener has ended, when one of them has raised an error,
            and at the end of the events.
        """
        self._queue = queue
        self._close = close
        self._listeners: list[_Listener] = []

    def add(
        self,
        source: Listenable,
        callback: Callable[[MessageEvent], object],
        eventType: str | None,
    ) -> Deferred[None]:
        """
        See C{EventSource.listen}.
        """
        if not self._listeners and self._queue.isAwaited:
            raise RuntimeError(
                "another caller is already iterating over the events: call your "
                "function from that loop"
            )
        listener = _Listener(self._remove, callback, eventType)
        self._listeners.append(listener)
        if len(self._listeners) == 1:
            Deferred.fromCoroutine(self._deliver(source)).addBoth(self._delivered)
        return listener.ended

    def _remove(self, listener: _Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners:
            self._close()

    async def _deliver(self, source: Listenable) -> None:
        async for event in source:
            for listener in tuple(self._listeners):
                # A listener before this one may have removed it, or closed the source.
                if listener in self._listeners and not self._queue.isClosed:
                    result = listener.call(event)
                    if isawaitable(result):
                        await result

    def _delivered(self, result: Any) -> None:
        self._close()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            # The callback of an earlier one may have cancelled it.
            if not listener.ended.called:
                listener.ended.callback(result)


class _Listener:
    """
    A function that is called with events.

    @ivar ended: fires when the function will no longer be called.
    """

    def __init__(
        self,
        remove: Callable[[_Listener], None],
        callback: Callable[[MessageEvent], object],
        eventType: str | None,
    ) -> None:
        """
        @param remove: called if C{ended} is cancelled.
        """
        self.ended: Deferred[None] = Deferred(lambda _: remove(self))
        self._callback = callback
        self._eventType = eventType

    def call(self, event: MessageEvent) -> object:
        """
        Call the function, if it wants events of this type.

        @return: what the function returns.
        """
        if self._eventType is None or event.type == self._eventType:
            return self._callback(event)
        return None
