"""
Where the daemon's events come from.
"""

from __future__ import annotations

from .spec import SourceError, load, tick

__all__ = ["SourceError", "load", "tick"]
