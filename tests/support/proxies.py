"""
Reverse proxies in their own processes.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import until
from tests.support.requirements import SBIN

__all__ = ["startCaddy", "startHAProxy", "startNginx", "startProxy"]

#: nginx's configuration around the part of C{http} that is in a file.
NGINX = """
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/sse.conf;
}}
"""

#: The part of Caddy's configuration that precedes the site's.
CADDY = """
{{
    admin off
    storage file_system {directory}
}}
"""


def startProxy(
    case: SynchronousTestCase, directory: Path, command: Sequence[str | Path], port: int
) -> None:
    """
    Run a proxy until the test ends.

    @param directory: where it may write.
    @param command: the command that runs it in the foreground.
    @param port: the port on which it then listens.
    """
    name, *arguments = command
    said = directory / "proxy.log"
    with said.open("w") as log:
        proxy = subprocess.Popen(
            [shutil.which(name, path=SBIN) or name, *arguments],
            cwd=directory,
            # Caddy has its files in the home directory.
            env={"HOME": str(directory), "PATH": SBIN},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    case.addCleanup(proxy.wait)
    case.addCleanup(proxy.send_signal, signal.SIGTERM)

    def listens() -> bool:
        assert proxy.poll() is None, said.read_text()
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    until(listens)


def startNginx(case: SynchronousTestCase, directory: Path, text: str, port: int) -> None:
    """
    Run nginx until the test ends.

    @param directory: where its files are.
    @param text: the configuration to include in C{http}.
    @param port: the port on which it then listens.
    """
    (directory / "sse.conf").write_text(text, encoding="utf-8")
    configuration = directory / "nginx.conf"
    configuration.write_text(NGINX.format(directory=directory), encoding="utf-8")
    startProxy(case, directory, ["nginx", "-c", configuration, "-e", "stderr"], port)


def startHAProxy(case: SynchronousTestCase, directory: Path, text: str, port: int) -> None:
    """
    Run HAProxy until the test ends.

    @param directory: where its files are.
    @param text: its frontend and backend.
    @param port: the port on which it then listens.
    """
    configuration = directory / "haproxy.cfg"
    configuration.write_text(f"global\n    hard-stop-after 1s\n\n{text}", encoding="utf-8")
    startProxy(case, directory, ["haproxy", "-db", "-f", configuration], port)


def startCaddy(case: SynchronousTestCase, directory: Path, text: str, port: int) -> None:
    """
    Run Caddy until the test ends.

    @param directory: where its files are.
    @param text: its site.
    @param port: the port on which it then listens.
    """
    configuration = directory / "Caddyfile"
    configuration.write_text(CADDY.format(directory=directory) + text, encoding="utf-8")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", configuration]
    startProxy(case, directory, command, port)
