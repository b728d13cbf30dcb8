"""
The error of a source that cannot be used.
"""

from __future__ import annotations

__all__ = ["SourceError"]


class SourceError(Exception):
    """
    A source cannot be used.  The message says why.

    @since: 0.2
    """
