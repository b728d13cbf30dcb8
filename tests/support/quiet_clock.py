"""
A clock for models, which decide themselves when to run a reactor turn.
"""

from __future__ import annotations

from twisted_sse.testing import MemoryClock

__all__ = ["QuietClock"]


class QuietClock(MemoryClock):
    """
    A clock that runs no reactor turns by itself.
    """

    quiet = True

    def settle(self) -> None:
        """
        Run turns, unless the clock is quiet.
        """
        if not self.quiet:
            super().settle()
