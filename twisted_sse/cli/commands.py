"""
The commands of C{twisted-sse}: C{get} follows an event stream and prints it, C{publish} publishes
events, C{serve} is the daemon, C{token} makes the tokens of a hub and says what they may do, and
C{check-hub} checks what a hub does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .get import get
from .publish import publish
from .status import Status, say

__all__ = ["run"]


def run(arguments: Sequence[str] | None) -> int:
    """
    Run the command that is asked for.

    @param arguments: L{None} for those of the command line.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    # The options of serve are Twisted's and the daemon's.
    if given[:1] == ["serve"]:
        from .serve import serve

        return serve(given[1:])
    if given[:1] == ["publish"]:
        return publish(given)
    if given[:1] in (["token"], ["check-hub"]):
        return _ofHubs(given)
    return get(given)


def _ofHubs(arguments: Sequence[str]) -> int:
    try:
        from .checkhub import checkHub
        from .tokens import token
    except ImportError as e:
        say(f"{arguments[0]} needs pip install 'twisted-sse[hub]': {e}")
        return Status.USAGE
    return token(arguments) if arguments[0] == "token" else checkHub(arguments)
