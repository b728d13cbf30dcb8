"""
Tests for L{twisted_sse.hub}.
"""

from __future__ import annotations
