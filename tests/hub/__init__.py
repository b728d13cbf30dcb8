"""
Tests for L{twisted_sse.channel}.
"""

from __future__ import annotations
