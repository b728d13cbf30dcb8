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

#: Not the shared generator, which Hypothesis begins anew for each example, in each process with the same
#: number: then two that run at the same time would choose the same ports.
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
            # Another program has it.
            continue
