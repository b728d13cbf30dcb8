"""
Tests for L{twisted_sse.hub.mercure.discovery}.
"""

from __future__ import annotations

from typing import Any

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from twisted_sse.hub.mercure.discovery import advertise, link
from twisted_sse.testing import MemoryClient


class AdvertiseTests(SynchronousTestCase):
    """
    Tests for L{advertise}.
    """

    def links(self, *arguments: Any, **more: Any) -> list[str]:
        """
        Respond to a request, and find the links that the client receives.
        """

        class Book(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                advertise(request, *arguments, **more)
                return b"a book"

        answer = MemoryClient(Book()).request("GET", "/books/1")  # type: ignore[no-untyped-call]
        links: list[bytes] = answer.headers.getRawHeaders(b"link", [])
        return [value.decode() for value in links]

    def test_hub(self) -> None:
        """
        By default the link points to the well-known path of a hub.
        """
        self.assertEqual(self.links(), ['</.well-known/mercure>; rel="mercure"'])

    def test_klein(self) -> None:
        """
        A Klein route sends the link, too, in addition to its own links, with the ID of its state.
        """
        app = Klein()

        @app.route("/books/<int:number>")
        def book(request: Any, number: int) -> str:
            request.responseHeaders.addRawHeader(b"link", b'</>; rel="start"')
            advertise(request, "https://hub.example/m", topic=f"/books/{number}", lastEventID="7")
            return "a book"

        headers = MemoryClient(app.resource()).get("/books/1").headers
        self.assertEqual(
            headers.getRawHeaders("link"),
            [
                '</>; rel="start"',
                '<https://hub.example/m>; rel="mercure"; last-event-id="7"',
                '</books/1>; rel="self"',
            ],
        )

    def test_attributes(self) -> None:
        """
        Attributes are quoted, and the topic has its own link.
        """
        self.assertEqual(
            link(
                "https://example.com/hub", "mercure", {"last-event-id": 'a "b" \\ é', "type": None}
            ),
            '<https://example.com/hub>; rel="mercure"; last-event-id="a \\"b\\" \\\\ é"',
        )
        self.assertEqual(
            link("/bücher/{id}>", "self", {}), '</b%C3%BCcher/%7Bid%7D%3E>; rel="self"'
        )

    def test_injection(self) -> None:
        """
        No argument can end the header.
        """
        for value in ("a\\r\\nb", "a\\nb", "\\x00", "\\x7f"):
            value = value.encode().decode("unicode_escape")
            self.assertRaises(ValueError, link, "/", "mercure", {"type": value})
            self.assertNotIn(value, link(value, "self", {}))
