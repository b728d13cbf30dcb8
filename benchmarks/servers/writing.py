"""
Another program that adds events to a stream in Redis.

usage: writing.py RATE EVENTS KEY URL

RATE events a second, where events due at the same time are added together; or, if it is 0, as many
as possible.  It ends after EVENTS events, or never if that is 0.
"""

from __future__ import annotations

import socket
import sys
import time
from urllib.parse import urlsplit

from hiredis import Reader, pack_command
from pace import Pace, makeData

#: The largest number of commands sent together.
TOGETHER = 1000

#: The approximate number of events that the server keeps.
KEPT = 1_000_000

rate, events, key, url = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], urlsplit(sys.argv[4])
connection = socket.create_connection((url.hostname, url.port))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
reader = Reader()


def write(moments: list[int]) -> None:
    """
    Add events, and wait until all are stored.
    """
    fields = ("event", "message", "data")
    connection.sendall(
        b"".join(
            [
                pack_command(("XADD", key, "MAXLEN", "~", KEPT, "*", *fields, makeData(moment)))
                for moment in moments
            ]
        )
    )
    left = len(moments)
    while left:
        reader.feed(connection.recv(2**16))
        while (reply := reader.gets()) is not False:
            if isinstance(reply, Exception):
                raise reply
            left -= 1


if rate:
    pace = Pace(rate)
    while True:
        time.sleep(max(0.0005, pace.wait()))
        write(list(pace.due()))
for start in range(0, events, TOGETHER):
    write([time.monotonic_ns()] * min(TOGETHER, events - start))
