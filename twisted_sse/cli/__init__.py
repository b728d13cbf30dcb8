"""
The command C{twisted-sse}, which is also C{python -m twisted_sse}.
"""

from __future__ import annotations

from collections.abc import Sequence

from .interrupts import beInterruptible

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command C{twisted-sse}.

    @param arguments: those of the command line if not given.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.

    @since: 0.2
    """
    beInterruptible()
    # This takes half a second, in which Ctrl-C is as quiet as later.
    from .commands import run

    return run(arguments)
