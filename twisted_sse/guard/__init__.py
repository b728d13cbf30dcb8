"""
A site whose peers cannot make it use memory or time without bound.
"""

from __future__ import annotations

from .site import GuardedSite

__all__ = ["GuardedSite"]
