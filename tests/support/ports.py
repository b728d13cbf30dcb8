"""
Ports for servers of tests.
"""

from __future__ import annotations

import random
import socket

__all__ = ["freePort"]

#: Below those that the system gives to clients (RFC 6335, 6, and Linux's own, from 32768): else
#: a client might be given the port of a server that is being restarted, or connect to itself there.
LEAST = 20_000
MOST = 32_000

#: Those that were returned.
_given: set[int] = set()


def freePort() -> int:
    """
    Find a free port number, for a server that restarts on it.
    """
    while True:
        port = random.randint(LEAST, MOST)
        if port in _given:
            continue
        try:
            with socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port
        except OSError:
            # Somebody else has it.
            continue
