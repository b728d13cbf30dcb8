"""
The cost of a hub, compared with a channel with topics.

usage: hub.py MODE PORT RATE STREAMS

    topics     a channel: each client has chosen topics
    hub        a hub
    post       a hub publishes posted events, with a token
    presence   a hub whose clients reconnect: it prints the ID after which there is one event about
               each topic, and the path for clients that follow the subscriptions
    absence    the same, without presence events

In the first two modes, when there are STREAMS clients, it sends RATE events a second, about each of a
hundred topics in turn.  On SIGUSR1 it reports the number of streams, which events are kept, and since
the last report: the longest time for which the reactor was blocked, and the longest garbage
collection.
"""

from __future__ import annotations

import sys
from itertools import cycle
from urllib.parse import quote

from jwt import encode
from pace import makeData
from rooms import PATH, SECRET, TOPICS
from serving import publishing, say, serve, whenThere
from turns import Hold
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStreamResource
from twisted_sse.guard import LimitedRequest
from twisted_sse.hub import Hub
from twisted_sse.hub.subscribe import byQuery

#: The number of events for reconnecting clients.
KEPT = 1000

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

turn = cycle(TOPICS)


def publish(moment: int) -> object:
    """
    Publish an event about the next topic.
    """
    topic = next(turn)
    if mode == "topics":
        return channel.publish(Event(makeData(moment), event="message"), topics=[topic])
    return hub.publish(topic, makeData(moment), type="message")


def kept() -> list[str | None]:
    """
    @return: the first and the last kept ID, and the number of kept events.
    """
    history = channel.history
    places = history.first, history.end - 1
    return [history.get(place).event.id if len(history) else None for place in places]


def report() -> None:
    """
    Report the state.
    """
    say(streams=len(channel.streams), kept=kept(), held=hold.longest, garbage=hold.garbage)
    hold.longest = hold.garbage = 0.0


hold = Hold()
if mode == "topics":
    channel = Channel()
    root: Resource = EventStreamResource(byQuery(channel), slim=True)
else:
    channel = Channel()
    root = hub = Hub(
        channel,
        anonymous=True,
        publisherJwtKey=SECRET,
        subscriberJwtKey=SECRET,
        presence=mode == "presence",
        slim=True,
    )

if mode in ("topics", "hub"):
    whenThere(lambda: len(channel.streams), streams, lambda: publishing(rate, publish))
elif mode != "post":
    for moment in range(KEPT):
        publish(moment)
    history = channel.history
    token = encode({"mercure": {"subscribe": ["*"]}}, SECRET, "HS256")
    watched = quote(f"{PATH}/subscriptions{{/topic}}{{/subscriber}}", safe="")
    say(
        id=history.get(history.end - 1 - len(TOPICS)).event.id,
        path=f"{PATH}?topic={watched}&authorization={token}",
        kept=kept(),
    )
    hold.begin()
serve(Site(root, requestFactory=LimitedRequest), port, report)
