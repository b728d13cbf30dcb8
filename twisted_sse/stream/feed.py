"""
The sources of a stream's events: a loop, an iterable, a channel.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Feed"]


class Feed(Protocol):
    """
    Something that sends events to a stream, and follows its state.
    """

    __slots__ = ()

    def resume(self) -> None:
        """
        The client has read what was sent, and can take more.
        """
        return

    def flush(self) -> None:
        """
        The stream is about to end: send what is already due to it.
        """
        return

    def finish(self, now: bool) -> None:
        """
        The stream has ended: send nothing more.

        @param now: L{True} if this is certainly not called from within the feed's own running
            code.
        """
