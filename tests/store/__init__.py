"""
Tests for L{twisted_sse.store}.
"""

from __future__ import annotations
