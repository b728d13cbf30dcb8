"""
A store in Redis, or in Valkey.
"""

from __future__ import annotations

from .store import RedisStore

__all__ = ["RedisStore"]
