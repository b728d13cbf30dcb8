"""
What the system reports about a process.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["isAlive", "residentMemory"]


def isAlive(number: bytes | int) -> bool:
    """
    @return: whether a process is running; in a container a dead one may remain as a zombie.
    """
    try:
        return ") Z " not in Path(f"/proc/{int(number)}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        # It may have ended between opening and reading.
        return False


def residentMemory(number: int) -> int:
    """
    @return: the resident memory of a process, in bytes.
    """
    status = Path(f"/proc/{number}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
