"""
Tests for L{twisted_sse.daemon}.
"""

from __future__ import annotations
