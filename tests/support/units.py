"""
The systemd units in C{examples/deploy}, and what systemd does with them.
"""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from tests.support.daemons import TWISTD, DaemonMixin
from tests.support.requirements import ROOT

__all__ = [
    "DEPLOY",
    "NAME",
    "UnitMixin",
    "command",
    "documentedOptions",
    "readUnit",
    "serviceOptions",
]

DEPLOY = ROOT / "examples" / "deploy"

#: The name of the server in all files.
NAME = "sse.example.com"

#: What a service manager does to pass a listening socket to a service (sd_listen_fds(3)).
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="sse.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


def readUnit(name: str) -> ConfigParser:
    """
    @param name: of a file.
    @return: its sections (systemd.syntax(7)).
    """
    parser = ConfigParser(delimiters="=", comment_prefixes="#", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / name).read_text(encoding="utf-8").replace("\\\n", " "))
    return parser


def command() -> list[str]:
    """
    @return: the command that the service runs.
    """
    return shlex.split(readUnit("twisted-sse.service")["Service"]["ExecStart"])


def serviceOptions() -> list[str]:
    """
    @return: the options of C{twistd sse} in the service.
    """
    words = command()
    return words[words.index("sse") + 1 :]


def documentedOptions() -> list[str]:
    """
    @return: the documented options for the daemon behind a proxy.
    """
    text = (ROOT / "docs" / "howto-deploy.md").read_text(encoding="utf-8")
    found = re.search(r"^\$ twistd -n sse (.*--trusted-proxy.*)$", text, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])


class UnitMixin(DaemonMixin):
    """
    Starts, reloads and stops the daemon as the units do, with another port and another log.
    """

    def setUp(self) -> None:
        """
        Listen as the socket unit does, and write the log.
        """
        super().setUp()
        unit = readUnit("twisted-sse.socket")["Socket"]
        host, _, _ = unit["ListenStream"].rpartition(":")
        self.listening = socket.create_server((host, 0), backlog=int(unit["Backlog"]))
        self.addCleanup(self.listening.close)
        noDelay = ["no", "yes"].index(unit["NoDelay"])
        self.listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, noDelay)
        self.port = self.daemonPort = self.listening.getsockname()[1]
        self.service = readUnit("twisted-sse.service")["Service"]
        self.log = self.directory / "app.log"
        self.log.write_text("one\n")

    def write(self, line: str) -> None:
        """
        Add a line to the log.
        """
        with self.log.open("a") as file:
            file.write(f"{line}\n")

    def serve(self, *more: str) -> subprocess.Popen[str]:
        """
        Start the service.

        @param more: more options.
        """
        _, *arguments = [each.replace("/var/log/app.log", str(self.log)) for each in command()]
        return self.start(
            *(sys.executable, "-c", ACTIVATE, str(self.listening.fileno())),
            *(*TWISTD, *arguments, *more),
            listens=True,
            pass_fds=(self.listening.fileno(),),
        )

    def reload(self, daemon: subprocess.Popen[str]) -> None:
        """
        Do the same as C{systemctl reload} does.
        """
        kill, option, target = self.service["ExecReload"].split()
        self.assertEqual((Path(kill).name, target), ("kill", "$MAINPID"))
        daemon.send_signal(signal.Signals[f"SIG{option.removeprefix('-')}"])

    def stop(self, daemon: subprocess.Popen[str]) -> str:
        """
        Do the same as C{systemctl stop} does.

        @return: the daemon's output since its start.
        """
        self.assertEqual(self.service["KillMode"], "mixed")
        daemon.terminate()
        return self.finish(daemon)
