"""
Tests for the hub over HTTP/2 and TLS: publishing, the end of a stream, and the continuation of
others.
"""

from __future__ import annotations

import subprocess
import time
from typing import Any
from urllib.parse import quote

from twisted.internet.threads import deferToThread

from tests.support.contract_hub import FORM, HUB, ISSUER, detail
from tests.support.http2 import Client2, HTTP2TestCase
from tests.support.hubs import KEY, PATH, token
from tests.support.live import Response, until
from tests.support.requirements import needs
from twisted_sse import Channel
from twisted_sse.hub import Hub

EVERYTHING = {"mercure": {"publish": ["*"], "subscribe": ["*"]}}


def bearer(**claims: Any) -> dict[str, str]:
    """
    @return: the headers of a client with every right; in lower case, as in HTTP/2.
    """
    return {"authorization": f"Bearer {token({**EVERYTHING, **claims})}"}


def new(seconds: float = 3600) -> str:
    """
    @param seconds: its lifetime.
    @return: a token of 1.0 that grants everything.
    """
    return token(
        {
            "iss": ISSUER,
            "aud": HUB,
            "exp": time.time() + seconds,
            "authorization_details": [detail("publish", "subscribe")],
        },
        typ="at+jwt",
    )


class HubCase(HTTP2TestCase):
    """
    Has a hub, and a connection to it.
    """

    guarded = True

    def begin(self, **options: Any) -> Client2:
        """
        Serve a hub, and connect to it.

        @param options: the options of the hub.
        """
        channel = Channel(positionEvent=None, resetEvent=None)
        self.hub = Hub(
            channel,
            publisherJwtKey=KEY,
            subscriberJwtKey=KEY,
            trustedIssuers=[f"{ISSUER}={KEY}"],
            resourceIdentifier=HUB,
            url=HUB,
            **options,
        )
        self.server = self.serve(self.hub, site={"tls": True, "guarded": self.guarded})
        client: Client2 = self.server.connect(Client2)
        return client

    async def subscribe(
        self, client: Client2, query: str = "topic=a", **headers: str
    ) -> tuple[int, Response]:
        """
        Subscribe, and wait for the beginning of the response.
        """
        number, response = client.request("GET", f"{PATH}?{query}", headers)
        await until(lambda: response.status is not None, query)
        return number, response


