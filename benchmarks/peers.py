"""
The servers of other projects, and how they are installed.

Their packages are installed below C{.bench}, which shares nothing with the environment of the
project; only nginx comes from Debian, and Mercure must be installed already.  Servers that cannot be
installed are left out, and the report has the reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from candidates import HUB, ROOT, SERVERS, Mercure, Nchan, Server

__all__ = ["PEERS", "gather", "output"]

#: The folder of the installed servers.
FOLDER = ROOT / ".bench"

#: Debian's packages of nchan, and the path of its module.
PACKAGES = ["nginx", "libnginx-mod-nchan"]
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

#: The timeout for installing one, in seconds.
PATIENCE = 300


class LeftOut(Exception):
    """
    A peer is unavailable; the text has the reason.
    """


def install(*command: str | Path, **environment: str) -> None:
    """
    Run a command that installs something.

    @param environment: variables in addition to ours.
    @raise LeftOut: if it does not work.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LeftOut(str(error)) from error
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or [f"status {done.returncode}"]
        errors = [line for line in lines if "error" in line.lower()]
        raise LeftOut(f"{Path(command[0]).name}: {errors[0] if errors else lines[-1]}")


def output(*command: str | Path) -> str:
    """
    @return: the output of a command; nothing if it fails or does not exist.
    """
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def nchan() -> Server:
    """
    A module of nginx, in C.
    """
    if not NCHAN.exists() or shutil.which("nginx") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise LeftOut(
                f"not installed (on Debian, as root: apt-get install {' '.join(PACKAGES)})"
            )
        install("apt-get", "update")
        options = ["--yes", "--no-install-recommends"]
        install("apt-get", "install", *options, *PACKAGES, DEBIAN_FRONTEND="noninteractive")
    # They print "nginx version: nginx/1.22.1" and, of Debian's package, "1:1.3.6+dfsg-2".
    nginx = output("nginx", "-v").rpartition("/")[2]
    module = output("dpkg-query", "--show", "--showformat=${Version}", PACKAGES[1])
    release = module.rpartition(":")[2].partition("+")[0] or "?"
    return Nchan(
        "nchan",
        f"{release}, nginx {nginx}",
        ["nginx", "-e", "stderr", "-g", f"load_module {NCHAN};"],
        modes=("fanout", "idle", "post", "rooms"),
    )


def mercure() -> Server:
    """
    A hub for the Mercure protocol, in Go.
    """
    program = shutil.which("mercure")
    if program is None:
        raise LeftOut("not installed (https://mercure.rocks/docs/hub/install)")
    # It prints "Mercure.rocks v0.24.2 Caddy v2.11.3" and more.
    release = re.search(r"Mercure\S* v([\d.]+)", output(program, "version"))
    number = release[1] if release else "?"
    return Mercure("Mercure", number, [program], modes=("hub",), path=HUB)


def betterSSE() -> Server:
    """
    For Node, in JavaScript.
    """
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise LeftOut("there is no Node with npm")
    modules = FOLDER / "node_modules"
    about = modules / "better-sse" / "package.json"
    if not about.exists():
        FOLDER.mkdir(exist_ok=True)
        quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
        install("npm", "install", "--prefix", FOLDER, *quiet, "better-sse")
    release = json.loads(about.read_text(encoding="utf-8"))["version"]
    return Server(
        "better-sse",
        f"{release}, Node {output(node, '--version').lstrip('v')}",
        [node, str(SERVERS / "better_sse_app.cjs")],
        environment={"NODE_PATH": str(modules)},
    )


def pythonWith(*packages: str) -> tuple[str, str]:
    """
    Make an environment with packages.

    @return: its Python, and the versions of the packages.
    """
    environment = FOLDER / "python"
    python = environment / "bin" / "python"
    if not python.exists():
        install(sys.executable, "-m", "venv", environment)
    script = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    if not output(python, "-c", script, *packages):
        install(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    first, *others = output(python, "-c", script, *packages).split()
    versions = [first, *(" ".join(pair) for pair in zip(packages[1:], others, strict=True))]
    return str(python), ", ".join(versions)


def aiohttpSSE() -> Server:
    """
    For asyncio, in Python.
    """
    python, versions = pythonWith("aiohttp-sse", "aiohttp", "uvloop")
    return Server("aiohttp-sse", versions, [python, str(SERVERS / "aiohttp_sse_app.py")])


def sseStarlette() -> Server:
    """
    For ASGI, in Python.
    """
    python, versions = pythonWith("sse-starlette", "uvicorn", "uvloop", "httptools")
    return Server("sse-starlette", versions, [python, str(SERVERS / "sse_starlette_app.py")])


#: The installer of each of them.
PEERS: dict[str, Callable[[], Server]] = {
    "nchan": nchan,
    "better-sse": betterSSE,
    "aiohttp-sse": aiohttpSSE,
    "sse-starlette": sseStarlette,
    "mercure": mercure,
}


def gather(names: Iterable[str]) -> tuple[list[Server], dict[str, str]]:
    """
    Install missing servers.

    @param names: the names of the servers.
    @return: the available servers; and the reasons for those left out.
    """
    servers: list[Server] = []
    leftOut: dict[str, str] = {}
    for name in names:
        try:
            servers.append(PEERS[name]())
        except LeftOut as error:
            leftOut[name] = str(error)
    return servers, leftOut
