"""
Python in a process of its own, and what it is not to import there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.requirements import ROOT

#: What only the extras bring; the tests run without it to see that nobody misses it.
EXTRAS = ["OpenSSL", "h2", "klein", "priority", "prometheus_client", "service_identity", "werkzeug"]

#: What importing must not bring even where it is installed. (OpenSSL and h2 are
#: not here: where they are, twisted.web imports them itself.)
LATE = ["klein", "prometheus_client", "twisted.internet.reactor"]

#: The console script C{twistd}, wherever pip put it.
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """
    Run Python, with the checkout importable from wherever it runs.

    @param arguments: for the interpreter that runs the tests.
    @param cwd: where.
    @return: its status and what it wrote.
    """
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
