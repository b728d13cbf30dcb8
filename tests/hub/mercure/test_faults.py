"""
Tests for L{twisted_sse.hub.mercure}: attacks, and failures at the worst moment.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode

from tests.support.hubs import EVERYTHING, FORM, KEY, PATH, HubCase, bearer, token
from twisted_sse import History
from twisted_sse.hub.mercure import subscriptions
from twisted_sse.hub.mercure.grants import Grants
from twisted_sse.hub.mercure.receiving import PATIENCE
from twisted_sse.timing.slices import SLICE


class OptionTests(HubCase):
    """
    Tests for hubs with a configuration that cannot work.
    """

    def test_url(self) -> None:
        """
        A hub's URL must be absolute, and not the root of its host: otherwise every topic would be
        in the hub's own namespace.
        """
        for url in (
            "https://hub.example",
            "https://hub.example/",
            "https://hub.example/..",
            "https://hub.example/hub/",
            "https://hub.example/hub?x",
            "https://hub.example/hub#x",
            "https://ada@hub.example/hub",
            "/hub",
            "hub.example",
            "ftp://hub.example/hub",
            "",
        ):
            with self.assertRaisesRegex(ValueError, "url", msg=url):
                self.serve(url=url)
        self.serve(url="https://hub.example/some/hub")

    def test_protocols(self) -> None:
        """
        A hub must serve at least one protocol.
        """
        for protocols in ((), "0.x", ["2.0"]):
            with self.assertRaisesRegex(ValueError, "protocols"):
                self.serve(protocols=protocols)

    def test_flags(self) -> None:
        """
        Flags must be True or False.
        """
        for name in ("anonymous", "explain", "presence", "unauthorized"):
            with self.assertRaisesRegex(TypeError, name):
                self.serve(**{name: "no"})

    def test_types(self) -> None:
        """
        An argument of the wrong type is refused with an error that names it without its value,
        which may be a secret.
        """
        for name, wrong in (
            ("publisherJwtKey", 7),
            ("subscriberJwtKey", KEY.encode()),
            ("jwks", 7),
            ("url", 7),
            ("resourceIdentifier", 7),
            ("trustedIssuers", 7),
            ("trustedIssuers", [7]),
            ("trustedIssuers", f"https://issuer.example={KEY}"),
            ("protocols", 7),
        ):
            more = {"subscriberJwtKey": None} if name == "jwks" else {}
            error = self.assertRaises(TypeError, self.serve, **{**more, name: wrong})
            self.assertTrue(str(error).startswith(name), error)
            self.assertNotIn("ChangeThis", str(error))

    def test_resource(self) -> None:
        """
        Errors in the resource identifier name it.
        """
        for identifier in ('https://hub"x.example/', "https://hub.example/\n"):
            error = self.assertRaises(ValueError, self.serve, resourceIdentifier=identifier)
            self.assertTrue(str(error).startswith("resourceIdentifier"), error)

    def test_jwks(self) -> None:
        """
        A key set is for actions without a key of their own; if both have one, the set would be
        unused, and is refused.
        """
        handle, path = tempfile.mkstemp()
        self.addCleanup(os.unlink, path)
        encoded = "SXQgaXMgYSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyEh"
        keys = {"keys": [{"kty": "oct", "k": encoded, "alg": "HS256"}]}
        with os.fdopen(handle, "w") as file:
            json.dump(keys, file)
        with self.assertRaisesRegex(ValueError, "jwks"):
            self.serve(jwks=f"file:{path}")
        self.serve(jwks=f"file:{path}", subscriberJwtKey=None)
        answer = self.client.request("POST", PATH, bearer(), b"topic=a")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.get("topic=a", bearer().items()).status, 401)


class SelectorTests(HubCase):
    """
    Tests for subscribers that select too much.
    """

    def test_many(self) -> None:
        """
        Ten thousand selectors in a request are refused, and so are more patterns than fit in the
        memory limit: each takes some 100 kB.
        """
        self.serve()
        for kind, count, status in (
            ("topic=t%d", 1000, 200),
            ("topic=t%d", 10_000, 400),
            ("match=t%d", 10_000, 400),
            ("topic=t%d{x}", 100, 200),
            ("topic=t%d{x}", 101, 400),
            ("topic=t%d{x,y}{z}{a,b,c}{d}{e,f,g}", 100, 200),
            ("topic=t%d{x,y}{z}{a,b,c}{d}{e,f,g,h}", 100, 400),
            ("topic=t%d" + "{x}" * 450, 3, 400),
            ("match_urlpattern=/t%d/:x", 20, 200),
            ("match_urlpattern=/t%d/:x", 21, 400),
        ):
            body = "&".join(kind % number for number in range(count))
            answer = self.client.request("QUERY", PATH, FORM, body.encode())
            self.assertEqual(answer.status, status, (kind, count))
            answer.disconnect()
        # Repetitions of one pattern take no more memory than a single one.
        again = "&".join(["match_urlpattern=/t/:x"] * 30)
        self.assertEqual(self.client.request("QUERY", PATH, FORM, again.encode()).status, 200)

    def test_largeQuery(self) -> None:
        """
        The body of a QUERY has the same limit as that of a publisher.
        """
        self.serve(maxBody=1000)
        body = b"match=a&x=" + b"x" * 1000
        self.assertEqual(self.client.request("QUERY", PATH, FORM, body).status, 413)

    def test_otherQuery(self) -> None:
        """
        The body of a QUERY must be declared as a form: RFC 10008, 2.
        """
        self.serve()
        for headers, status in (
            (FORM, 200),
            ({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, 200),
            ({"Content-Type": "application/json"}, 415),
            ({"Content-Type": "text/plain"}, 415),
            ({}, 415),
            ({**FORM, "Content-Encoding": "gzip"}, 415),
        ):
            answer = self.client.request("QUERY", PATH, headers, b"match=a")
            self.assertEqual(answer.status, status, headers)
        self.assertEqual(self.client.request("QUERY", f"{PATH}?match=a", {}).status, 200)

    def test_select(self) -> None:
        """
        The selection that an application makes for a stream has the same limits.
        """
        self.serve()
        many = [f"t{n}" for n in range(1001)]
        for topics in (many, [f"{topic}{{x}}" for topic in many[:101]], ["\ud800"], ["a{x}\udfff"]):
            self.assertRaises(ValueError, self.hub.select, "x", topics)


class TextTests(HubCase):
    """
    Tests for topics and IDs with strange characters.
    """

    def post(self, **fields: str) -> Any:
        """
        Publish.
        """
        body = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
        return self.client.request("POST", PATH, bearer(), body.encode())

    def test_large(self) -> None:
        """
        A topic of 100 kB is refused, to publishers and to subscribers.
        """
        self.serve()
        self.assertEqual(self.post(topic="x" * 100_000).status, 413)
        large = ("topic=" + "x" * 100_000).encode()
        self.assertEqual(self.client.request("QUERY", PATH, FORM, large).status, 400)

    def test_manyTopics(self) -> None:
        """
        An update with many topics is checked against a token with slow patterns in slices, between
        which others are served.
        """
        self.serve()
        turns: list[int] = []
        permitted: list[str] = []
        permits = Grants.permits

        def slow(grants: Grants, topic: str) -> bool:
            permitted.append(topic)
            self.clock.rightNow += SLICE / 4
            return permits(grants, topic)

        def other() -> None:
            turns.append(len(permitted))
            if len(turns) < 100:
                self.clock.callLater(0, other)

        self.patch(Grants, "permits", slow)
        other()
        topics = [f"urn:{number}" for number in range(100)]
        body = urlencode([("topic", topic) for topic in topics]).encode()
        self.assertEqual(self.client.request("POST", PATH, bearer(), body).status, 200)
        self.assertEqual(permitted, topics)
        self.assertLessEqual(max(b - a for a, b in itertools.pairwise(turns)), 5)

    def test_noTimer(self) -> None:
        """
        Publishing needs no timer while the store is open.
        """
        self.serve()
        delays: list[float] = []
        callLater = self.clock.callLater

        def recording(delay: float, *arguments: Any, **named: Any) -> Any:
            delays.append(delay)
            return callLater(delay, *arguments, **named)

        self.patch(self.clock, "callLater", recording)
        self.assertEqual(self.post(topic="a").status, 200)
        self.assertNotIn(PATIENCE, delays)

    def test_tricks(self) -> None:
        """
        Topics are equal if their characters are: normal forms and look-alike letters differ; and
        invisible characters are refused.
        """
        self.serve()
        composed, letters = "\u00e9", "e\u0301"
        stream = self.get(f"topic={quote(composed)}&topic=paypal")
        for topic in (letters, "p\u0430ypal", "PAYPAL", "\uff50aypal", "paypal "):
            self.assertEqual(self.post(topic=topic).status, 200, topic)
        for hidden in ("\u200b", "\u202e", "\ufeff", "\u00ad", "\0", "\x85", "\n", "\U000e0061"):
            self.assertEqual(self.post(topic=f"pay{hidden}pal").status, 400, hidden)
        self.clock.settle()
        self.assertEqual(list(stream.events), [])
        self.post(topic=composed)
        self.clock.settle()
        self.assertEqual(len(stream.events), 1)

    def test_strangeID(self) -> None:
        """
        The list of subscriptions names the newest update, whatever spaces are in its ID.
        """
        self.serve(presence=True)
        for id in ("a\u00a0b", "a\u2028b", "\ue000", 'a"\\b'):
            self.assertEqual(self.post(topic="x", id=id).status, 200)
            answer = self.client.request(
                "GET", f"{PATH}/subscriptions/exact/x", {"Authorization": bearer()["Authorization"]}
            )
            self.assertEqual(answer.status, 200, id)
            self.assertIn("last-event-id=", answer.headers["Link"])

    def test_invisibleID(self) -> None:
        """
        If the newest update has an ID from the application that no header can carry, the list of
        subscriptions refers to the whole history.
        """
        self.serve(presence=True)
        headers = {"Authorization": bearer()["Authorization"]}
        for id in ("a\u200bb", "a\x7f", "\u202e"):
            self.successResultOf(self.hub.publish("x", id=id))
            answer = self.client.request("GET", f"{PATH}/subscriptions/exact/x", headers)
            self.assertEqual(answer.status, 200, id)
            self.assertIn('last-event-id="earliest"', answer.headers["Link"])
            answer = self.client.request("GET", f"{PATH}/subscriptions/x", headers)
            self.assertEqual(json.loads(answer.body)["lastEventID"], id)


class CookieTests(HubCase):
    """
    Tests for pages that publish with a cookie.
    """

    def test_combinations(self) -> None:
        """
        With a cookie, the origin decides, and without an origin the referrer; a token in a header
        cannot come from a deceived page.
        """
        good, bad = "https://app.example", "https://evil.example"
        self.serve(publishOrigins=[good], origins=[good])
        made = token(EVERYTHING)
        places = {
            "cookie": {"Cookie": f"mercureAuthorization={made}"},
            "both": {"Cookie": f"mercureAuthorization={made}", "Authorization": f"Bearer {made}"},
            "bad header": {"Cookie": f"mercureAuthorization={made}", "Authorization": "Bearer x"},
            "none": {},
        }
        origins = (None, good, bad, "null", "", good + ".evil.example", good + ":8443", good + "/")
        referers = (None, good + "/page", bad + "/?" + good, "about:blank", good + "@evil.example/")
        for place, origin, referer in itertools.product(places, origins, referers):
            headers = {**places[place], **FORM}
            if origin is not None:
                headers["Origin"] = origin
            if referer is not None:
                headers["Referer"] = referer
            fits = origin == good or (origin is None and referer == good + "/page")
            status = 200 if place == "both" or (place == "cookie" and fits) else 401
            answer = self.client.request("POST", PATH, headers, b"topic=a")
            self.assertEqual(answer.status, status, (place, origin, referer))
            # Reading needs no origin: a page that may not read sees no events.
            stream = self.get("topic=a", headers.items())
            self.assertEqual(stream.status, 401 if place == "bad header" else 200)
            allowed = stream.headers.get("Access-Control-Allow-Origin")
            self.assertEqual(allowed, good if origin == good else None)
            stream.disconnect()


class ManyTests(HubCase):
    """
    Tests for many subscribers.
    """

    def test_reconnections(self) -> None:
        """
        However many subscribers connect, disconnect and are reported to each other, the history
        keeps its events, and no subscriber is left; those that stay can still resume from their
        IDs.
        """
        self.serve(presence=True, history=History(maxEvents=5))
        ids = [self.successResultOf(self.hub.publish("a", str(number))) for number in range(5)]
        self.clock.settle()
        watching = f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}&topic=a"
        watcher = self.get(watching, bearer().items())
        for _ in range(1500):
            stream = self.get("topic=a", [("Last-Event-ID", ids[3])])
            self.assertEqual([event.data for event in stream.events], ["4"])
            stream.disconnect()
        self.assertEqual((self.hub.subscribers, len(self.channel.history or ())), (1, 5))
        told = [json.loads(event.data)["active"] for event in watcher.events]
        self.assertEqual(told, [True, False] * 1500)
        place = watcher.events[-1].lastEventID
        watcher.disconnect()
        self.successResultOf(self.hub.publish("a", "news"))
        again = self.get("topic=a", [("Last-Event-ID", place)])
        self.assertEqual([event.data for event in again.events], ["news"])

    def test_list(self) -> None:
        """
        A long list is made in many turns, in which others are served; subscribers that disconnect
        meanwhile are not in it.
        """
        self.serve(presence=True)
        for number in range(50):
            self.get(f"topic=t{number}")
        [last] = [each for each in self.hub.resource.streams if b"=t49" in each.request.uri]
        made, count = subscriptions.document, 0

        def slow(*arguments: Any) -> dict[str, Any]:
            nonlocal count
            count += 1
            self.clock.rightNow += 0.01
            return made(*arguments)

        between: list[int] = []

        def leave() -> None:
            between.append(count)
            last.end()

        self.clock.callLater(0.1, leave)
        with mock.patch.object(subscriptions, "document", slow):
            answer = self.client.request(
                "GET", f"{PATH}/subscriptions", {"Authorization": bearer()["Authorization"]}
            )
            self.clock.settle()
        self.assertTrue(0 < between[0] < 30, between)
        listed = json.loads(answer.body)["subscriptions"]
        self.assertEqual([each["topic"] for each in listed], [f"t{number}" for number in range(49)])

    def test_revokedPublisher(self) -> None:
        """
        A publisher whose token is revoked while its update is checked publishes nothing.
        """
        self.serve()
        stream = self.get("topic=49")
        permits = Grants.permits

        def slow(grants: Grants, topic: str) -> bool:
            self.clock.rightNow += SLICE
            return permits(grants, topic)

        self.clock.callLater(0, lambda: self.hub.revoke(jti="1", until=2e9))
        body = urlencode([("topic", str(number)) for number in range(50)]).encode()
        with mock.patch.object(Grants, "permits", slow):
            answer = self.client.request("POST", PATH, bearer(jti="1"), body)
            self.clock.settle()
        self.assertEqual((answer.status, len(stream.events)), (401, 0))

    def test_slow(self) -> None:
        """
        A watcher that does not read is disconnected like any slow subscriber, and others receive
        everything; no subscriber receives a notice of its own end.
        """
        self.serve(presence=True, maxPending=2**16)
        watching = f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}"
        slow, quick = self.get(watching, bearer().items()), self.get(watching, bearer().items())
        slow.stopReading(0)
        for number in range(500):
            self.get(f"topic={number}").disconnect()
        self.clock.pump([0.1] * 100)
        told = [json.loads(event.data) for event in quick.events]
        itself = [each for each in told if PATH in each["topic"]]
        self.assertEqual(len(told) - len(itself), 1000)
        # The slow one's stream, which has ended.
        self.assertEqual([each["active"] for each in itself], [False])
        self.assertEqual(self.hub.subscribers, 1)
