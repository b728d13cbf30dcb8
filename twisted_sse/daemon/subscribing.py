"""
The query of a stream's URL: C{tail} and C{topic}.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from twisted.web.error import Error

from ..channel.channel import Channel
from ..hub.query import parameters, topicsIn
from ..hub.refused import Refused
from ..stream.stream import EventStream

__all__ = ["subscribing"]

#: A number with more digits exceeds any history.
MOST_DIGITS = 9


def subscribing(
    channel: Channel, tail: int, most: int, hasTopics: bool
) -> Callable[[EventStream], None]:
    """
    Make the function that subscribes each stream according to the query of its URL: with C{tail=N}, a
    new client gets the newest N events first; with C{topic=}, it chooses topics.

    @param channel: what to subscribe to.
    @param tail: the number of newest events for a new client whose URL sets none.
    @param most: the largest such number: the number of events that are kept.
    @param hasTopics: whether C{topic=} is allowed to choose topics.
    @return: C{connected}, which answers 400 if a value is not valid.
    """

    def connected(stream: EventStream) -> None:
        uri = stream.request.uri
        try:
            asked = _tailIn(uri, most)
            topics = topicsIn(uri) if hasTopics else None
        except Refused as e:
            raise Error(e.status, response=f"{e}".encode()) from None
        channel.subscribe(stream, topics=topics, last=tail if asked is None else asked)

    return connected


def _tailIn(uri: bytes, most: int) -> int | None:
    """
    @return: the value of C{tail} in the query of a URL; L{None} if there is none.
    @raise Refused: if it is not a number.  If it were ignored, the source would seem to have no events.
    """
    tail = None
    if b"tail" not in unquote_to_bytes(uri):
        # The usual case: there is nothing to parse.
        return tail
    for name, value in parameters(uri):
        if name == "tail":
            if not (value.isascii() and value.isdigit()):
                raise Refused(400, "tail in the query of the URL must be a number in digits")
            tail = most if len(value) > MOST_DIGITS else min(int(value), most)
    return tail
