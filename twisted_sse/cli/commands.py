"""
The commands of C{twisted-sse}: C{get} follows an event stream and prints it, C{serve} is the
daemon.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .get import get

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command C{twisted-sse}.

    @param arguments: those of the command line if not given.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.

    @since: 0.1
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    # The options of serve are Twisted's and the daemon's.
    if given[:1] == ["serve"]:
        _serve(given[1:])
        return 0
    return get(given)


def _serve(arguments: Sequence[str]) -> None:
    from twisted.application.twist._twist import Twist

    # Its help and its errors then name the command that runs.
    sys.argv = ["twist", "sse", *arguments]
    Twist.main(sys.argv)
