"""
The command C{twisted-sse serve}: the daemon in the foreground, for interactive use.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..daemon.console import beginLogging
from ..daemon.options import Options
from ..daemon.service import makeService
from ..timing.reactors import installedReactor
from .interrupts import beOrdinary

__all__ = ["serve"]


def serve(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @param arguments: its options and sources.
    @return: the exit status, unless the service has set one.
    @raise SystemExit: if an option is wrong, or for C{--help} and the like.
    """
    options = Options()
    options.program = f"{_typed()} serve"
    options.parseOptions(arguments)
    reactor = installedReactor()
    if sys.stderr is not None:
        beginLogging(sys.stderr, options["log-format"])
    service = makeService(options, reactor)
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    # From here on, the reactor handles signals.
    beOrdinary()
    reactor.run()
    return 0


def _typed() -> str:
    """
    @return: the program's name as the user typed it.
    """
    name = os.path.basename(sys.argv[0])
    return "python -m twisted_sse" if name == "__main__.py" else name
