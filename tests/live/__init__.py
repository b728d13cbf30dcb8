"""
End-to-end tests, with real sockets, browsers, servers and processes.
"""

from __future__ import annotations
