"""
Tests for L{twisted_sse.guard}.
"""

from __future__ import annotations
