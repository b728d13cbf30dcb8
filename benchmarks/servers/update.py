"""
For a Mercure hub that is not ours: once all subscribers are connected, post updates to it, about
each of a hundred topics in turn.

usage: update.py PORT ADMIN RATE STREAMS
"""

from __future__ import annotations

import re
import sys
import time
from http.client import HTTPConnection
from itertools import cycle
from urllib.parse import urlencode
from urllib.request import urlopen

from jwt import encode
from pace import Pace, makeData
from rooms import PATH, SECRET, TOPICS

port, admin, rate, streams = (
    int(sys.argv[1]),
    int(sys.argv[2]),
    float(sys.argv[3]),
    int(sys.argv[4]),
)


def count() -> int:
    """
    @return: the number of subscribers, as the hub reports it in its metrics.
    """
    with urlopen(f"http://127.0.0.1:{admin}/metrics") as response:
        told = re.search(
            r"^mercure_subscribers_connected (\S+)$", response.read().decode(), re.MULTILINE
        )
    return int(float(told[1])) if told else 0


while streams and count() < streams:
    time.sleep(0.1)
connection = HTTPConnection("127.0.0.1", port)
headers = {
    "Authorization": f"Bearer {encode({'mercure': {'publish': ['*']}}, SECRET, 'HS256')}",
    "Content-Type": "application/x-www-form-urlencoded",
}
pace = Pace(rate)
turn = cycle(TOPICS)
while True:
    time.sleep(pace.wait())
    for moment in pace.due():
        update = {"topic": next(turn), "data": makeData(moment), "type": "message"}
        connection.request("POST", PATH, urlencode(update), headers)
        connection.getresponse().read()
