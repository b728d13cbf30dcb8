"""
The two protocols that are called Mercure.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Dialect"]


class Dialect(Enum):
    """
    Which of the two protocols a request speaks.

    @cvar V0: what nearly all hubs and clients speak today: draft-dunglas-mercure-07.
    @cvar V1: the next: draft-dunglas-mercure-08.
    """

    V0 = "0.x"
    V1 = "1.0"
