"""
Tests for L{twisted_sse.timing}.
"""

from __future__ import annotations
