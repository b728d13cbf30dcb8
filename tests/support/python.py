"""
Python in its own process, and what it must not import there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.requirements import ROOT

#: Modules that only the extras install; a test runs without them.
EXTRAS = [
    "OpenSSL",
    "h2",
    "jwt",
    "klein",
    "priority",
    "prometheus_client",
    "re2",
    "service_identity",
    "urlpattern",
    "werkzeug",
]

#: Modules that must not be imported even where they are installed. (Not OpenSSL and h2, which
#: twisted.web itself imports.)
LATE = ["jwt", "klein", "prometheus_client", "re2", "twisted.internet.reactor", "urlpattern"]

#: The console script C{twistd}, wherever pip put it.
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """
    Run Python, with the checkout importable from any directory.

    @param arguments: the arguments of the interpreter.
    @param cwd: the working directory.
    @return: its status and output.
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
