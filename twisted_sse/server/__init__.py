"""
The resource that answers requests with event streams.
"""

from __future__ import annotations

from .resource import EventStreamResource

__all__ = ["EventStreamResource"]
