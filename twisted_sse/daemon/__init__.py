"""
The daemon, C{twistd sse} and C{twist sse}: its options, and the service that they make.
"""

from __future__ import annotations

from .options import Options
from .service import makeService

__all__ = ["Options", "makeService"]
