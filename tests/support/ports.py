"""
Ports for servers of tests.
"""

from __future__ import annotations

import random
import socket

__all__ = ["freePort"]

#: Below those that the system assigns to clients (RFC 6335, 6, and Linux's own, from 32768):
#: otherwise, a client might receive the port of a server that is being restarted, or connect to
#: itself there.
LEAST = 20_000
MOST = 32_000

#: Not the shared generator: Hypothesis seeds that for each example, in each process with the same
#: number, so two processes running at the same time would choose the same ports.
_random = random.SystemRandom()

#: Those that were returned.
_given: set[int] = set()


def freePort() -> int:
    """
    Find a free port number, for a server that restarts on it.
    """
    while True:
        port = _random.randint(LEAST, MOST)
        if port in _given:
            continue
        try:
            with socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port
        except OSError:
            # Another program uses it.
            continue
