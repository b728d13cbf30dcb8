"""
Why a stream is closed.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["CloseReason"]


class CloseReason(Enum):
    """
    Why a stream is closed.

    @cvar CLIENT: the client has gone.
    @cvar ENDED: the application ended it: C{end()}, C{abort()}, or its events ran out.
    @cvar ERROR: something that the application gave us failed; the log says what.
    @cvar SLOW: more than C{maxPending} bytes were queued for it.
    @cvar STALLED: it took no byte for C{stallTimeout} seconds.
    @cvar LIMIT: one stream too many: it was told to come back later.
    @cvar DRAIN: the server is being drained.
    @cvar SHUTDOWN: the reactor was stopped.

    @since: 0.1
    """

    CLIENT = "client"
    ENDED = "ended"
    ERROR = "error"
    SLOW = "slow"
    STALLED = "stalled"
    LIMIT = "limit"
    DRAIN = "drain"
    SHUTDOWN = "shutdown"
