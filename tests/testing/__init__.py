"""
Tests for L{twisted_sse.testing}.
"""

from __future__ import annotations
