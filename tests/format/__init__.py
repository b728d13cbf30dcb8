"""
Tests for L{twisted_sse.format}.
"""

from __future__ import annotations
