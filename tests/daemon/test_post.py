"""
Tests for the daemon's source C{post}, and for L{twisted_sse.daemon.tokens}: permission to publish
to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.options import ACCEPT, BROWSER, OptionsMixin, password
from twisted_sse.testing import MemoryStream

TOKEN = {"Authorization": "Bearer swordfish"}


class PostTestCase(OptionsMixin):
    """
    Has a file with tokens.
    """

    def setUp(self) -> None:
        """
        Make the file.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.file = Path(temporary.name) / "tokens"
        self.file.write_text("swordfish\n\n  other=\n", encoding="ascii")
        self.token = f"--publish-token=file:{self.file}"

    def data(self, stream: MemoryStream) -> list[str]:
        """
        @return: the data of a stream's events, except the channel's own.
        """
        return [event.data for event in stream.events if event.type != "stream-position"]


class PostTests(PostTestCase):
    """
    Tests for publishing to a daemon.
    """

    def test_publish(self) -> None:
        """
        POST publishes to all streams, with the ID in the response; GET works as for other sources.
        """
        client = self.client("post", "--tail=1")
        stream = client.get("/", headers=ACCEPT)
        answer = client.post("/?event=greeting", body="hello")
        self.assertEqual(answer.status, 200)
        (event,) = [event for event in stream.events if event.type == "greeting"]
        self.assertEqual((event.data, event.lastEventID), ("hello", json.loads(answer.text)["id"]))
        again = client.get("/", headers={**ACCEPT, "Last-Event-ID": event.lastEventID})
        client.post("/", body="again")
        self.assertEqual(self.data(again), ["again"])
        self.assertEqual(self.data(client.get("/", headers=ACCEPT)), ["again"])
        self.assertIn("<html", client.get("/", headers=BROWSER).text)
        self.assertEqual(client.get("/").text, "ok")

    def test_topics(self) -> None:
        """
        GET with topics subscribes to these.
        """
        client = self.client("post")
        stream = client.get("/?topic=a&topic=b", headers=ACCEPT)
        for topic in "a", "c", "b":
            client.post(f"/?topic={topic}", body=topic)
        self.assertEqual(self.data(stream), ["a", "b"])

    def test_paths(self) -> None:
        """
        Each path has its own sequence, and only a source C{post} accepts a POST.
        """
        client = self.client("/a=post", "/b/c=post", "/t=tick")
        streams = [client.get(path, headers=ACCEPT) for path in ("/a", "/b/c")]
        for path in "/a", "/b/c":
            self.assertEqual(client.post(path, body=path).status, 200)
        self.assertEqual([self.data(stream) for stream in streams], [["/a"], ["/b/c"]])
        for path in "/t", "/":
            answer = client.post(path, body="x")
            self.assertEqual(
                (answer.status, answer.headers["allow"]), (405, "GET, HEAD, OPTIONS"), path
            )
        answer = client.request("PUT", "/a", body="x")
        self.assertEqual((answer.status, "POST" in answer.headers["allow"]), (405, True))

    def test_withoutToken(self) -> None:
        """
        Without a token only programs on this machine can publish.
        """
        client = self.client("post", "--auth=memory:alice:wonderland", "--allow-host=sse.example")
        self.assertEqual(client.post("/", body="x").status, 200)
        for headers in (
            {"X-Forwarded-For": "192.0.2.1"},
            {"Origin": "http://localhost"},
            {"Host": "sse.example"},
        ):
            answer = client.post("/", headers, "x")
            self.assertEqual((answer.status, "token" in answer.text), (403, True), headers)
        self.assertEqual(client.post("/", body="x", address="192.0.2.1").status, 403)
        # Even with an unknown name the response reveals nothing else.
        self.assertEqual(client.post("/", {"Host": "evil.example"}, "x").status, 421)

    def test_withToken(self) -> None:
        """
        With tokens each publisher needs one, even on this machine, and may then be on any machine.
        """
        client = self.client("post", "--public", self.token)
        for token, status in ("swordfish", 200), ("other=", 200), ("x", 401), ("", 401):
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.1"}
            answer = client.post("/", headers, "x", address="192.0.2.9")
            self.assertEqual(answer.status, status, token)
        answer = client.post("/", body="x")
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
        self.assertEqual(client.get("/", headers=ACCEPT, address="192.0.2.9").status, 200)

    def test_passwords(self) -> None:
        """
        C{--auth} is for readers: a publisher needs no password, and a password is not a token.
        """
        client = self.client("/a=post", "/t=tick", "--auth=memory:alice:wonderland", self.token)
        self.assertEqual(client.post("/a", TOKEN, "x").status, 200)
        answer = client.post("/a", password(), "x")
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
        for headers in ACCEPT, {**ACCEPT, **TOKEN}, BROWSER, {}:
            for method in "GET", "HEAD":
                answer = client.request(method, "/a", headers)
                self.assertEqual(answer.status, 401, headers)
                self.assertIn("basic", answer.headers["www-authenticate"])
        self.assertEqual(client.get("/a", password()).status, 200)
        # A token is for publishing only, and nowhere else.
        for path in "/t", "/%61", "/a/", "/metrics", "/nowhere":
            self.assertEqual(client.post(path, TOKEN, "x").status, 401, path)

    def test_large(self) -> None:
        """
        A large body is published for permitted senders, and others get a refusal.
        """
        lines = "".join(f'{{"data": "{"x" * 100}"}}\n' for _ in range(1000))
        batch = {"Content-Type": "application/x-ndjson"}
        client = self.client("post", self.token)
        answer = client.post("/", {**batch, **TOKEN}, lines)
        self.assertEqual(len(json.loads(answer.text)["ids"]), 1000)
        self.assertEqual(client.post("/", batch, lines).status, 401)
        answer = client.post("/", {**batch, "Authorization": "Bearer x"}, lines)
        self.assertIn("the token is not valid", answer.text)
        client = self.client("post")
        self.assertEqual(client.post("/", batch, lines).status, 200)
        answer = client.post("/", {**batch, "Via": "1.1 x"}, lines)
        self.assertEqual((answer.status, "without a proxy" in answer.text), (403, True))

    def test_pages(self) -> None:
        """
        Without a token no page may publish, whatever it may read.
        """
        client = self.client("post", "--origin=*")
        for size in 1, 20_000:
            answer = client.post("/", {"Origin": "https://evil.example"}, "x" * size)
            self.assertEqual(answer.status, 403)

    def test_origins(self) -> None:
        """
        The pages of an C{--origin} may publish with a token.
        """
        client = self.client("post", self.token, "--origin=https://shop.example")
        preflight = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = client.request("OPTIONS", "/", preflight)
        self.assertIn("POST", answer.headers["access-control-allow-methods"])
        answer = client.post("/", {**TOKEN, "Origin": "https://shop.example"}, "x")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://shop.example")


