"""
Tests for L{twisted_sse.daemon.pages}: the page of a stream, and its files.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

from twisted.trial.unittest import SynchronousTestCase

from tests.support.options import BROWSER
from twisted_sse.daemon.pages import FILES, Greeting, StreamList, pageFiles
from twisted_sse.testing import MemoryClient


class GreetingTests(SynchronousTestCase):
    """
    Tests for the page of a stream.
    """

    def page(self, path: str = "/", *streams: str) -> str:
        """
        @return: the page of the stream at this path.
        """
        resource = Greeting(path, streams or (path,))
        return MemoryClient(resource).get("/", headers=BROWSER).text

    def test_links(self) -> None:
        """
        Wherever the stream is, and whatever prefix a proxy adds, the page's links work.
        """
        for path in "/", "/vm", "/logs/app/x":
            page = self.page(path, "/", "/vm", "/logs/app/x")
            for base in "http://a.example", "http://a.example/behind/proxy":
                found = {
                    urljoin(base + path, each)
                    for each in re.findall(r'(?:href|src)="([^d].*?)"', page)
                }
                expected = {"/page/page.css", "/page/page.js", "/", "/vm", "/logs/app/x"}
                self.assertEqual(found, {base + each for each in expected})
            self.assertIn(f'aria-current="page">{path}</a>', page)
        self.assertNotIn("<nav", self.page("/vm"))

    def test_named(self) -> None:
        """
        The page shows the path, escaped.
        """
        page = self.page("/<b>&$name")
        self.assertEqual(page.count("/&lt;b&gt;&amp;$name"), 2)
        self.assertNotIn("<b>&", page)

    def test_list(self) -> None:
        """
        A path without a stream has links to the streams.
        """
        client = MemoryClient(StreamList(("/vm", "/a/b")))
        answer = client.get("/", headers=BROWSER)
        self.assertEqual(re.findall(r'<a href="(.*?)"', answer.text), ["vm", "a/b"])
        self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(client.get("/").text, "ok")
        self.assertEqual(client.request("HEAD", "/", headers=BROWSER).text, "")

    def test_methods(self) -> None:
        """
        GET and HEAD are answered C{ok}, anything else 405: nothing can be sent here.
        """
        for page in (Greeting(), StreamList(["/a", "/b"])):
            client = MemoryClient(page)
            self.assertEqual(client.get("/").text, "ok")
            self.assertEqual(client.request("HEAD", "/").status, 200)
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                refused = client.request(method, "/", body="hello")
                self.assertEqual(refused.status, 405)
                self.assertEqual(refused.headers["Allow"], "GET, HEAD, OPTIONS")

    def test_policy(self) -> None:
        """
        The page needs nothing that its policy forbids, and nothing from elsewhere.
        """
        policy = (
            MemoryClient(Greeting()).get("/", headers=BROWSER).headers["content-security-policy"]
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
