"""
What applications do with streams on real sockets: say hello, and fill a narrow connection.
"""

from __future__ import annotations

from typing import Any

#: The kernel's buffers are kept small, so that a client that does not read is noticed after
#: some kilobytes rather than some megabytes.
SMALL = 8192
NARROW = {"sendBuffer": SMALL}


def greet(stream: Any) -> None:
    """
    Say hello, and leave the stream open.
    """
    stream.send("hello", id="1")


def fill(stream: Any, size: int = 4096) -> int:
    """
    Send until the connection takes no more.

    @return: how many events it took.
    """
    sent = 0
    while not stream.bytesPending:
        stream.send("x" * size, id=str(sent), event="fill")
        sent += 1
        assert sent < 10_000, "it takes everything"
    return sent
