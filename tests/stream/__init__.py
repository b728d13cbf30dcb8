"""
Tests for L{twisted_sse.stream}.
"""

from __future__ import annotations
