"""
The command C{twisted-sse serve}: the daemon in the foreground, for somebody who looks at it.
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
    @return: the exit status, if it is not set by what has ended.
    @raise SystemExit: if an option is wrong, or there is nothing to run, such as with C{--help}.
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
    # From here on signals are the reactor's.
    beOrdinary()
    reactor.run()
    return 0


def _typed() -> str:
    """
    @return: the name of the program, as its user has typed it.
    """
    name = os.path.basename(sys.argv[0])
    return "python -m twisted_sse" if name == "__main__.py" else name
