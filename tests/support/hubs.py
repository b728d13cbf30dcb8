"""
A hub in memory, and tokens for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jwt import encode
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Channel, History
from twisted_sse.hub import Hub
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

__all__ = ["KEY", "PATH", "HubCase", "token"]

KEY = "!ChangeThisMercureHubJWTSecretKey!"
PATH = "/.well-known/mercure"


def token(claims: dict[str, Any], **header: str) -> str:
    """
    Make a token.

    @param header: further members of its header.
    """
    return encode(claims, KEY, "HS256", header)


class HubCase(SynchronousTestCase):
    """
    A hub in memory.
    """

    makeClock: Callable[[], MemoryClock] = MemoryClock

    def serve(self, **options: Any) -> Hub:
        """
        Make a hub.

        @param options: its arguments, and C{history}, that of its channel.
        """
        self.clock = self.makeClock()
        history = options.pop("history", History())
        self.channel = Channel(history, positionEvent=None, resetEvent=None)
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
        # Of several with one name the first counts.
        return self.client.request(method, target, dict(reversed(list(headers))))
