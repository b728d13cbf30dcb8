"""
Publishing over HTTP.
"""

from __future__ import annotations

from .publish import PublishResource

__all__ = ["PublishResource"]
