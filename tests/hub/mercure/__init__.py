"""
Tests for L{twisted_sse.hub.mercure}.
"""

from __future__ import annotations
