"""
For a server without its own events: once all clients are connected, POST events to it, one after
another.

usage: publish.py PORT PATH RATE STREAMS [TOPICS]

With TOPICS, to C{PATH/0}, C{PATH/1} and so on in turn.
"""

from __future__ import annotations

import json
import sys
import time
from http.client import HTTPConnection
from itertools import cycle

from pace import Pace, makeData

port, path, rate, streams = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
paths = [f"{path}/{number}" for number in range(int(sys.argv[5]))] if len(sys.argv) > 5 else [path]
connection = HTTPConnection("127.0.0.1", port)


def count(path: str) -> int:
    """
    Request the number of clients, as nchan reports it.
    """
    connection.request("GET", path, headers={"Accept": "text/json"})
    response = connection.getresponse()
    told = response.read()
    return int(json.loads(told)["subscribers"]) if response.status == 200 else 0


while streams and sum(map(count, paths)) < streams:
    time.sleep(0.1)
headers = {"Content-Type": "text/plain", "X-EventSource-Event": "message"}
pace = Pace(rate)
turn = cycle(paths)
while True:
    time.sleep(pace.wait())
    for moment in pace.due():
        connection.request("POST", next(turn), makeData(moment), headers)
        connection.getresponse().read()
