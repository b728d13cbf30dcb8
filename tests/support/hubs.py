"""
A hub in memory, and tokens for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from jwt import encode
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Channel, History
from twisted_sse.hub import Hub
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

__all__ = ["EVERYTHING", "FORM", "KEY", "PATH", "HubCase", "bearer", "token"]

KEY = "!ChangeThisMercureHubJWTSecretKey!"
PATH = "/.well-known/mercure"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

#: The claims of a token that grants everything.
EVERYTHING = {"mercure": {"publish": ["*"], "subscribe": ["*"]}}


def token(claims: dict[str, Any], **header: str) -> str:
    """
    Make a token.

    @param header: further members of its header.
    """
    return encode(claims, KEY, "HS256", header)


def bearer(**claims: Any) -> dict[str, str]:
    """
    @param claims: further claims of the token.
    @return: the headers of a client with every right.
    """
    return {"Authorization": f"Bearer {token({**EVERYTHING, **claims})}", **FORM}


class HubCase(SynchronousTestCase):
    """
    A hub in memory.
    """

    makeClock: Callable[[], MemoryClock] = MemoryClock

    def serve(self, **options: Any) -> Hub:
        """
        Make a hub.

        @param options: its arguments, and two for its channel: C{history}, and C{store}, a function
            that makes the store from a clock.
        """
        self.clock = self.makeClock()
        history, makeStore = options.pop("history", History()), options.pop("store", None)
        more: dict[str, Any] = {}
        if makeStore is not None:
            more = {"name": "hub", "store": makeStore(self.clock), "reactor": self.clock}
            options["reactor"] = self.clock
        self.channel = Channel(history, **more)
        options = {
            "publisherJwtKey": KEY,
            "subscriberJwtKey": KEY,
            "anonymous": True,
            **options,
        }
        self.hub = Hub(self.channel, **options)
        self.client = MemoryClient(self.hub, clock=self.clock)
        return self.hub

    def get(
        self, query: str, headers: Iterable[tuple[str, str]] = (), method: str = "GET"
    ) -> MemoryStream:
        """
        Subscribe.

        @param query: what follows the question mark, or another target.
        """
        target = query if query.startswith("/") else f"{PATH}?{query}" if query else PATH
        # If a name occurs several times, the first one counts.
        return self.client.request(method, target, dict(reversed(list(headers))))

    def assertToldToComeBack(self, *streams: MemoryStream) -> None:
        """
        Assert that the streams ended in the way that makes browsers reconnect.
        """
        for stream in streams:
            self.assertEqual((stream.status, stream.ended), (200, True))
            *_, told = re.findall(rb"^retry: (\d+)\n", stream.body, re.MULTILINE)
            self.assertIn(int(told), range(5000, 15001))
            self.assertTrue(stream.body.endswith(b"\n\n"), stream.body)
            self.assertEqual(list(stream.events), [])
            self.assertNotIn("Retry-After", stream.headers)
