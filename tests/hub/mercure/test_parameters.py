"""
Tests for L{twisted_sse.hub.mercure.parameters}.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from tests.support.hubs import PATH, HubCase, token
from twisted_sse.hub.mercure.parameters import Queries

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class SecretTests(HubCase):
    """
    Tests for tokens in URLs.
    """

    def targets(self, *asked: tuple[str, str, dict[str, str]]) -> list[tuple[int | None, bytes]]:
        """
        Make requests.

        @return: the status of each, and its target as logged with the response.
        """
        found = []
        render, requests = self.hub.render, list[Any]()

        def seen(request: Any) -> int:
            requests.append(request)
            return render(request)

        with mock.patch.object(self.hub, "render", seen):
            for method, target, headers in asked:
                answer = self.client.request(method, PATH + target, headers)
                self.clock.settle()
                found.append((answer.status, requests.pop().uri))
        return found

    def test_early(self) -> None:
        """
        A token in the URL appears in no log, however early the response is.
        """
        self.serve()
        secret = "authorization=SECRET"
        long = {"Last-Event-ID": "x" * 10_000}
        for (status, target), expected in zip(
            self.targets(
                ("GET", f"?{secret}", {}),
                ("HEAD", f"?{secret}", {}),
                ("GET", f"?topic=a&match=b&{secret}", {}),
                ("GET", f"?topic=%FF&{secret}", {}),
                ("GET", f"?topic=a&{secret}", {}),
                ("GET", f"?topic=a&{secret}", long),
                ("GET", f"/x?{secret}", {}),
                ("GET", f"/subscriptions?{secret}", {}),
                ("QUERY", f"?match=a&{secret}", {}),
                ("OPTIONS", f"?{secret}", {}),
                ("PUT", f"?{secret}", {}),
                ("POST", f"?{secret}", FORM),
                ("POST", f"?x=%FF&{secret}", FORM),
                ("GET", "?match=a&access_token=SECRET", {}),
            ),
            (400, 400, 400, 400, 401, 401, 404, 404, 200, 204, 405, 401, 400, 200),
            strict=True,
        ):
            self.assertEqual(status, expected, target)
            self.assertNotIn(b"SECRET", target)
            self.assertIn(b"=redacted", target)

    def test_notAsked(self) -> None:
        """
        The same holds where the hub itself is not reached: when it has too many streams, or drains.
        """
        self.serve(maxStreams=1)
        good = f"?topic=a&authorization={token({'mercure': {}})}"
        first, second = self.targets(("GET", good, {}), ("GET", good, {}))
        self.hub.resource.drain(1)
        (third,) = self.targets(("GET", good, {}))
        for status, target in (first, second, third):
            self.assertEqual(status, 200)
            self.assertTrue(target.endswith(b"?topic=a&authorization=redacted"), target)

    def test_once(self) -> None:
        """
        A token is kept only until it is used.
        """
        request = Request(DummyChannel(), False)
        request.uri, request.args = b"/?a=b&authorization=SECRET", {b"authorization": [b"SECRET"]}
        queries = Queries()
        queries.hide(request)
        self.assertNotIn("SECRET", f"{request.uri!r} {request.args}")
        for value in "SECRET", "redacted":
            self.assertEqual(queries.take(request), [("a", "b"), ("authorization", value)])
