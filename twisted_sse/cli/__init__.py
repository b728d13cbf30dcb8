"""
The command C{twisted-sse}.
"""

from __future__ import annotations

from .get import main

__all__ = ["main"]
