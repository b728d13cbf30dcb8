"""
Tests for L{twisted_sse.daemon.sources}.
"""

from __future__ import annotations
