"""
A thread that works off a queue.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, Protocol, TypeVar

__all__ = ["Work", "Worker"]

#: How many things to take from the queue at once.
MOST = 1000

_Item = TypeVar("_Item")


class Work(Protocol[_Item]):
    """
    What is done in the thread.
    """

    def work(self, items: list[_Item], /) -> bool:
        """
        Work off what was waiting, or nothing if the time has come.

        @param items: what is done is removed from it.
        @return: whether to go on.
        """

    def died(self, items: list[_Item], error: BaseException, /) -> None:
        """
        C{work} has raised an exception.  The thread goes on after this, with what is left.

        @param items: the first could not be done: it, and what belongs to it, is removed.
        """

    def pause(self) -> float | None:
        """
        @return: after how many seconds to call C{work} even if nothing is waiting; L{None} for
            never.
        """


class Worker(Generic[_Item]):
    """
    A thread that works off a queue, and takes all that is waiting at once.
    """

    def __init__(self, name: str, work: Work[_Item]) -> None:
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._work = work
        # A program that ends without its reactor must not wait for it.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self.put: Callable[[_Item], None] = self._queue.put

    def start(self) -> None:
        """
        Start the thread.
        """
        self._thread.start()

    def join(self, patience: float | None = None) -> bool:
        """
        Wait for the end of the thread.

        @param patience: how many seconds at most; L{None} for no limit.
        @return: whether it has ended.
        """
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        goesOn = True
        items: list[_Item] = []
        while goesOn:
            try:
                if not items:
                    self._take(items)
                goesOn = self._work.work(items)
            except BaseException as error:
                # Whatever it is, even an attempt to end the thread: others wait for the items.
                self._work.died(items, error)

    def _take(self, items: list[_Item]) -> None:
        pause = self._work.pause()
        try:
            items.append(self._queue.get(pause is None or pause > 0, pause))
            while len(items) < MOST:
                items.append(self._queue.get_nowait())
        except Empty:
            pass
