"""
Tests for L{twisted_sse.hub.mercure.metadata}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.web.resource import Resource

from tests.support.hubs import KEY, PATH, HubCase
from tests.support.shared_store import Server, SharedStore
from twisted_sse import Channel
from twisted_sse.hub import Hub
from twisted_sse.hub.mercure.metadata import WELL_KNOWN_METADATA, metadataURL
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

HUB = f"https://hub.example{PATH}"


class MetadataTests(HubCase):
    """
    Tests for C{Hub.metadata} and the challenges that name it.
    """

    def ask(self, target: str, method: str = "GET", **options: Any) -> MemoryStream:
        """
        Ask a site with a hub.

        @param options: arguments of the hub.
        """
        hub = self.serve(**options)
        root, wellKnown = Resource(), Resource()  # type: ignore[no-untyped-call]
        root.putChild(b".well-known", wellKnown)  # type: ignore[no-untyped-call]
        wellKnown.putChild(b"mercure", hub)  # type: ignore[no-untyped-call]
        wellKnown.putChild(  # type: ignore[no-untyped-call]
            b"oauth-protected-resource", hub.metadata
        )
        self.client = MemoryClient(root, clock=self.clock)
        return self.client.request(method, target)

    def test_document(self) -> None:
        """
        The metadata is where RFC 9728 puts it, pages may read it, and it describes how to get
        access.
        """
        answer = self.ask(
            WELL_KNOWN_METADATA + PATH,
            resourceIdentifier=HUB,
            trustedIssuers=[f"https://login.example={KEY}", f"urn:own={KEY}"],
            presence=True,
        )
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        self.assertEqual(
            json.loads(answer.text),
            {
                "resource": HUB,
                "authorization_servers": ["https://login.example"],
                "bearer_methods_supported": ["header"],
                "authorization_details_types_supported": [
                    "https://mercure.rocks/authorization-detail"
                ],
                "mercure_cookie": "__Secure-mercure_access_token",
                "mercure_subscriptions": True,
            },
        )

    def test_identifier(self) -> None:
        """
        The metadata is also where challenges say, if the identifier has another path than the hub.
        """
        identifier = "https://api.example/hubs/a%20b?x=1"
        for target, status in (
            ("", 200),
            (PATH, 200),
            ("/hubs/a%20b?x=1", 200),
            ("/hubs", 404),
            ("/hubs/a%20b/c", 404),
        ):
            answer = self.ask(WELL_KNOWN_METADATA + target, resourceIdentifier=identifier)
            self.assertEqual(answer.status, status, target)

    def test_plain(self) -> None:
        """
        Features that the hub lacks are not announced, and its URL is its identifier by default.
        """
        document = json.loads(self.ask(WELL_KNOWN_METADATA, url=HUB).text)
        self.assertEqual(document["resource"], HUB)
        self.assertNotIn("authorization_servers", document)
        self.assertIs(document["mercure_subscriptions"], False)

    def test_shared(self) -> None:
        """
        If other processes share the store, presence is not announced: each has its own subscribers.
        """
        store = SharedStore(Server(MemoryClock()))
        channel = Channel(store=store, name="hub")
        hub = Hub(channel, presence=True)
        store.server.clock.settle()
        client = MemoryClient(hub.metadata, clock=store.server.clock)
        document = json.loads(client.get(WELL_KNOWN_METADATA + PATH).text)
        self.assertIs(document["mercure_subscriptions"], False)

    def test_old(self) -> None:
        """
        A hub of 0.x has no metadata, which is how clients recognise it.
        """
        answer = self.ask(WELL_KNOWN_METADATA + PATH, protocols=["0.x"])
        self.assertEqual(answer.status, 404)

    def test_others(self) -> None:
        """
        The metadata is for this hub alone; only it can be requested.
        """
        for target in ("/other", f"{PATH}/x", f"{PATH}/", "/%2Ewell-known/other"):
            self.assertEqual(self.ask(WELL_KNOWN_METADATA + target).status, 404, target)
        for method, status in ("HEAD", 200), ("OPTIONS", 204), ("POST", 405):
            answer = self.ask(WELL_KNOWN_METADATA + PATH, method)
            self.assertEqual((answer.status, answer.headers.get("ETag")), (status, None))
            if method == "HEAD":
                self.assertEqual(answer.text, "")
            else:
                self.assertEqual(answer.headers["Allow"], "GET, HEAD, OPTIONS")

    def test_challenged(self) -> None:
        """
        A refused client receives a link to the metadata if the identifier of the hub is a URL, and
        to nothing else.
        """
        where = f"https://hub.example{WELL_KNOWN_METADATA}{PATH}"
        options: dict[str, Any] = {"anonymous": False}
        refused = self.ask(f"{PATH}?match=a", resourceIdentifier=HUB, **options)
        self.assertEqual(refused.status, 401)
        self.assertEqual(refused.headers["WWW-Authenticate"], f'Bearer resource_metadata="{where}"')
        for identifier in (None, "urn:hub"):
            refused = self.ask(f"{PATH}?match=a", resourceIdentifier=identifier, **options)
            self.assertEqual(refused.headers["WWW-Authenticate"], "Bearer")

    def test_url(self) -> None:
        """
        The well-known path is put between the host and the path of the identifier: RFC 9728, 3.1.
        """
        for identifier, expected in (
            ("https://a.example", f"https://a.example{WELL_KNOWN_METADATA}"),
            ("https://a.example/", f"https://a.example{WELL_KNOWN_METADATA}"),
            ("http://localhost:81/x/y?z", f"http://localhost:81{WELL_KNOWN_METADATA}/x/y?z"),
            ("https://a.example/x#y", None),
            ("https://", None),
            ("", None),
            (None, None),
        ):
            self.assertEqual(metadataURL(identifier), expected)
