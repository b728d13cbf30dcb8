"""
Tests for L{twisted_sse.server}.
"""

from __future__ import annotations
