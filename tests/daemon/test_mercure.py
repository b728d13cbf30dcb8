"""
Tests for L{twisted_sse.daemon.mercure}: the hub as a part of the daemon.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.hubs import KEY, PATH, token
from tests.support.memory_agent import MemoryAgent
from tests.support.memory_http2 import H2_MISSING, MemoryClient2
from tests.support.options import ACCEPT, BROWSER, DaemonReactor, OptionsMixin, password, site
from twisted_sse.daemon import makeService
from twisted_sse.daemon.mercure import MOST_UNDECIDED, Admission
from twisted_sse.daemon.mercureoptions import WELL_KNOWN
from twisted_sse.daemon.site import PublishedRequest
from twisted_sse.hub.mercure import discovery, jwks
from twisted_sse.hub.refused import Refused
from twisted_sse.testing import MemoryClient

HUB = ("--mercure", "--anonymous", f"--publisher-jwt-key={KEY}", f"--subscriber-jwt-key={KEY}")
ALL = {"publish": ["*"], "subscribe": ["*"]}
TOKEN = {"Authorization": f"Bearer {token({'mercure': ALL})}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class MercureTests(OptionsMixin):
    """
    Tests for a daemon with a hub.
    """

    def test_publish(self) -> None:
        """
        POST publishes to subscribers, with the ID from which a client resumes.
        """
        client = self.client(*HUB)
        stream = client.get(f"{PATH}?topic=a", headers=ACCEPT)
        other = client.get(f"{PATH}?topic=b", headers=ACCEPT)
        answer = client.post(PATH, {**TOKEN, **FORM}, "topic=a&data=hello")
        self.assertEqual(answer.status, 200)
        (event,) = stream.events
        self.assertEqual((event.data, event.lastEventID), ("hello", answer.text))
        # Mercure's clients do not know our own events.
        self.assertEqual(other.events, [])
        client.post(PATH, {**TOKEN, **FORM}, "topic=a&data=again")
        again = client.get(f"{PATH}?topic=a", headers={**ACCEPT, "Last-Event-ID": answer.text})
        self.assertEqual([event.data for event in again.events], ["again"])
        self.assertEqual(client.post(PATH, FORM, "topic=a").status, 401)

    def test_path(self) -> None:
        """
        The hub is where clients of Mercure expect it, and answers below it if it has presence.
        """
        self.assertEqual(WELL_KNOWN, discovery.WELL_KNOWN)
        for options, status in ((), 404), (("--presence",), 200):
            client = self.client(*HUB, *options)
            for path in "/subscriptions", "/subscriptions/a%2Fb":
                self.assertEqual(client.get(PATH + path, TOKEN).status, status, path)
        self.assertEqual(client.get("/.well-known/other").status, 404)
        self.assertEqual(client.get(f"{PATH}s").status, 404)
        self.assertEqual(client.get("/.well-known").status, 404)

    def test_metadata(self) -> None:
        """
        A client of 1.0 finds the metadata at the address in the challenges.
        """
        hub = f"https://hub.example{PATH}"
        given = ("--resource-identifier", hub, f"--trusted-issuer=https://login.example={KEY}")
        client = self.client(*HUB[:1], *HUB[2:], *given)
        challenge = client.get(f"{PATH}?match=a", ACCEPT).headers["WWW-Authenticate"]
        found = challenge.partition('="https://hub.example')[2].rstrip('"')
        self.assertTrue(found.endswith(PATH))
        for path in found, found.removesuffix(PATH):
            answer = client.get(path)
            self.assertEqual((answer.status, json.loads(answer.text)["resource"]), (200, hub))
        self.assertEqual(client.get(found + "/x").status, 404)
        client = self.client(*HUB, "--mercure-protocol", "0.x")
        self.assertEqual(client.get(found).status, 404)

    def test_pages(self) -> None:
        """
        The root lists the streams, and has the address of the hub, which has no page.
        """
        client = self.client(*HUB)
        page = client.get("/", BROWSER).text
        self.assertIn(f"<code>{PATH}</code>", page)
        self.assertNotIn("<nav", page)
        self.assertEqual(client.get("/").text, "ok")
        client = self.client(*HUB, "/a=tick", "/b=tick")
        page = client.get("/", BROWSER).text
        self.assertIn(f"<code>{PATH}</code>", page)
        self.assertIn('<a href="a">', page)
        self.assertNotIn("mercure", client.get("/a", BROWSER).text)

    def test_passwords(self) -> None:
        """
        The hub's tokens decide, not C{--auth}, which protects everything else.
        """
        client = self.client(*HUB, "tick", "--auth=memory:alice:wonderland", "--presence")
        self.assertEqual(client.get(f"{PATH}?topic=a", ACCEPT).status, 200)
        self.assertEqual(client.get(f"{PATH}/subscriptions", TOKEN).status, 200)
        self.assertEqual(client.post(PATH, {**TOKEN, **FORM}, "topic=a").status, 200)
        answer = client.post(PATH, FORM, "topic=a")
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
        for path in "/", f"{PATH}s", "/.well-known/%6dercure?topic=a", "/metrics":
            answer = client.get(path, ACCEPT)
            self.assertIn("basic", answer.headers["www-authenticate"], path)
        self.assertEqual(client.get("/", password()).status, 200)

    def test_hosts(self) -> None:
        """
        Without C{--public} only this machine can use the hub, and only under its own names.
        """
        evil = {**ACCEPT, "Host": "evil.example"}
        self.assertEqual(self.client(*HUB).get(f"{PATH}?topic=a", evil).status, 421)
        self.assertEqual(self.client(*HUB, "--public").get(f"{PATH}?topic=a", evil).status, 200)
        self.assertIn("reachable from other machines", self.refusal(*HUB, "--listen=tcp:1"))
        reactor = MemoryReactorClock()
        makeService(self.options(*HUB, "--port=81"), reactor)
        self.assertEqual([each[3] for each in reactor.tcpServers], ["127.0.0.1"])

    def test_limits(self) -> None:
        """
        The options of streams apply to the hub, too: the limit, the heartbeat, the history.
        """
        client = self.client(*HUB, "--max-streams=1", "--heartbeat=5", "--history=2")
        stream = client.get(f"{PATH}?topic=a", ACCEPT)
        # A client over the limit receives a C{retry}.
        self.assertTrue(client.get(f"{PATH}?topic=a", ACCEPT).ended)
        self.assertFalse(stream.ended)
        client.clock.advance(5)
        self.assertTrue(stream.body.endswith(b":\n"), stream.body)
        stream.disconnect()
        for number in range(3):
            client.post(PATH, {**TOKEN, **FORM}, f"topic=a&data={number}")
        again = client.get(f"{PATH}?topic=a", {**ACCEPT, "Last-Event-ID": "earliest"})
        self.assertEqual([event.data for event in again.events], ["1", "2"])

    def test_origins(self) -> None:
        """
        The pages of an C{--origin} may subscribe with cookies, and send the headers of
        C{--allow-headers}.
        """
        given = ("--origin=https://*.shop.example", "--origin=https://shop.example")
        client = self.client(*HUB, *given, "--allow-headers=X-Mine")
        answer = client.get(f"{PATH}?topic=a", {**ACCEPT, "Origin": "https://a.shop.example"})
        self.assertEqual(answer.headers["access-control-allow-credentials"], "true")
        origin = {"Origin": "https://shop.example"}
        answer = client.get(f"{PATH}?topic=a", {**ACCEPT, **origin})
        self.assertEqual(answer.headers["access-control-allow-credentials"], "true")
        for method in "GET", "POST":
            preflight = {**origin, "Access-Control-Request-Method": method}
            answer = client.request("OPTIONS", PATH, preflight)
            self.assertIn("X-Mine", answer.headers["access-control-allow-headers"])
        answer = client.get(f"{PATH}?topic=a", {**ACCEPT, "Origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", answer.headers)
        refused = self.refusal("--origin=https://*", *HUB)
        self.assertRegex(
            refused, r"^sse: --origin has 'https://\*': an origin must be .*\*\.example"
        )
        refused = self.refusal(given[0], "/news=post", *HUB)
        self.assertRegex(
            refused, "^sse: --origin has 'https://.* only the origins of a hub may contain a star"
        )

    def test_publishOrigins(self) -> None:
        """
        The pages of a C{--publish-origin} may publish with a cookie.
        """
        given = ("--publish-origin=https://shop.example", "--publish-origin=https://*.shop.example")
        client = self.client(*HUB, *given)
        cookie = {**FORM, "Cookie": f"mercureAuthorization={token({'mercure': ALL})}"}
        for origin, status in (
            ("https://shop.example", 200),
            ("https://a.shop.example", 200),
            ("https://evil.example", 401),
        ):
            answer = client.post(PATH, {**cookie, "Origin": origin}, "topic=a")
            self.assertEqual(answer.status, status)

    def test_cookieName(self) -> None:
        """
        The token is in the cookie of C{--cookie-name}, which clients of 1.0 can discover.
        """
        client = self.client(*HUB[:1], *HUB[2:], "--cookie-name=0.x=a", "--cookie-name=1.0=b")
        text = token({"mercure": ALL})
        for name, status in ("a", 200), ("A", 401), ("mercureAuthorization", 401):
            answer = client.get(f"{PATH}?topic=a", {**ACCEPT, "Cookie": f"{name}={text}"})
            self.assertEqual(answer.status, status, name)
        found = client.get(f"/.well-known/oauth-protected-resource{PATH}")
        self.assertEqual(json.loads(found.text)["mercure_cookie"], "b")

    def test_lifetime(self) -> None:
        """
        With C{--max-lifetime} a stream ends after at least four fifths of that time.
        """
        for option, ends in ("--max-lifetime=100", True), ("--max-lifetime=off", False):
            client = self.client(*HUB, option)
            stream = client.get(f"{PATH}?topic=a", ACCEPT)
            client.clock.advance(79)
            self.assertFalse(stream.ended)
            client.clock.advance(22)
            self.assertEqual(stream.ended, ends)

    def test_unauthorized(self) -> None:
        """
        With C{--unauthorized}, an action that a token of 0.x does not grant is answered as by most
        hubs.
        """
        narrow = {**FORM, "Authorization": f"Bearer {token({'mercure': {'publish': ['b']}})}"}
        for options, status in ((), 403), (("--unauthorized",), 401):
            answer = self.client(*HUB, *options).post(PATH, narrow, "topic=a")
            self.assertEqual(answer.status, status)

    def test_issuer(self) -> None:
        """
        A resource identifier that is the URL of the hub is the base of relative topics.
        """
        url = f"https://hub.example{PATH}"
        client = self.client(
            *("--mercure", "--anonymous", f"--trusted-issuer=https://a={KEY}"),
            f"--resource-identifier={url}",
        )
        detail = {
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish"],
            "topics": [{"match": "https://hub.example/:id", "match_type": "urlpattern"}],
        }
        text = token(
            {
                "iss": "https://a",
                "aud": url,
                "exp": 2**33,
                "sub": "x",
                "authorization_details": [detail],
            },
            typ="at+jwt",
        )
        answer = client.post(PATH, {**FORM, "Authorization": f"Bearer {text}"}, "topic=/7")
        self.assertEqual(answer.status, 200, answer.text)

    def send(self, arguments: tuple[str, ...], target: str, body: str, **headers: str) -> str:
        """
        POST over a connection, with a body in pieces.

        @param arguments: the command line.
        @return: the response.
        """
        reactor: Any = DaemonReactor()
        makeService(self.options(*arguments), reactor)
        transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 50000))
        transport.hostAddr = IPv4Address("TCP", "127.0.0.1", 8080)
        protocol = site(reactor).buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        lines = [f"POST {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        data = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
        for at in range(0, len(data), 5000):
            protocol.dataReceived(data[at : at + 5000])
        # Longer than fetching keys may take.
        reactor.advance(15)
        answer = transport.value().decode()
        protocol.connectionLost(Failure(ConnectionDone()))
        return answer

    def test_large(self) -> None:
        """
        A body over 16 KiB is kept if its sender may publish, wherever its token is.
        """
        body = "topic=a&data=" + "x" * 20_000
        text = token({"mercure": ALL})
        options = (*HUB, "--publish-origin=https://shop.example")
        cookie = {"Origin": "https://shop.example", "Cookie": f"mercureAuthorization={text}"}
        for headers, target in (
            (TOKEN, PATH),
            (TOKEN, f"http://localhost{PATH}"),
            (TOKEN, "/.well-known/%6dercure"),
            (cookie, PATH),
            ({}, f"{PATH}?authorization={text}"),
        ):
            answer = self.send(options, target, body, **{**FORM, **headers})
            self.assertTrue(answer.startswith("HTTP/1.1 200 "), answer)

    def test_notKept(self) -> None:
        """
        Otherwise nothing of it is kept, and the hub refuses it in its own way.
        """
        body = "topic=a&data=" + "x" * 20_000
        kept: list[int] = []
        process = PublishedRequest.process

        def look(request: Any) -> None:
            kept.append(request.content.getbuffer().nbytes)
            process(request)

        self.patch(PublishedRequest, "process", look)
        for headers in {}, {"Authorization": "Bearer x"}:
            answer = self.send(HUB, PATH, body, **{**FORM, **headers})
            self.assertTrue(answer.startswith("HTTP/1.1 401 "), answer)
            self.assertIn("\r\nwww-authenticate: bearer", answer.lower())
            self.assertNotIn("{", answer)
        # The hub's large bodies are for the hub alone.
        for target, status in (("/nowhere", 413), ("/p", 403), (f"{PATH}/subscriptions", 413)):
            answer = self.send((*HUB, "/p=post"), target, body, Via="1.1 x", **{**FORM, **TOKEN})
            self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), answer)
        self.assertEqual(kept, [0] * 5)
        self.assertIn("HTTP/1.1 200 ", self.send((*HUB, "/p=post"), "/p", body))

    def test_unknownYet(self) -> None:
        """
        While keys are fetched a body is kept; if fetching fails, its sender is asked to retry.
        """
        options = ("--mercure", "--anonymous", "--jwks=http://localhost:1/")
        agent = MemoryAgent()
        self.patch(jwks, "EventStreamAgent", lambda reactor: agent)
        answer = self.send(options, PATH, "topic=a&data=" + "x" * 20_000, **{**FORM, **TOKEN})
        self.assertIn("HTTP/1.1 503 ", answer)
        self.assertIn("\r\nretry-after: ", answer.lower())

    def test_http2(self) -> None:
        """
        The same holds over HTTP/2.
        """
        reactor: Any = DaemonReactor()
        makeService(self.options(*HUB, "--public"), reactor)
        client = MemoryClient2(site(reactor), reactor)
        body = b"topic=a&data=" + b"x" * 20_000
        statuses = []
        for headers in TOKEN, {}:
            number = client.request(
                PATH,
                "POST",
                False,
                **{name.lower(): value for name, value in {**FORM, **headers}.items()},
            )
            for at in range(0, len(body), 10_000):
                client.http.send_data(number, body[at : at + 10_000])
                client.flush()
            client.http.end_stream(number)
            client.flush()
            statuses.append(client.statuses()[number])
        self.assertEqual(statuses, [200, 401])
        client.close()

    if H2_MISSING is not None:
        test_http2.skip = H2_MISSING  # type: ignore[attr-defined]

    def test_tooLarge(self) -> None:
        """
        A body over 1 MiB is too large for any sender.
        """
        client = self.client(*HUB)
        answer = client.post(PATH, {**FORM, **TOKEN}, "topic=a&data=" + "x" * 2**20)
        self.assertEqual(answer.status, 413)

    def test_explain(self) -> None:
        """
        The log has the reason for a refused request, and with C{--explain} its client receives it.
        """
        bad = {**FORM, "Authorization": "Bearer x"}
        said: list[Any] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        plain = self.client(*HUB).post(PATH, bad, "topic=a")
        self.assertIn("the token is", " ".join(str(each.get("why")) for each in said))
        self.assertNotIn("token", plain.text)
        answer = self.client(*HUB, "--explain").post(PATH, bad, "topic=a")
        self.assertIn("the token is", answer.text)

    def test_metrics(self) -> None:
        """
        The metrics count the subscribers, the refusals by their reason, and the topics by whether
        they were compared with patterns.
        """
        client = self.client(*HUB)
        client.get(f"{PATH}?topic=%7Bx%7D", ACCEPT)
        client.get(PATH, ACCEPT)
        client.post(PATH, FORM, "topic=a")
        client.post(PATH, {**FORM, "Authorization": "Bearer x"}, "topic=a")
        narrow = token({"mercure": {"publish": ["b"]}})
        client.post(PATH, {**FORM, "Authorization": f"Bearer {narrow}"}, "topic=a")
        for topic in "abaa":
            client.post(PATH, {**FORM, **TOKEN}, f"topic={topic}")
        lines = client.get("/metrics").text.splitlines()
        self.assertIn("sse_hub_subscribers 1.0", lines)
        for outcome in "hit", "miss":
            self.assertIn(f'sse_hub_lookups_total{{outcome="{outcome}"}} 2.0', lines)
        for reason in "missing", "malformed", "not granted", "400":
            self.assertIn(f'sse_hub_refusals_total{{reason="{reason}"}} 1.0', lines)
        self.assertIn(f'sse_open_streams{{resource="{PATH}"}} 1.0', lines)

    def test_drain(self) -> None:
        """
        When the daemon stops, subscribers receive a C{retry}, and their streams end.
        """
        reactor: Any = DaemonReactor()
        service = makeService(self.options(*HUB), reactor)
        service.startService()
        client = MemoryClient(site(reactor).resource, clock=reactor)
        stream = client.get(f"{PATH}?topic=a", ACCEPT)
        stopped = service.stopService()
        for _ in range(10):
            client.clock.advance(1)
        self.successResultOf(stopped)
        self.assertTrue(stream.ended)
        self.assertEqual(stream.body.count(b"retry:"), 2)

    def test_close(self) -> None:
        """
        After the daemon has stopped, it no longer fetches keys: waiting requests fail when their
        time has passed, and no calls of the reactor are left.
        """
        reactor: Any = DaemonReactor()
        agent = MemoryAgent()
        with patch.object(jwks, "EventStreamAgent", lambda reactor: agent):
            service = makeService(
                self.options("--mercure", "--anonymous", "--jwks=http://127.0.0.1/jwks"), reactor
            )
        service.startService()
        client = MemoryClient(site(reactor).resource, clock=reactor)
        waiting = client.post(PATH, {**TOKEN, **FORM}, "topic=a")
        client.clock.settle()
        self.assertEqual(len(agent.requests), 1)
        self.assertIsNone(waiting.status)
        stopped = service.stopService()
        client.clock.advance(5)
        client.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(waiting.status, 503)
        client.close()
        self.assertEqual([each for each in reactor.getDelayedCalls() if "jwks" in repr(each)], [])

    def test_said(self) -> None:
        """
        The log has the address of the hub, and warns once about a secret on the command line.
        """
        said: list[Any] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        reactor: Any = DaemonReactor()
        called: list[Any] = []
        reactor.callWhenRunning = lambda *call: called.append(call)
        makeService(self.options(*HUB), reactor)
        for function, *arguments in called:
            function(*arguments)
        lines = [each["log_format"].format(**each) for each in said if "log_format" in each]
        text = "\n".join(lines)
        self.assertIn(f"serving a Mercure hub at http://localhost:8080{PATH}", text)
        self.assertEqual(text.count("--publisher-jwt-key is a secret"), 1)
        self.assertNotIn(KEY, text)

    def test_uninstalled(self) -> None:
        """
        Missing libraries are named.
        """
        with patch.dict("sys.modules", {"twisted_sse.hub.mercure.hub": None}):
            self.assertIn("pip install 'twisted-sse[hub]'", self.refusal(*HUB))


class AdmissionTests(SynchronousTestCase):
    """
    Tests for L{Admission}.
    """

    def test_undecided(self) -> None:
        """
        While keys are fetched, only a limited number of large bodies is kept; other senders are
        asked to retry.
        """
        waiting: list[Deferred[None]] = []

        def admit(request: object) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        hub: Any = SimpleNamespace(admit=admit)
        admission = Admission(hub)
        request: Any = object()
        kept = [admission.check(request) for _ in range(MOST_UNDECIDED)]
        for each in kept:
            self.assertNoResult(each)
        refused = self.failureResultOf(admission.check(request), Refused)
        self.assertEqual(refused.value.status, 503)
        waiting[0].callback(None)
        self.successResultOf(kept[0])
        waiting[1].errback(Refused(401, "no"))
        self.failureResultOf(kept[1], Refused)
        # The result is known now, and no request waits for it.
        waiting[MOST_UNDECIDED].errback(Refused(401, "no"))
        again = [admission.check(request) for _ in range(2)]
        for each in again:
            self.assertNoResult(each)
        self.failureResultOf(admission.check(request), Refused)
