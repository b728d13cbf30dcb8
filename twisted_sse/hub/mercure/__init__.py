"""
The Mercure protocol: a hub that any application publishes to, and that browsers subscribe to.
"""

from __future__ import annotations

from .discovery import advertise
from .hub import Hub

__all__ = ["Hub", "advertise"]
