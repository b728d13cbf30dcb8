"""
How long tests wait for things that should happen soon.
"""

from __future__ import annotations

__all__ = ["PATIENCE"]

#: A timeout in seconds that nothing should reach, even on a very busy machine.  It costs no time
#: unless a test fails.
PATIENCE = 60.0
