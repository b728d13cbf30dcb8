"""
The Mercure protocol.
"""

from __future__ import annotations

__all__: list[str] = []
