"""
The store in a file.
"""

from __future__ import annotations

from .errors import NotAStore, StoreLocked
from .store import SQLiteStore

__all__ = ["NotAStore", "SQLiteStore", "StoreLocked"]
