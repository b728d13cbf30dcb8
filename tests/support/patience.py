"""
How long tests wait for what should come soon.
"""

from __future__ import annotations

__all__ = ["PATIENCE"]

#: A timeout in seconds that nothing should reach, even on a machine that is busy with ten other things.
#: It costs nothing, unless a test fails.
PATIENCE = 60.0
