"""
A site whose peers cannot make it use memory or time without bound.
"""

from __future__ import annotations

from .bodies import LimitedRequest
from .site import GuardedSite

__all__ = ["GuardedSite", "LimitedRequest"]
