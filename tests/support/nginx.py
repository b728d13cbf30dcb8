"""
nginx in its own process.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import until
from tests.support.requirements import SBIN

__all__ = ["startNginx"]

#: The configuration around the part of C{http} that is in a file.
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


def startNginx(case: SynchronousTestCase, directory: Path, text: str, port: int) -> None:
    """
    Run nginx until the test is over.

    @param directory: where its files are.
    @param text: what is to be included in C{http}.
    @param port: the port on which it listens then.
    """
    (directory / "sse.conf").write_text(text, encoding="utf-8")
    configuration = directory / "nginx.conf"
    configuration.write_text(NGINX.format(directory=directory), encoding="utf-8")
    nginx = subprocess.Popen(
        [shutil.which("nginx", path=SBIN) or "nginx", "-c", configuration, "-e", "stderr"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert nginx.stderr is not None
    case.addCleanup(nginx.stderr.close)
    case.addCleanup(nginx.wait)
    case.addCleanup(nginx.send_signal, signal.SIGTERM)

    def listens() -> bool:
        assert nginx.poll() is None, nginx.communicate()[1]
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    until(listens)
