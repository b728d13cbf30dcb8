"""
Tests for L{twisted_sse.daemon}: its responses to requests.
"""

from __future__ import annotations

import re

from twisted.internet.testing import MemoryReactorClock

from tests.support.options import ACCEPT, BROWSER, SOURCE, OptionsMixin, site
from twisted_sse.daemon import makeService
from twisted_sse.testing import MemoryClient


class AnswerTests(OptionsMixin):
    """
    Tests for the daemon's responses.
    """

    def test_default(self) -> None:
        """
        Without options each client gets C{hello} as event C{message} with ID 1, every two seconds
        from two seconds after it connects.
        """
        client = self.client()
        stream = client.get("/", headers=ACCEPT)
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.headers["content-type"], "text/event-stream; charset=utf-8")
        before = stream.text
        client.clock.advance(1.99)
        self.assertEqual(stream.text, before)
        client.clock.advance(0.01)
        self.assertEqual(stream.text, before + "event: message\nid: 1\ndata: hello\n\n")
        client.clock.advance(2)
        self.assertEqual(stream.text, before + "event: message\nid: 1\ndata: hello\n\n" * 2)
        stream.disconnect()

    def test_tick(self) -> None:
        """
        The tick's interval and fields are options; an empty event or ID is left out.
        """
        client = self.client("--interval", "0.5", "--event", "", "--data", "a\nb", "--id", "")
        stream = client.get("/", headers=ACCEPT)
        before = stream.text
        client.clock.advance(0.5)
        self.assertEqual(stream.text, before + "data: a\ndata: b\n\n")
        stream.disconnect()

    def test_python(self) -> None:
        """
        The user's function is called for each stream.
        """
        stream = self.client("--source", SOURCE).get("/", headers=ACCEPT)
        self.assertEqual([event.data for event in stream.events], ["first", "last"])
        self.assertTrue(stream.complete)

    def test_ok(self) -> None:
        """
        A request for neither the stream nor HTML gets C{ok}; the path accepts no POST.
        """
        client = self.client()
        for headers in {}, {"Accept": "*/*"}, {"Accept": "application/json, text/html;q=0"}:
            answer = client.get("/", headers=headers)
            self.assertEqual((answer.status, answer.text), (200, "ok"), headers)
            self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(client.post("/", body="x", headers=BROWSER).status, 405)

    def test_page(self) -> None:
        """
        A browser gets the page, whose policy allows only files served with it.
        """
        answer = self.client().get("/", headers=BROWSER)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(
            answer.headers["content-security-policy"],
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
            " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        self.assertIn('data-path="/"', answer.text)

    def test_pageAccept(self) -> None:
        """
        HTML counts as requested in any case, with parameters, and anywhere in C{Accept}.
        """
        client = self.client()
        for accept in (
            "text/HTML",
            "a/b, text/html;q=0.5",
            "a/b,text/html ;level=1",
            "text/html,a/b",
        ):
            self.assertIn("<html", client.get("/", headers={"Accept": accept}).text, accept)
        for accept in "text/html;q=0", "text/html; q=0.0, */*", "text/htmlx", "x-text/html":
            self.assertEqual(client.get("/", headers={"Accept": accept}).text, "ok", accept)

    def test_pageFiles(self) -> None:
        """
        The files to which the page refers are served, and nothing is inline or from another server.
        """
        client = self.client()
        html = client.get("/", headers=BROWSER).text
        references = [
            reference
            for reference in re.findall(r'(?:src|href)="([^"]*)"', html)
            if reference.startswith("page/")
        ]
        self.assertIn("page/page.js", references)
        types = {"css": "text/css", "js": "text/javascript"}
        for reference in references:
            answer = client.get(f"/{reference}")
            kind = types[reference.rpartition(".")[2]]
            self.assertEqual(answer.headers["content-type"], f"{kind}; charset=utf-8")
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertNotRegex(answer.text, r"https?://|innerHTML|\beval\b")
        self.assertNotRegex(html, r"<style|<script(?! src=)|\bon\w+=|\bstyle=|https?://")

    def test_head(self) -> None:
        """
        HEAD has the headers of GET, and no body.
        """
        client = self.client()
        for path, headers in ("/", BROWSER), ("/page/page.js", {}), ("/healthz", {}), ("/", {}):
            head = client.request("HEAD", path, headers=headers)
            get = client.get(path, headers=headers)
            self.assertEqual((head.status, head.body), (200, b""), path)
            for stream in head, get:
                stream.headers.removeHeader("date")
            self.assertEqual(head.headers, get.headers, path)

    def test_health(self) -> None:
        """
        C{/healthz} returns C{ok}, and must not be cached.
        """
        answer = self.client().get("/healthz")
        self.assertEqual((answer.status, answer.text), (200, "ok"))
        self.assertEqual(answer.headers["cache-control"], "no-store")

    def test_elsewhere(self) -> None:
        """
        Any other path is a 404, including ones that would leave the page's directory.
        """
        client = self.client()
        for path in "/x", "/page", "/page/", "/page/index.html", "/page/../pages.py", "/healthz/x":
            self.assertEqual(client.get(path).status, 404, path)

    def test_noTracebacks(self) -> None:
        """
        An exception in a source is in the log and not in the response.
        """
        reactor = MemoryReactorClock()
        makeService(self.options("--source", "python:operator:truediv"), reactor)
        self.assertFalse(site(reactor).displayTracebacks)
        answer = MemoryClient(site(reactor).resource).get("/", headers=ACCEPT)
        self.assertEqual(answer.status, 500)
        self.assertNotIn("Error:", answer.text)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
