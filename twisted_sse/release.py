"""
The version of the package.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["release"]


def release() -> str:
    """
    @return: the installed version.
    """
    try:
        return version("twisted-sse")
    except PackageNotFoundError:
        return "(not installed)"
