"""
What the query of a stream's URL asks for.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.error import Error

from ..channel.channel import Channel
from ..hub.query import parameters, topicsIn
from ..hub.refused import Refused
from ..stream.stream import EventStream

__all__ = ["subscribing"]

#: A number with more digits is more than there can be.
MOST_DIGITS = 9


def subscribing(
    channel: Channel, tail: int, most: int, hasTopics: bool
) -> Callable[[EventStream], None]:
    """
    Make the function that subscribes each stream as the query of its URL says: with C{tail=N} a new
    client gets the newest N events first, and with C{topic=} it chooses topics.

    @param channel: what to subscribe to.
    @param tail: how many of the newest events a new client gets if its URL does not say.
    @param most: how many it gets at most: so many are kept.
    @param hasTopics: whether there are topics to choose.
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
    @return: how many events the query of a URL asks for; L{None} if it does not say.
    @raise Refused: if that is no number.  Ignored, it would look like a source without events.
    """
    tail = None
    if b"tail" not in uri:
        # As nearly always: nothing needs to be parsed.
        return tail
    for name, value in parameters(uri):
        if name == "tail":
            if not (value.isascii() and value.isdigit()):
                raise Refused(400, "tail in the query of the URL must be a number, of digits only")
            tail = most if len(value) > MOST_DIGITS else min(int(value), most)
    return tail
