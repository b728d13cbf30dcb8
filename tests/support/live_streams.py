"""
Applications for streams on real sockets: one sends a greeting, one fills a narrow connection.
"""

from __future__ import annotations

from typing import Any

#: Small kernel buffers, so that a client that does not read is detected after some kilobytes rather
#: than megabytes.
SMALL = 8192
NARROW = {"sendBuffer": SMALL}


def greet(stream: Any) -> None:
    """
    Send C{hello}, and leave the stream open.
    """
    stream.send("hello", id="1")


def fill(stream: Any, size: int = 4096) -> int:
    """
    Send until the connection accepts no more.

    @return: the number of events accepted.
    """
    sent = 0
    while not stream.bytesPending:
        stream.send("x" * size, id=str(sent), event="fill")
        sent += 1
        assert sent < 10_000, "it takes everything"
    return sent
