"""
The daemon: its service, its sources, and what it answers besides its streams.
"""

from __future__ import annotations

from .tap import Options, makeService

__all__ = ["Options", "makeService"]
