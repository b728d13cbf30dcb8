"""
Tests for L{twisted_sse.daemon.pages}: the page of a stream, and its files.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urljoin

from twisted.trial.unittest import SynchronousTestCase

from tests.support.options import BROWSER
from twisted_sse.daemon.pages import FILES, AllPage, Greeting, Shown, SourceList, pageFiles
from twisted_sse.testing import MemoryClient


class GreetingTests(SynchronousTestCase):
    """
    Tests for the page of a stream.
    """

    def page(self, path: str = "/", label: str = "app.log", **options: Any) -> str:
        """
        @return: the page of the stream at this path.
        """
        resource = Greeting(Shown(path, "file", label, f"/srv/{label}"), **options)
        return MemoryClient(resource).get("/", headers=BROWSER).text

    def test_links(self) -> None:
        """
        Wherever the stream is, and whatever prefix a proxy adds, the page's links work, including
        the one to the index.
        """
        for path in "/", "/vm", "/logs/app/x":
            for index in "/", "/all":
                page = self.page(path, index=index)
                for base in "http://a.example", "http://a.example/behind/proxy":
                    found = {
                        urljoin(base + path, each)
                        for each in re.findall(r'(?:href|src)="([^d#].*?)"', page)
                    }
                    for file in FILES.glob("*.css"):
                        found.discard(f"{base}/page/{file.name}")
                    expected = {"/page/page.js", index}
                    self.assertEqual(found, {base + each for each in expected})
        self.assertNotIn('id="back"', self.page("/vm"))

    def test_data(self) -> None:
        """
        The data for the scripts is in attributes of the root element, escaped.
        """
        page = self.page("/logs/app", "<b>&$\"'", sources=3, heartbeat=1.5)
        (root,) = re.findall(r"<html .*?>\n", page, re.DOTALL)
        found = {name: unescape(value) for name, value in re.findall(r'data-(\w+)="(.*?)"', root)}
        self.assertEqual(
            found,
            {
                "kind": "file",
                "label": "<b>&$\"'",
                "detail": "/srv/<b>&$\"'",
                "path": "/logs/app",
                "prefix": "../",
                "sources": "3",
                "heartbeat": "1.5",
            },
        )
        self.assertIn('data-heartbeat="15"', self.page(heartbeat=15.0))
        self.assertIn('data-heartbeat=""', self.page())

    def test_named(self) -> None:
        """
        The page shows the label of the source, escaped.
        """
        page = self.page("/", "<b>&$name")
        self.assertIn("<title>&lt;b&gt;&amp;$name</title>", page)
        self.assertNotIn("<b>&", page)

    def test_list(self) -> None:
        """
        A path without a stream has links to the sources, their labels, and their number.
        """
        sources = {"/vm": "ping localhost", "/a/b": "<b>"}
        client = MemoryClient(SourceList(sources, "/.well-known/mercure"))
        answer = client.get("/", headers=BROWSER)
        links = re.findall(r'<li><a href="(.*?)">(.*?)</a> (.*?)</li>', answer.text)
        self.assertEqual(links, [("vm", "/vm", "ping localhost"), ("a/b", "/a/b", "&lt;b&gt;")])
        self.assertIn("/.well-known/mercure", answer.text)
        self.assertIn('data-sources="2"', answer.text)
        self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(client.get("/").text, "ok")
        self.assertEqual(client.request("HEAD", "/", headers=BROWSER).text, "")

    def test_all(self) -> None:
        """
        The page of all streams is like that of a stream, at a path without one.
        """
        client = MemoryClient(AllPage(Shown("/all", "all", "All sources"), 2, "/"))
        answer = client.get("/", headers=BROWSER)
        self.assertIn('data-kind="all"', answer.text)
        self.assertIn('href="./">Sources', answer.text)
        self.assertEqual(answer.headers["vary"], "Accept")

    def test_methods(self) -> None:
        """
        GET and HEAD are answered C{ok}, anything else with 405: the path accepts no POST.
        """
        for page in (Greeting(Shown("/", "tick", "Ticks")), SourceList({"/a": "a", "/b": "b"})):
            client = MemoryClient(page)
            self.assertEqual(client.get("/").text, "ok")
            self.assertEqual(client.request("HEAD", "/").status, 200)
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                refused = client.request(method, "/", body="hello")
                self.assertEqual(refused.status, 405)
                self.assertEqual(refused.headers["Allow"], "GET, HEAD, OPTIONS")

    def test_embed(self) -> None:
        """
        Only pages of the given origins may show our page in a frame, and nothing else changes.
        """

        def policy(*embedders: str) -> str:
            page = Greeting(Shown("/", "tick", "Ticks"), embedders=embedders)
            answer = MemoryClient(page).get("/", headers=BROWSER)
            self.assertNotIn("x-frame-options", answer.headers)
            return answer.headers["content-security-policy"]

        origins = "https://a.example", "http://127.0.0.1:3000"
        self.assertTrue(policy().endswith("; frame-ancestors 'none'"))
        self.assertEqual(policy(*origins), policy().removesuffix("'none'") + " ".join(origins))
        listed = SourceList({}, embedders=origins)
        headers = MemoryClient(listed).get("/", headers=BROWSER).headers
        self.assertEqual(headers["content-security-policy"], policy(*origins))

    def test_policy(self) -> None:
        """
        The page needs nothing that its policy forbids, and nothing from other servers.
        """
        policy = (
            MemoryClient(Greeting(Shown("/", "tick", "Ticks")))
            .get("/", headers=BROWSER)
            .headers["content-security-policy"]
        )
        self.assertNotIn("unsafe", policy)
        for path in FILES.rglob("*.*"):
            text = path.read_text(encoding="utf-8")
            self.assertNotRegex(text, r"https?://|//[a-z]+\.")
            if path.suffix == ".html":
                self.assertNotRegex(text, r"<style| style=| on[a-z]+=|<script(?! src=)")
            if path.suffix == ".js":
                self.assertNotRegex(
                    text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
                )

    def test_files(self) -> None:
        """
        Only the page's own files are served.
        """
        client = MemoryClient(pageFiles())
        for name, status in (
            ("page.js", 200),
            ("page.css", 200),
            ("line/line.js", 200),
            ("line", 404),
            ("line/", 404),
            ("line/absent.js", 404),
            ("index.html", 404),
            ("", 404),
        ):
            self.assertEqual(client.get(f"/{name}").status, status, name)