class TokenTests(PostTestCase):
    """
    Tests for C{--publish-token}.
    """

    def assertTold(self, says: str, *arguments: str) -> None:
        """
        Assert that a command line is refused, and that no token is shown.
        """
        line = self.refusal(*arguments)
        self.assertIn(says, line)
        self.assertNotIn("swordfish", line)

    def test_several(self) -> None:
        """
        There may be several files, with one token per line.
        """
        other = self.file.with_name("more")
        other.write_text("third\r\n", encoding="ascii")
        options = self.options("post", self.token, "--publish-token", f"file:{other}")
        self.assertEqual(options["publish-token"], ["swordfish", "other=", "third"])
        self.assertEqual(self.options()["publish-token"], [])

    def test_wrong(self) -> None:
        """
        A token on the command line, a file that cannot be read, and one without a token are refused.
        """
        for value in "swordfish", "file:", "memory:swordfish":
            self.assertTold("must be file:PATH", "post", f"--publish-token={value}")
        self.assertTold("/nowhere: No such file", "post", "--publish-token=file:/nowhere")
        for content, says in (
            (b"", "it contains no token; this makes one: "),
            (b"\n \n", "it contains no token"),
            (b"good\nsword fish\n", "line 2 is not a token"),
            (b"swordfish\xff\n", "line 1 is not a token"),
            ("swordf\xefsh".encode(), "line 1 is not a token"),
        ):
            self.file.write_bytes(content)
            self.assertTold(f"--publish-token file:{self.file}: {says}", "post", self.token)

    def test_together(self) -> None:
        """
        C{--public} requires a token if clients can publish, and a token is only accepted then.
        """
        self.assertTold("--public would let everyone publish at /a", "/a=post", "--public")
        self.assertTold("and tick has none", "tick", self.token)
        self.options("post", "--auth=memory:a:b")

    def test_where(self) -> None:
        """
        Posted events are the user's own data: they are served to this machine only.
        """
        self.assertTold("this address is reachable from other machines", "post", "--listen=tcp:1")
        self.assertTrue(self.options("post").isPrivate)
        self.assertTrue(self.options("post", self.token).isPrivate)
