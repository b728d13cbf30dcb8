"""
What several test modules use.
"""

from __future__ import annotations
