"""
The Mercure protocol: a hub to which any application publishes, and from which browsers are told.
"""

from __future__ import annotations

from .discovery import advertise
from .hub import Hub

__all__ = ["Hub", "advertise"]