@needs("network")
class StreamTests(HubCase):
    """
    Tests for the streams of one connection.
    """

    async def test_publish(self) -> None:
        """
        Updates published over a connection reach its streams, each according to its selection, with
        the same ID; and are replayed to a stream that resumes.
        """
        client = self.begin()
        _, one = await self.subscribe(client, "topic=a", **bearer())
        _, other = await self.subscribe(client, "topic=b", **bearer())
        made = []
        for data in "first", "second", "x" * 10_000:
            body = f"topic=a&private=on&data={data}".encode()
            _, answer = client.request("POST", PATH, {**bearer(), **_lower(FORM)}, body)
            await until(lambda answer=answer: answer.complete)
            self.assertEqual(answer.status, 200)
            made.append(answer.body.decode())
        await until(lambda: len(one.events) == 3)
        self.assertEqual([event.lastEventID for event in one.events], made)
        self.assertEqual(one.data[:2], ["first", "second"])
        self.assertEqual(other.events, [])
        headers = {**bearer(), "last-event-id": made[0]}
        _, resumed = await self.subscribe(client, **headers)
        await until(lambda: len(resumed.events) == 2)
        self.assertEqual(resumed.headers["last-event-id"], made[0])
        self.assertEqual((client.resets, client.terminated), ({}, False))

    async def test_expires(self) -> None:
        """
        When a token expires its stream ends cleanly, in both protocols, and the others on the
        connection continue.
        """
        client = self.begin()
        _, stays = await self.subscribe(client, **bearer())
        _, old = await self.subscribe(client, **bearer(exp=time.time() + 3))
        cookie = f"__Secure-mercure_access_token={new(3)}"
        _, young = await self.subscribe(client, "match=a", cookie=cookie)
        self.assertEqual((old.status, young.status), (200, 200))
        await until(lambda: old.complete and young.complete)
        await self.hub.publish("a", "still here")
        await until(lambda: stays.data == ["still here"])
        self.assertEqual((client.resets, old.data, young.data), ({}, [], []))

    async def test_revoked(self) -> None:
        """
        The streams of a revoked token end cleanly, with all pending events, and the token is
        refused on the same connection, where others continue.
        """
        client = self.begin()
        _, stays = await self.subscribe(client, **bearer(jti="1"))
        ended = [await self.subscribe(client, **bearer(jti="2")) for _ in range(5)]
        self.hub.publish("a", "last")
        await self.hub.revoke(jti="2", until=time.time() + 60)
        await until(lambda: all(response.complete for _, response in ended))
        self.assertEqual([response.data for _, response in ended], [["last"]] * 5)
        _, refused = await self.subscribe(client, **bearer(jti="2"))
        self.assertEqual(refused.status, 401)
        body = b"topic=a&data=x"
        _, refused = client.request("POST", PATH, {**bearer(jti="2"), **_lower(FORM)}, body)
        await until(lambda: refused.complete)
        self.assertEqual(refused.status, 401)
        await self.hub.publish("a", "still here")
        await until(lambda: stays.data == ["last", "still here"])
        self.assertEqual((client.resets, client.lost), ({}, None))

    async def test_cookies(self) -> None:
        """
        A cookie is found even if each has its own header: RFC 9113, 8.2.3.
        """
        client = self.begin()
        crumbs = [("cookie", "a=b"), ("cookie", f"__Secure-mercure_access_token={new()}")]
        for more, status in (crumbs, 200), (crumbs[:1], 401):
            _, response = client.request("GET", f"{PATH}?match=a", more=more)
            await until(lambda response=response: response.status is not None)
            self.assertEqual(response.status, status)

    async def test_query(self) -> None:
        """
        QUERY has the selectors in its body.
        """
        client = self.begin(anonymous=True)
        body = f"match_urlpattern={quote('/books/:id')}".encode()
        _, response = client.request("QUERY", PATH, _lower(FORM), body)
        await until(lambda: self.hub.subscribers)
        await self.hub.publish("/books/1", "x")
        await until(lambda: response.data == ["x"])

    async def test_many(self) -> None:
        """
        A hundred streams of one connection get their selections, and end together when they are
        drained.
        """
        client = self.begin(anonymous=True, presence=True)
        streams = [client.request("GET", f"{PATH}?topic={number}")[1] for number in range(100)]
        await until(lambda: self.hub.subscribers == 100)
        for number in range(100):
            self.hub.publish([str(number), "all"], str(number))
        await until(lambda: all(stream.events for stream in streams))
        self.assertEqual([stream.data for stream in streams], [[str(n)] for n in range(100)])
        await self.hub.resource.drain(5)
        await until(lambda: all(stream.complete for stream in streams))
        self.assertEqual(client.resets, {})


@needs("network", "curl")
class CurlTests(HubCase):
    """
    Tests for curl, which speaks HTTP/2 if it can.
    """

    async def curl(self, *arguments: str) -> str:
        """
        @return: what curl prints.
        """
        command = ["curl", "-sS", "--insecure", "--http2", "--max-time", "20", *arguments]
        done = await deferToThread(
            subprocess.run, command, capture_output=True, text=True, check=True
        )
        return str(done.stdout)

    async def test_curl(self) -> None:
        """
        curl publishes, and gets its missed updates until its token expires.
        """
        self.begin()
        url = self.server.url.rstrip("/") + PATH
        writes = f"Authorization: Bearer {token(EVERYTHING)}"
        fields = ["-d", "topic=a", "-d", "private=on", "--data-urlencode", "data=gr\u00fc\u00dfe"]
        made = await self.curl("-H", writes, *fields, "-w", " %{http_version}", url)
        identifier, _, version = made.rpartition(" ")
        self.assertEqual(version, "2")
        reads = bearer(exp=time.time() + 2)["authorization"]
        got = await self.curl(
            *("-N", "-H", f"Authorization: {reads}", "-H", "Last-Event-ID: earliest"),
            *("-w", "%{http_version} %{http_code}", f"{url}?topic=a"),
        )
        self.assertIn(f"id: {identifier}\ndata: gr\u00fc\u00dfe\n\n", got)
        self.assertTrue(got.endswith("2 200"), got)


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
