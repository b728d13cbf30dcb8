"""
What the events of a stream come from: a loop, an iterable, a channel.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Feed"]


class Feed(Protocol):
    """
    Something that sends events to a stream, and wants to know how it fares.
    """

    __slots__ = ()

    def resume(self) -> None:
        """
        The client has read what was sent: it can take more now.
        """
        return

    def flush(self) -> None:
        """
        The stream is about to end: send what it was promised already.
        """
        return

    def finish(self, now: bool) -> None:
        """
        The stream has ended: nothing more is wanted.

        @param now: whether this is certain not to be called by the feed's own code, in the
            middle of its running.
        """
