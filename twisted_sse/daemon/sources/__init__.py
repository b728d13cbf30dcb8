"""
Where the daemon's events come from.
"""

from __future__ import annotations

from .errors import SourceError
from .function import load, tick

__all__ = ["SourceError", "load", "tick"]
