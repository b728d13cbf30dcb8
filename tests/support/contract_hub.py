"""
A hub on real sockets, tokens of both dialects for it, and requests whose raw bytes tests see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from twisted.web.resource import Resource

from tests.support.hubs import KEY, PATH, token
from tests.support.live import Client, LiveTestCase, Response, Server, until
from twisted_sse import Channel, History
from twisted_sse.hub import Hub

__all__ = ["FORM", "HUB", "ISSUER", "NOW", "ContractCase", "detail"]

HUB = f"https://hub.example{PATH}"
ISSUER = "https://issuer.example"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

#: The time of the hub, in seconds since 1970.
NOW = 1_800_000_000.0

#: The type of the details of a token of 1.0.
DETAIL = "https://mercure.rocks/authorization-detail"


def detail(*actions: str, match: str = "*", kind: str = "exact") -> dict[str, Any]:
    """
    @return: what a token of 1.0 grants.
    """
    return {
        "type": DETAIL,
        "actions": list(actions),
        "topics": [{"match": match, "match_type": kind}],
    }


class ContractCase(LiveTestCase):
    """
    Shared parts of the contract tests.
    """

    def begin(self, **options: Any) -> Hub:
        """
        Serve a hub.

        @param options: its arguments, and C{history}, that of its channel.
        """
        channel = Channel(options.pop("history", History()))
        self.hub = Hub(
            channel,
            **{
                "publisherJwtKey": KEY,
                "subscriberJwtKey": KEY,
                "anonymous": True,
                "trustedIssuers": [f"{ISSUER}={KEY}"],
                "resourceIdentifier": HUB,
                "url": HUB,
                "now": lambda: NOW,
                **options,
            },
        )
        root, wellKnown = cast(Any, Resource)(), cast(Any, Resource)()
        root.putChild(b".well-known", wellKnown)
        wellKnown.putChild(b"mercure", self.hub)
        wellKnown.putChild(b"oauth-protected-resource", self.hub.metadata)
        self.server: Server = self.serve(root)
        return self.hub

    def old(
        self, publish: list[str] | None = None, subscribe: list[str] | None = None, **claims: Any
    ) -> dict[str, str]:
        """
        @return: the header with a token of 0.x, which grants everything by default.
        """
        if publish is None and subscribe is None:
            publish = subscribe = ["*"]
        claim = {"publish": publish or [], "subscribe": subscribe or []}
        return {"Authorization": f"Bearer {token({'mercure': claim, **claims})}"}

    def new(self, *details: dict[str, Any], typ: str = "at+jwt", **claims: Any) -> dict[str, str]:
        """
        @return: the header with a token of 1.0, which grants everything by default.
        """
        said = {
            "iss": ISSUER,
            "aud": HUB,
            "exp": NOW + 3600,
            "authorization_details": list(details) or [detail("publish", "subscribe")],
            **claims,
        }
        return {"Authorization": f"Bearer {token(said, typ=typ)}"}

    async def ask(
        self,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: bytes = b"",
    ) -> Response:
        """
        Make a request, and wait for the beginning of a stream, or a complete response.

        @param query: what follows the question mark, or another target.
        """
        target = query if query.startswith("/") else f"{PATH}?{query}" if query else PATH
        client = cast(Client, self.server.connect(Client, record=True))
        response = client.request(method, target, headers or {}, body=body)
        self.wire = client.wire
        await until(lambda: response.status is not None, f"{method} {target}")
        kind = response.headers.get("content-type", "")
        if response.status != 200 or not kind.startswith("text/event-stream") or method == "HEAD":
            await until(lambda: response.complete or client.lost, "the whole answer")
        return response

    async def post(self, headers: Mapping[str, str], *fields: tuple[str, str]) -> Response:
        """
        Publish with a form.
        """
        body = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
        return await self.ask("", {**FORM, **headers}, "POST", body.encode())

    async def publish(self, *topics: str, data: str | None = None, **options: Any) -> str:
        """
        Publish as the application that the hub is part of: by default the data is the first topic.
        """
        return await self.hub.publish(topics, topics[0] if data is None else data, **options)

    async def got(self, response: Response, *expected: str) -> None:
        """
        Assert that a subscriber received these data, and nothing else before an event published
        now.
        """

        def data() -> list[str]:
            return [event.data for event in response.events if event.type != "end"]

        await until(lambda: len(data()) >= len(expected), f"{expected}")
        # Surplus events have arrived once another subscriber has received one published after them.
        other = await self.ask("topic=end")
        await self.publish("end", data="end", type="end")
        await until(lambda: other.events, "the end")
        self.assertEqual(data(), list(expected))
