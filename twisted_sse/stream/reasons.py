"""
Why a stream is closed.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["CloseReason"]


class CloseReason(Enum):
    """
    Why a stream is closed.

    @cvar CLIENT: the client disconnected.
    @cvar ENDED: the application ended it: C{end()}, C{abort()}, or it ran out of events.
    @cvar ERROR: the application's code failed; the log says how.
    @cvar SLOW: more than C{maxPending} bytes were queued for the client.
    @cvar STALLED: the client read nothing for C{stallTimeout} seconds.
    @cvar LIMIT: there were too many streams; the client was asked to retry later.
    @cvar DRAIN: the server is draining.
    @cvar SHUTDOWN: the reactor was stopped.

    @since: 0.2
    """

    CLIENT = "client"
    ENDED = "ended"
    ERROR = "error"
    SLOW = "slow"
    STALLED = "stalled"
    LIMIT = "limit"
    DRAIN = "drain"
    SHUTDOWN = "shutdown"
