"""
Tests for L{twisted_sse.client}.
"""

from __future__ import annotations
