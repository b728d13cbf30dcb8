"""
The two protocols that are called Mercure.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Dialect"]


class Dialect(Enum):
    """
    Which of the protocols is spoken.
    """

    V0 = "0.x"
    V1 = "1.0"
