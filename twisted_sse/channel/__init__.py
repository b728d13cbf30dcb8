"""
One event to many streams.
"""

from __future__ import annotations

from .channel import Channel

__all__ = ["Channel"]
