"""
Tests for L{twisted_sse.daemon.processes}.
"""

from __future__ import annotations
