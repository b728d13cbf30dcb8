"""
Tests for L{twisted_sse.cli}.
"""

from __future__ import annotations
