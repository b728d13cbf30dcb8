"""
Where the daemon's events come from.
"""

from __future__ import annotations

__all__ = []
