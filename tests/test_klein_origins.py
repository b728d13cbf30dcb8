"""
Tests for L{twisted_sse.klein}: preflights, and the rights of pages of other origins.
"""

from __future__ import annotations

from collections.abc import Iterator

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from tests.support.klein_apps import KleinTestCase
from twisted_sse.checks import InvalidOption
from twisted_sse.klein import eventStream
from twisted_sse.testing import MemoryStream


class OriginTests(KleinTestCase):
    """
    Tests for routes with C{origins}.
    """

    def test_options(self) -> None:
        """
        A routed preflight is answered for the requested method.
        """

        @self.app.route("/", methods=["PUT", "OPTIONS"])
        @eventStream(origins=["https://example.com"])
        async def push(request: IRequest) -> None:
            pass

        browser = self.client.request(
            "OPTIONS",
            headers={"Origin": "https://example.com", "Access-Control-Request-Method": "PUT"},
        )
        self.assertEqual(browser.status, 204)
        self.assertEqual(browser.headers["Access-Control-Allow-Origin"], "https://example.com")
        self.assertEqual(browser.headers["Access-Control-Allow-Methods"], "PUT")
        browser = self.client.request("PUT", headers={"Origin": "https://example.com"})
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Access-Control-Allow-Origin"], "https://example.com")

    def preflight(self, method: str, path: str = "/") -> MemoryStream:
        """
        Ask whether a page may make a request with this method.
        """
        return self.client.request(
            "OPTIONS",
            path,
            headers={
                "Origin": "https://example.com",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "cache-control,x-mine",
            },
        )

    def test_preflightHeaders(self) -> None:
        """
        A preflight response lists the headers that the route's options allow, and the response
        itself those that they expose.
        """

        @self.app.route("/", methods=["GET", "POST", "OPTIONS"])
        @eventStream(origins="*", allowHeaders=["X-Mine"], exposeHeaders=["X-Yours"])
        async def push(request: IRequest) -> None:
            pass

        browser = self.preflight("POST")
        self.assertEqual(browser.status, 204)
        self.assertEqual(browser.headers["Allow"], "GET, POST, HEAD, OPTIONS")
        self.assertEqual(browser.headers["Access-Control-Allow-Methods"], "GET, POST")
        self.assertIn("Cache-Control", browser.headers["Access-Control-Allow-Headers"])
        self.assertIn("X-Mine", browser.headers["Access-Control-Allow-Headers"])
        for method in "GET", "POST":
            browser = self.client.request(method, headers={"Origin": "https://example.com"})
            self.assertEqual(browser.headers["Access-Control-Expose-Headers"], "X-Yours")

        async def other(request: IRequest) -> None:
            pass

        for option in "allowHeaders", "exposeHeaders":
            self.assertRaises(InvalidOption, eventStream(**{option: ["X Mine"]}), other)

    def test_preflightOfOtherRoutes(self) -> None:
        """
        A preflight response allows the methods that reach this route, not those of other routes.
        """

        @self.app.route("/items/<name>", methods=["GET", "OPTIONS"])
        @self.app.route("/items/<name>", methods=["POST"])
        @eventStream(origins="*")
        def items(request: IRequest, name: str) -> Iterator[str]:
            yield name

        @self.app.route("/items/<name>", methods=["DELETE"])
        def delete(request: IRequest, name: str) -> str:
            return "deleted"

        for method in "GET", "POST", "DELETE":
            browser = self.preflight(method, "/items/a")
            self.assertEqual(browser.headers["Access-Control-Allow-Methods"], "GET, POST")

    def test_preflightWithoutMethods(self) -> None:
        """
        A route without methods answers a preflight for any method, except those of another route.
        """

        @self.app.route("/", methods=["DELETE"])
        def delete(request: IRequest) -> str:
            return "deleted"

        @self.app.route("/")
        @eventStream(origins="*")
        def all(request: IRequest) -> Iterator[str]:
            yield "x"

        for method, allowed in (
            ("GET", "GET"),
            ("HEAD", "GET"),
            ("PUT", "PUT"),
            ("DELETE", ""),
            ("\u00fc", "??"),
        ):
            browser = self.preflight(method)
            self.assertEqual(browser.status, 204)
            self.assertEqual(browser.headers["Access-Control-Allow-Methods"], allowed)

    def test_preflightBelow(self) -> None:
        """
        Preflights are answered in branches, subroutes and methods of an object.
        """

        class Shop:
            app = Klein()

            @app.route("/news", methods=["PUT", "OPTIONS"])
            @eventStream(origins="*")
            def news(self, request: IRequest) -> Iterator[str]:
                yield "news"

        with self.app.subroute("/sub") as app:

            @app.route("/deep/", methods=["PATCH", "OPTIONS"], branch=True)
            @eventStream(origins="*")
            def deep(request: IRequest) -> Iterator[str]:
                yield "deep"

        @self.app.route("/shop/", branch=True)
        def shop(request: IRequest) -> IResource:
            return Shop().app.resource()

        for path, allowed in (
            ("/shop/news", "PUT"),
            ("/sub/deep/", "PATCH"),
            ("/sub/deep/x", "PATCH"),
        ):
            browser = self.preflight("PUT", path)
            self.assertEqual(browser.status, 204)
            self.assertEqual(browser.headers["Access-Control-Allow-Methods"], allowed)
