"""
The command C{twisted-sse}, which is also C{python -m twisted_sse}.
"""

from __future__ import annotations

from .commands import main

__all__ = ["main"]
