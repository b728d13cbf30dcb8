"""
A clock that is a small reactor: it makes delayed calls and moves bytes.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.task import Clock

__all__ = ["MemoryClock", "Writer"]

#: How many turns are made without advancing the time.  Code that always wants another turn, such
#: as an endless iterable, must not hang a test.
MOST_TURNS = 256


class Writer(Protocol):
    """
    A transport that has something to write, from C{addWriter} to C{removeWriter}.
    """

    def isWritable(self) -> bool:
        """
        Whether L{move} would do anything.
        """

    def move(self) -> None:
        """
        Write what there is room for.  Called in each turn while the transport is writable.
        """


class MemoryClock(Clock):
    """
    A L{Clock} that also moves bytes between memory transports, and does not jump: during
    C{advance(10)}, a call that is due every 2 seconds is made five times, each at its own time.

    @since: 0.2
    """

    def __init__(self) -> None:
        super().__init__()
        # A dict, to keep the order.
        self._writers: dict[Writer, None] = {}

    def advance(self, amount: float) -> None:
        """
        Advance the time, and do everything that becomes due on the way.

        @param amount: in seconds; with 0, do what is due now.
        """
        end = self.rightNow + amount
        self.settle()
        while True:
            coming = [call.getTime() for call in self.getDelayedCalls()]
            next = min((time for time in coming if time > self.rightNow), default=end)
            if next >= end:
                break
            self.rightNow = next
            self.settle()
        self.rightNow = end
        self.settle()

    def settle(self) -> None:
        """
        Make turns of the reactor until nothing more is due.
        """
        for _ in range(MOST_TURNS):
            if not self._turn():
                break

    def _turn(self) -> bool:
        """
        Make the calls that are due, but not those that they schedule, and move bytes.

        @return: whether there was anything to do.
        """
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        for call in due:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                assert call.func is not None, "what is active has something to call"
                call.func(*call.args or (), **call.kw or {})
        writable = [writer for writer in self._writers if writer.isWritable()]
        for writer in writable:
            if writer in self._writers:
                writer.move()
        return bool(due or writable)

    # The part of IReactorFDSet that a FileDescriptor uses

    def addReader(self, reader: object) -> None:
        """
        Do nothing: data for a memory transport is passed to it directly.
        """

    def removeReader(self, reader: object) -> None:
        """
        Do nothing.
        """

    def addWriter(self, writer: Writer) -> None:
        """
        A transport has something to write.
        """
        self._writers[writer] = None

    def removeWriter(self, writer: Writer) -> None:
        """
        A transport has nothing more to write.
        """
        self._writers.pop(writer, None)
