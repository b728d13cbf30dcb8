"""
Helpers that several test modules use.
"""

from __future__ import annotations
