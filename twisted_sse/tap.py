"""
The daemon, C{twistd sse} and C{twist sse}: its options, and the service that they make.

What is wrong with an option, or with what it names, is told in one line on standard error, with
exit status 64 (C{EX_USAGE} of C{sysexits.h}), before anything is served and before C{twistd}
becomes a daemon.

On SIGTERM or SIGINT the ports are closed, and each client is told when to come back and gets a
clean end to its stream; then the process exits with status 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.python import usage

from .pending import SlowReader

__all__ = ["Options", "makeService"]

#: The port if nothing is said about where to listen.
DEFAULT_PORT = 8080

#: The exit status for a command line that is wrong.
EX_USAGE = 64

#: How long a connection may be open without a request, in seconds.
IDLE_TIMEOUT = 60

#: As far as the limit on open files is raised: the most that Linux allows unless told otherwise
#: (C{fs.nr_open}).  "Unlimited" is more than there can be.
MOST_FILES = 2**20

#: What the options of the resource are called here, where that is not the same name.
RENAMED = {"origins": "origin", "trustedProxies": "trusted-proxy"}

EXAMPLES = """
Each client that asks for it, as EventSource does in a browser, gets the events of the source for
as long as it stays connected:

    {command} --port 8080
    curl -N -H 'Accept: text/event-stream' http://localhost:8080/

    http://localhost:8080/           in a browser, a page that shows the events as they come
    http://localhost:8080/healthz    answers "ok" while the daemon lives

Events of your own: write events.py,

    async def connected(stream):            # called for each client
        yield "hello"
        yield "good bye"

and in its directory run

    {command} --source python:events:connected

An endpoint is what Twisted calls a place to listen:

    tcp:8080:interface=127.0.0.1                        for this machine only
    tcp6:8080                                           IPv6
    ssl:8443:privateKey=key.pem:certKey=cert.pem        https
    unix:/run/sse.sock                                  behind a proxy
    systemd:domain=INET:index=0                         a socket of systemd's

The first SIGTERM, or Ctrl-C, ends the daemon with status 0, after each client was told when to come
back. What is wrong with an option is one line, and status 64.
"""

_log = Logger()


def _number(name: str, text: str, convert: Callable[[str], float], least: str) -> Any:
    try:
        number = convert(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return number
    raise usage.UsageError(f"--{name} is {text!r}: it must be {least}")


def _seconds(name: str) -> Callable[[str], float]:
    """
    @return: what reads the value of an option that is a time.
    """
    rule = "a number of seconds above 0"

    def read(text: str) -> float:
        number: float = _number(name, text, float, rule)
        if number <= 0:
            raise usage.UsageError(f"--{name} is {text!r}: it must be {rule}")
        return number

    return read


def _secondsOrOff(name: str) -> Callable[[str], float | None]:
    """
    @return: what reads the value of an option that is a time, or C{off}.
    """
    read = _seconds(name)

    def readOrOff(text: str) -> float | None:
        if text == "off":
            return None
        try:
            return read(text)
        except usage.UsageError as e:
            raise usage.UsageError(f'{e}, or "off"') from None

    return readOrOff


def _integer(name: str, least: int, most: float = math.inf) -> Callable[[str], int]:
    """
    @return: what reads the value of an option that is a number of things.
    """
    rule = f"a whole number from {least}" + (f" to {most}" if most < math.inf else "")

    def read(text: str) -> int:
        number: int = _number(name, text, int, rule)
        if not least <= number <= most:
            raise usage.UsageError(f"--{name} is {text!r}: it must be {rule}")
        return number

    return read


def _slow(text: str) -> str:
    policies = [policy.value for policy in SlowReader]
    if text not in policies:
        raise usage.UsageError(f"--slow is {text!r}: it must be one of {', '.join(policies)}")
    return text
