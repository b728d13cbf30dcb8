"""
The topics of hubs, their path and the key of their tokens.
"""

from __future__ import annotations

__all__ = ["PATH", "SECRET", "TOPICS"]

PATH = "/.well-known/mercure"
SECRET = "x" * 32

TOPICS = [f"https://example.com/rooms/{number}/messages" for number in range(100)]
