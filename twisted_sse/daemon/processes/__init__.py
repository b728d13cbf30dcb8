"""
Several processes that serve the same ports: C{--processes}.

The parent opens the ports, but accepts nothing.  It starts the children, which inherit the sockets
and serve clients, watches them, and replaces those that end or hang.
"""

from __future__ import annotations

__all__: list[str] = []
