"""
Subscribing to the topics that the query of a URL names.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.error import Error

from ..channel.channel import Channel
from ..stream.stream import EventStream
from .query import topicsIn
from .refused import Refused

__all__ = ["byQuery"]


def byQuery(channel: Channel, last: int = 0) -> Callable[[EventStream], None]:
    """
    Make a function for L{EventStreamResource<twisted_sse.EventStreamResource>} that subscribes each
    stream to the topics in its URL: C{/events?topic=user:7&topic=all}; to everything if there are
    none.

    @param channel: what to subscribe to.
    @param last: how many of the newest events to send to a client that has none yet.
    @return: C{connected}, which answers 400 if a topic is empty, or C{topic} is misspelt.

    @since: 0.2
    """

    def connected(stream: EventStream) -> None:
        try:
            topics = topicsIn(stream.request.uri)
        except Refused as e:
            raise Error(e.status, response=f"{e}".encode()) from None
        channel.subscribe(stream, topics=topics, last=last)

    return connected
