"""
A Redis server, beside the load.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from machine import LOAD, Failed, freePort, running, waitFor

__all__ = ["broker"]


@contextmanager
def broker(processors: str = LOAD) -> Iterator[str]:
    """
    Run a Redis server that keeps everything in memory, while the context is open.

    @param processors: the processors that it may use.
    @return: its URL.
    @raise Failed: if there is none.
    """
    command = shutil.which("redis-server")
    if command is None:
        raise Failed("redis-server is not installed (on Debian: apt-get install redis-server)")
    port = freePort()
    with TemporaryDirectory() as folder:
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        with running([command, *options, "--loglevel", "warning"], processors) as process:
            waitFor(process, port)
            yield f"redis://127.0.0.1:{port}"
