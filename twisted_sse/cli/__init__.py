"""
The command C{twisted-sse}.
"""

from __future__ import annotations

__all__ = []
