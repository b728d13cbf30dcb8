"""
What a test needs from the machine, declared once for both runners.

    >>> @needs("network")
    ... class ServedTests(TestCase):
    ...     ...

If the machine lacks it, trial and pytest skip the test, with a reason that names the remedy.  With
C{SSE_REQUIRE=all} in the environment nothing is skipped: the test runs, and fails.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

try:
    import pytest
except ImportError:  # trial alone is enough to run the tests
    pytest = None  # type: ignore[assignment]

__all__ = [
    "FAKETIME",
    "MARKERS",
    "R3LABS",
    "ROOT",
    "SBIN",
    "findFirefox",
    "missing",
    "needs",
    "nothingMayBeLeftOut",
]

#: The checkout. Node finds the npm packages in C{ROOT / "node_modules"}.
ROOT = Path(__file__).resolve().parent.parent.parent

#: A program with the Go module r3labs/sse, if C{.ci/provide} could build it.
R3LABS = ROOT / ".go" / "r3labs"

#: The npm packages that tests use.
NPM = [
    *("@hotwired/turbo", "@microsoft/fetch-event-source", "axe-core", "better-sse", "esbuild"),
    *("eventsource", "htmx-ext-sse", "htmx.org", "htmx4", "react", "react-dom", "undici"),
]

#: The search path for commands, including those of root.
SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

#: The library that sets the clock of one process, where Debian puts it.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

#: The modules of other packages that tests use, all from the extra C{test}.
PACKAGES = {
    *("aiohttp_sse_client", "aiosseclient", "anthropic", "datastar_py", "httpx_sse", "mcp"),
    *("mercure_publisher", "openai"),
}

_Test = TypeVar("_Test", bound=Callable[..., object])


def nothingMayBeLeftOut() -> bool:
    """
    Whether a test that cannot run is a failure: C{SSE_REQUIRE=all}.
    """
    return os.environ.get("SSE_REQUIRE") == "all"


def _network() -> str | None:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return None
    except OSError as error:
        return f"no socket on 127.0.0.1: {error}"


def _browser() -> str | None:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        return "chromium or chromedriver not found: apt-get install chromium chromium-driver"
    return None


def findFirefox() -> str | None:
    """
    Find Firefox, which has another name in Debian (the extended support release).
    """
    return shutil.which("firefox-esr") or shutil.which("firefox")


def _firefox() -> str | None:
    return None if findFirefox() else "firefox not found: apt-get install firefox-esr"


def _deploy() -> str | None:
    # Some are in a directory that only root has in its path.
    for tool, package in (
        ("caddy", "caddy"),
        ("haproxy", "haproxy"),
        ("nginx", "nginx-light"),
        ("systemd-analyze", "systemd"),
    ):
        if shutil.which(tool, path=SBIN) is None:
            return f"{tool} not found: apt-get install {package}"
    return None


def _curl() -> str | None:
    return None if shutil.which("curl") else "curl not found: apt-get install curl"


def _php() -> str | None:
    return None if shutil.which("php") else "php not found: apt-get install php-cli"


def _docs() -> str | None:
    needed = {"furo", "mypy", "mypy_zope", "myst_parser", "pydoctor", "pyright", "sphinx"}
    return _lacking(needed, "docs")


def _packages() -> str | None:
    return _lacking(PACKAGES, "test")


def _lacking(needed: set[str], extra: str) -> str | None:
    lacking = [name for name in sorted(needed) if find_spec(name) is None]
    return f"not installed: {', '.join(lacking)}: pip install -e .[{extra}]" if lacking else None


def _node() -> str | None:
    node = shutil.which("node")
    if node is None:
        return "node not found: install Node.js 20 or newer"
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", answer.stdout)
    if version is None or int(version[1]) < 20:
        return f"node 20 or newer needed, found {answer.stdout.strip() or 'none that runs'}"
    lacking = [name for name in NPM if not (ROOT / "node_modules" / name).is_dir()]
    if lacking:
        return f"not installed: {', '.join(lacking)}: make test installs them by npm"
    return None


def _go() -> str | None:
    if not R3LABS.exists():
        return "the client in Go is not built: make test builds it: apt-get install golang-go"
    return None


def _processes() -> str | None:
    return None if os.name == "posix" else "several processes need a Unix"


def _redis() -> str | None:
    for tool, package in ("redis-server", "redis-server"), ("redis-cli", "redis-tools"):
        if shutil.which(tool) is None:
            return f"{tool} not found: apt-get install {package}"
    if find_spec("hiredis") is None:
        return "not installed: hiredis: pip install -e .[redis]"
    return None


def _root() -> str | None:
    if os.getuid() != 0:
        return "network namespaces need root"
    for tool, package in ("ip", "iproute2"), ("unshare", "util-linux"):
        if shutil.which(tool) is None:
            return f"{tool} not found: apt-get install {package}"
    # Even root may be refused in a container.
    tried = subprocess.run(
        ["unshare", "--net", "ip", "link"], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        return f"network namespaces are refused: {tried.stderr.strip()}"
    return None


def _faketime() -> str | None:
    if FAKETIME is None:
        return "libfaketime not found: apt-get install faketime"
    return None


_PROBES = {
    "network": _network,
    "browser": _browser,
    "curl": _curl,
    "deploy": _deploy,
    "docs": _docs,
    "faketime": _faketime,
    "firefox": _firefox,
    "go": _go,
    "node": _node,
    "packages": _packages,
    "php": _php,
    "processes": _processes,
    "redis": _redis,
    "root": _root,
}

#: Everything that a test may need.
MARKERS = tuple(_PROBES)


@cache
def missing(name: str) -> str | None:
    """
    Check whether the machine provides what a marker stands for.

    @param name: one of L{MARKERS}.
    @return: C{None} if the machine has it, else the marker and the reason.
    """
    reason = _PROBES[name]()
    return None if reason is None else f"{name} ({reason})"


def needs(*names: str) -> Callable[[_Test], _Test]:
    """
    Mark a C{TestCase}, one of its methods, or a test function.

    @param names: markers, as L{missing} takes them.
    """

    def decorate(test: _Test) -> _Test:
        for name in names:
            if pytest is not None:
                test = getattr(pytest.mark, name)(test)
        lacking = [reason for name in names if (reason := missing(name)) is not None]
        if lacking and not nothingMayBeLeftOut():
            reason = "; ".join(lacking)
            test.skip = reason  # type: ignore[attr-defined]  # read by trial
            if pytest is not None:
                test = pytest.mark.skip(reason=reason)(test)
        return test

    return decorate
