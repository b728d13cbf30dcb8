"""
What a hub costs, beside a channel with topics.

usage: hub.py MODE PORT RATE STREAMS

    topics     each client of a channel has chosen one of a hundred topics
    hub        each subscriber of a hub has selected one of them, every second one by a template
    post       a hub publishes what is posted, with a token

Otherwise, when there are STREAMS clients, RATE events a second, about each topic in turn.
"""

from __future__ import annotations

import sys
from itertools import count, cycle

from pace import makeData
from serving import publishing, say, serve, whenThere
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from twisted_sse import Channel, Event, EventStream, EventStreamResource
from twisted_sse.guard import LimitedRequest
from twisted_sse.hub import Hub

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

TOPICS = [f"https://example.com/rooms/{number}/messages" for number in range(100)]

numbers = count()
turn = cycle(TOPICS)


def connected(stream: EventStream) -> None:
    """
    Choose the next topic.
    """
    channel.subscribe(stream, topics=[TOPICS[next(numbers) % len(TOPICS)]])


class Selecting(Resource):
    """
    Has each client select the next topic: all of them ask for the same.
    """

    isLeaf = True

    def render(self, request: Request) -> int:
        """
        Answer a request.
        """
        number = next(numbers)
        topic = TOPICS[number % len(TOPICS)]
        if number % 2:
            topic = topic.replace("messages", "%7Bwhat%7D")
        request.uri = b"/?topic=" + topic.encode()
        request.prepath, request.postpath = [], []
        hub.render(request)
        return NOT_DONE_YET


class AtRoot(Resource):
    """
    Has the hub answer at the root.
    """

    isLeaf = True

    def render(self, request: Request) -> int:
        """
        Answer a request.
        """
        request.postpath = []
        hub.render(request)
        return NOT_DONE_YET


def publish(moment: int) -> object:
    """
    Publish an event about the next topic.
    """
    topic = next(turn)
    if mode == "hub":
        return hub.publish(topic, makeData(moment), type="message")
    return channel.publish(Event(makeData(moment), event="message"), topics=[topic])


if mode in ("hub", "post"):
    channel = Channel()
    hub = Hub(channel, anonymous=True, publisherJwtKey="x" * 32, slim=True)
    site = Site(Selecting() if mode == "hub" else AtRoot(), requestFactory=LimitedRequest)
else:
    channel = Channel()
    resource = EventStreamResource(connected, slim=True)
    site = Site(resource)


if mode != "post":
    whenThere(lambda: len(channel.streams), streams, lambda: publishing(rate, publish))
serve(site, port, lambda: say(streams=len(channel.streams)))
