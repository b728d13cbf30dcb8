"""
Tests for L{twisted_sse.daemon.control}: an operator's actions on a hub's subscribers.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.hubs import KEY, PATH, token
from tests.support.options import ACCEPT, DaemonReactor, OptionsMixin
from twisted_sse.daemon import makeService
from twisted_sse.testing import MemoryClient, MemoryStream

HUB = ("--mercure", "--anonymous", f"--publisher-jwt-key={KEY}", f"--subscriber-jwt-key={KEY}")


class ControlTests(OptionsMixin):
    """
    Tests for a daemon with a hub and C{--admin}.
    """

    def serve(self, *options: str) -> None:
        """
        Make a daemon.
        """
        self.reactor: Any = DaemonReactor()
        makeService(self.options(*HUB, "--admin=tcp:1", "--port=2", *options), self.reactor)
        servers = {each[0]: each[1].resource for each in self.reactor.tcpServers}
        self.admin = MemoryClient(servers[1], clock=self.reactor)
        self.clients = MemoryClient(servers[2], clock=self.reactor)

    def subscribe(self, **claims: Any) -> MemoryStream:
        """
        Subscribe with a token.
        """
        text = token({"mercure": {"subscribe": ["*"]}, **claims})
        headers = {**ACCEPT, "Authorization": f"Bearer {text}"}
        return self.clients.get(f"{PATH}?topic=a", headers)

    def do(self, what: str, **fields: Any) -> MemoryStream:
        """
        Send a command.
        """
        answer = self.admin.post(f"/hub/{what}", body=json.dumps(fields))
        self.reactor.settle()
        return answer

    def listed(self) -> dict[str, Any]:
        """
        @return: the subscribers.
        """
        found: dict[str, Any] = json.loads(self.admin.get("/hub/subscribers").text)
        return found

    def test_subscribers(self) -> None:
        """
        The subscribers are counted and listed, with their tokens' subjects.
        """
        self.serve()
        self.assertEqual(self.listed(), {"count": 0, "subscribers": []})
        self.subscribe(sub="ada", jti="1", exp=2**33)
        self.clients.get(f"{PATH}?topic=b&topic=*", ACCEPT, address="192.0.2.1")
        found = self.listed()
        self.assertEqual(found["count"], 2)
        ada, other = found["subscribers"]
        self.assertTrue(ada.pop("id").startswith("urn:uuid:"))
        del other["id"]
        ours = {"protocol": "0.x"}
        self.assertEqual(
            ada,
            {
                **ours,
                "sub": "ada",
                "jti": "1",
                "exp": 2**33,
                "topics": ["a"],
                "address": "127.0.0.1",
            },
        )
        self.assertEqual(
            other,
            {
                **ours,
                "sub": None,
                "jti": None,
                "exp": None,
                "topics": ["b", "*"],
                "address": "192.0.2.1",
            },
        )

    def test_disconnect(self) -> None:
        """
        The matching subscribers are disconnected, and may reconnect.
        """
        self.serve()
        ada, bob = self.subscribe(sub="ada"), self.subscribe(sub="bob")
        answer = self.do("disconnect", sub="ada", retry=5000)
        self.assertEqual((answer.status, answer.text), (200, "{}\n"))
        self.assertEqual((ada.ended, bob.ended), (True, False))
        self.assertIn(b"retry: 5000\n", ada.body)
        self.assertEqual(self.subscribe(sub="ada").status, 200)

    def test_revoke(self) -> None:
        """
        A revoked token is refused.
        """
        self.serve()
        ada = self.subscribe(jti="1")
        self.assertEqual(self.do("revoke", jti="1", until=2**33).status, 200)
        self.assertTrue(ada.ended)
        self.assertEqual(self.subscribe(jti="1").status, 401)
        self.assertEqual(self.do("revoke", jti="2", until=1.5).status, 200)
        self.assertEqual(self.subscribe(jti="2").status, 200)

    def test_select(self) -> None:
        """
        The selection of an open stream is changed.
        """
        self.serve()
        self.subscribe()
        (subscriber,) = self.listed()["subscribers"]
        answer = self.do("select", subscriber=subscriber["id"], topics=["c", "d"])
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.listed()["subscribers"][0]["topics"], ["c", "d"])

    def test_wrong(self) -> None:
        """
        An invalid command is answered with the reason.
        """
        self.serve()
        for what, fields, says in (
            ("disconnect", {}, "give sub, jti or topic"),
            ("disconnect", {"sub": 7}, "sub must be a string"),
            ("disconnect", {"sub": "a", "retry": True}, "retry must be a number"),
            ("disconnect", {"sub": "a", "retry": 1}, "retry"),
            (
                "disconnect",
                {"user": "a"},
                "unknown field 'user': the fields are sub, jti, topic, retry",
            ),
            ("revoke", {"until": 2**33}, "give sub or jti"),
            ("revoke", {"sub": "a"}, "until is missing"),
            ("revoke", {"sub": "a", "until": -1}, "until"),
            ("select", {"subscriber": "a"}, "subscriber and topics"),
            ("select", {"subscriber": "a", "topics": [1]}, "a topic must be a str"),
        ):
            answer = self.do(what, **fields)  # type: ignore[arg-type]
            self.assertEqual(answer.status, 400, (what, fields))
            self.assertIn(says, json.loads(answer.text)["error"])
        for body, says in ("", "not JSON"), ("[]", "must be an object"), ("\udcff", "UTF-8"):
            answer = self.admin.post(
                "/hub/disconnect", body=body.encode("utf-8", "surrogateescape")
            )
            self.assertEqual(answer.status, 400)
            self.assertIn(says, json.loads(answer.text)["error"])
        for method, path, allowed in (
            ("GET", "disconnect", "POST"),
            ("POST", "subscribers", "GET"),
        ):
            answer = self.admin.request(method, f"/hub/{path}")
            self.assertEqual(answer.status, 405)
            self.assertIn(allowed, answer.headers["allow"])

    def test_where(self) -> None:
        """
        Clients of the hub, web pages and other machines cannot do any of this.
        """
        self.serve("--public")
        for path in "subscribers", "disconnect", "revoke", "select":
            self.assertEqual(self.clients.post(f"/hub/{path}", body="{}").status, 404)
            rebound = self.admin.post(f"/hub/{path}", {"Host": "evil.example"}, "{}")
            self.assertEqual(rebound.status, 421)
        for name in "Origin", "Sec-Fetch-Site":
            answer = self.admin.post("/hub/disconnect", {name: "null"}, '{"sub": "a"}')
            self.assertEqual(answer.status, 403)
        self.assertEqual(self.client(*HUB).get("/hub/subscribers").status, 404)
        self.serve("--auth=memory:alice:wonderland")
        self.assertEqual(self.admin.get("/hub/subscribers").status, 401)
