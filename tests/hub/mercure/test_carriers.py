"""
Tests for L{twisted_sse.hub.mercure.carriers}.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import combinedLogFormatter
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from tests.support.keys import handmade
from tests.support.mercure import cases
from tests.support.resources import observe
from twisted_sse import EventStreamResource
from twisted_sse.accesslog import AccessLog, formatRequest
from twisted_sse.checks import InvalidOption
from twisted_sse.hub.form import pairs
from twisted_sse.hub.mercure.carriers import (
    Carrier,
    Carriers,
    Presented,
    PublishOrigins,
    redact,
)
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.unverified import Reason, Unverified
from twisted_sse.testing import MemoryClient

BOTH = (Dialect.V0, Dialect.V1)

#: The origins of the observed hub.
OBSERVED_ORIGINS = ["http://ok.example:8080", "https://two.example"]


def made(headers: Sequence[Sequence[str]] = (), query: str = "") -> Request:
    """
    @param headers: names and values, in order.
    @return: a request for a hub, as Twisted makes it.
    """
    request = Request(DummyChannel(), False)
    request.method, request.clientproto = b"GET", b"HTTP/1.1"
    request.uri = b"/.well-known/mercure" + f"?{query}".encode() * bool(query)
    request.args = {}
    for name, value in pairs(query.encode()):
        request.args.setdefault(name.encode(), []).append(value.encode())
    for name, value in headers:
        request.requestHeaders.addRawHeader(name, value)
    return request


def find(
    carriers: Carriers,
    headers: Sequence[Sequence[str]] = (),
    query: str = "",
    dialect: Dialect | None = None,
) -> Presented | None:
    """
    Find the token of a request.
    """
    return carriers.find(made(headers, query), pairs(query.encode()), dialect)


class ObservedTests(SynchronousTestCase):
    """
    Tests that tokens are found where the deployed hub finds them, if that is correct.
    """

    def test_carriers(self) -> None:
        """
        Our hub does what was observed, or what is recommended in place of it.
        """
        for case in cases("tokens", "token-carrier: "):
            given, observed = case["input"], case["observed"]
            cookies = {"0.x": "myCookie"} if given.get("hub") == "bare" else {}
            carriers = Carriers([Dialect.V0], cookies)
            main = observed.get("subscribe_bare") or observed["subscribe_main"]
            if case["recommend"] == "accept":
                main = [200, ["urn:A"]]
            elif case["recommend"] == "first one wins, or 401":
                main = [401]
            try:
                headers = [
                    (name, value.replace("<token A>", "A"))
                    for name, value in given.get("headers", ())
                ]
                query = given.get("query", "").replace("<token A>", "A")
                found = find(carriers, headers, query)
            except Unverified as e:
                self.assertEqual(main, [401], case["name"])
                self.assertEqual(e.reason, Reason.PRESENTED)
                continue
            if found is None:
                self.assertEqual(main, [200, []], case["name"])
            else:
                # An invalid one is found, too, and is left to the verifier.
                expected = {"A": [200, ["urn:A"]], "<bad>": [401], "<expired>": [401]}
                self.assertEqual(expected.get(found.token, [401]), main, case["name"])

    def test_origins(self) -> None:
        """
        The pages that may publish with a cookie are as observed, except for two origins.
        """
        origins = {
            "main": PublishOrigins(OBSERVED_ORIGINS),
            "star": PublishOrigins(["*"]),
            "closed": PublishOrigins(),
        }
        found = [case for case in cases("cors", "cors: POST") if "cookie" in case["name"]]
        self.assertGreater(len(found), 15)
        for case in found:
            headers = case["input"]["headers"]
            if any(name == "Authorization" for name, _ in headers):
                # Then no origin is checked: the hub does not ask for one.
                continue
            mayPublish = case["observed"]["status"] == 200 and not case["recommend"].startswith(
                "400"
            )
            check = origins[case["input"]["hub"]].check
            if mayPublish:
                check(made(headers))
            else:
                error = self.assertRaises(Unverified, check, made(headers))
                self.assertEqual(error.reason, Reason.ORIGIN, case["name"])


class CarriersTests(SynchronousTestCase):
    """
    Tests for L{Carriers}.
    """

    def refused(self, *arguments: Any, **more: Any) -> None:
        """
        Check that a request is refused.
        """
        error = self.assertRaises(Unverified, find, Carriers(BOTH), *arguments, **more)
        self.assertEqual(error.reason, Reason.PRESENTED)
        self.assertNotIn("TOKEN", str(error))

    def test_queryOfNew(self) -> None:
        """
        In 1.0 no parameter of the query carries a token, and a token there is ignored.
        """
        query = "match=a&authorization=TOKEN&access_token=TOKEN"
        self.assertIsNone(find(Carriers(BOTH), query=query, dialect=Dialect.V1))
        self.assertIsNone(find(Carriers([Dialect.V1]), query=query))

    def test_queryOfOld(self) -> None:
        """
        A token in a query must be one of 0.x, even if the request may be of either dialect; one in
        a header or a cookie may be of either.
        """
        for dialect in (None, Dialect.V0):
            found = find(Carriers(BOTH), query="authorization=TOKEN", dialect=dialect)
            self.assertEqual(found, ("TOKEN", Carrier.QUERY, frozenset([Dialect.V0])))
        found = find(Carriers(BOTH), [("Authorization", "Bearer TOKEN")])
        self.assertEqual(found, ("TOKEN", Carrier.HEADER, frozenset(BOTH)))
        found = find(Carriers(BOTH), [("Cookie", "mercureAuthorization=TOKEN")])
        self.assertEqual(found, ("TOKEN", Carrier.COOKIE, frozenset(BOTH)))

    def test_cookies(self) -> None:
        """
        The cookie of the request's own dialect is preferred, and that of 1.0 is used if there is
        none.  A request of 1.0 never uses that of 0.x.
        """
        headers = [("Cookie", "mercureAuthorization=old; __Secure-mercure_access_token=new")]
        for dialect, token in ((Dialect.V0, "old"), (Dialect.V1, "new"), (None, "new")):
            found = find(Carriers(BOTH), headers, dialect=dialect)
            self.assertEqual(found and found.token, token)
        old = [("Cookie", "mercureAuthorization=old")]
        self.assertIsNone(find(Carriers(BOTH), old, dialect=Dialect.V1))
        for only, token in ((Dialect.V0, "old"), (Dialect.V1, "new")):
            found = find(Carriers([only]), headers)
            self.assertEqual(found and found.token, token)

    def test_cookieSyntax(self) -> None:
        """
        A cookie is found among others, in one header or several, with or without quotes.
        """
        for headers in (
            [("Cookie", "a=1;mercureAuthorization=TOKEN")],
            [("Cookie", "a=1;  mercureAuthorization=TOKEN ;b=2;")],
            [("Cookie", "a=1"), ("Cookie", "mercureAuthorization=TOKEN"), ("Cookie", "b")],
            [("Cookie", 'mercureAuthorization="TOKEN"')],
            [("Cookie", "mercureAuthorization=TOKEN; mercureAuthorization=TOKEN")],
            [("Cookie", "mercureAuthorization=; mercureAuthorization=TOKEN")],
        ):
            found = find(Carriers(BOTH), headers)
            self.assertEqual(found and found.token, "TOKEN", headers)
        for value in (
            "",
            ";;;",
            "mercureAuthorization",
            "mercureAuthorization=",
            'mercureAuthorization=""',
            "xmercureAuthorization=TOKEN",
            "mercureauthorization=TOKEN",
            'a="; mercureAuthorization',
        ):
            self.assertIsNone(find(Carriers(BOTH), [("Cookie", value)]), value)

    def test_severalCookies(self) -> None:
        """
        Different cookies with one name are refused: one may be set by a party that controls another
        host of the same domain.
        """
        self.refused([("Cookie", "mercureAuthorization=TOKEN; mercureAuthorization=TOKEN2")])

    def test_first(self) -> None:
        """
        The first place with a token decides, whatever its content.
        """
        cookie = ("Cookie", "mercureAuthorization=TOKEN")
        for value in ("", "Basic TOKEN", "Bearer", "TOKEN", "Bearer\tTOKEN", "Bearer TOKEN TOKEN"):
            self.refused([("Authorization", value), cookie], "authorization=TOKEN")
        self.refused([cookie], "authorization=")
        self.refused([cookie], "authorization")
        self.refused([("Authorization", "Bearer TOKEN")] * 2)
        self.refused([], "authorization=TOKEN&authorization=TOKEN")

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["Authorization", "Cookie", "Origin", "Referer"]),
                st.binary()
                | st.sampled_from([b"Bearer a", b"mercureAuthorization=a", b"http://a"]),
            ),
            max_size=4,
        ),
        st.binary() | st.sampled_from([b"authorization=a", b"access_token=%ff"]),
    )
    def test_anything(self, headers: list[tuple[str, bytes]], query: bytes) -> None:
        """
        For any request, the result is a token, none, or L{Unverified}.
        """
        request = made()
        request.uri += b"?" + query
        for name, value in headers:
            request.requestHeaders.addRawHeader(name.encode(), value)
        for check in (
            lambda: Carriers(BOTH).find(request, [("authorization", "a")], None),
            lambda: PublishOrigins(["https://*.example.com"]).check(request),
        ):
            try:
                check()
            except Unverified as e:
                self.assertLess(len(str(e)), 500)

    def test_names(self) -> None:
        """
        A name that no cookie can have is refused.
        """
        for name in ("", "a b", "a=b", "a;b", "\u00e9"):
            self.assertRaises(InvalidOption, Carriers, BOTH, {"1.0": name})

    def test_ownNames(self) -> None:
        """
        The cookies may have other names, for one protocol or both, and then the protocol's default
        names are ignored; a name for a protocol that is not served is refused.
        """
        usual = "mercureAuthorization=OLD; __Secure-mercure_access_token=NEW"
        for names, cookie, old, new in (
            ({"0.x": "a"}, f"a=A; {usual}", "A", "NEW"),
            ({"1.0": "a"}, f"a=A; {usual}", "OLD", "A"),
            ({"0.x": "a", "1.0": "b"}, f"a=A; b=B; {usual}", "A", "B"),
            ({"0.x": "a", "1.0": "a"}, f"a=A; {usual}", "A", "A"),
            ({"0.x": "a", "1.0": "b"}, usual, None, None),
            ({"0.x": "a", "1.0": "b"}, "A=A; B=B", None, None),
        ):
            carriers = Carriers(BOTH, names)
            for dialect, token in (Dialect.V0, old), (Dialect.V1, new):
                found = find(carriers, [("Cookie", cookie)], dialect=dialect)
                self.assertEqual(found and found.token, token, (names, cookie))
        self.assertEqual(
            Carriers(BOTH, {"0.x": "a"}).cookies,
            {Dialect.V0: "a", Dialect.V1: "__Secure-mercure_access_token"},
        )
        for wrong in {"1.0": "a"}, {"2.0": "a"}, {"": "a"}:
            self.assertRaises(InvalidOption, Carriers, [Dialect.V0], wrong)
        for name in ["a"], None, 5:
            self.assertRaises(InvalidOption, Carriers, BOTH, {"0.x": name})
        notMapping: Any
        for notMapping in "a", [("0.x", "a")], []:
            self.assertRaises(TypeError, Carriers, BOTH, notMapping)

    def test_repr(self) -> None:
        """
        The result does not show the token.
        """
        found = find(Carriers(BOTH), query="authorization=TOKEN")
        self.assertEqual(repr(found), "<Presented in the query>")


class RedactTests(SynchronousTestCase):
    """
    Tests that no log contains a token from a URL.
    """

    def test_query(self) -> None:
        """
        A token in a query is replaced, however its name is written; the rest stays unchanged.
        """
        for query, redacted in (
            ("topic=a&authorization=TOKEN", "topic=a&authorization=redacted"),
            ("authorization=TOKEN&authorization=TOKEN&x", "authorization=redacted&" * 2 + "x"),
            ("Authorization=TOKEN", "Authorization=redacted"),
            ("access_token=TOKEN&topic=%20+", "access_token=redacted&topic=%20+"),
            ("%61uthorization=TOKEN", "%61uthorization=redacted"),
            ("+authorization=TOKEN", "+authorization=redacted"),
            ("authorization=a=TOKEN", "authorization=redacted"),
            ("authorization=a?authorization=TOKEN", "authorization=redacted"),
            ("authorization", "authorization=redacted"),
            ("topic=authorization%3Da", "topic=authorization%3Da"),
            ("", ""),
        ):
            request = made(query=query)
            redact(request)
            expected = "/.well-known/mercure" + f"?{redacted}" * bool(redacted)
            self.assertEqual(request.uri.decode(), expected)
            self.assertNotIn("TOKEN", str(request.args))

    def test_logs(self) -> None:
        """
        Neither Twisted's access log, nor ours, nor a request shown in an error contains the
        request's token, wherever it was.
        """
        token = handmade({"mercure": {"subscribe": ["*"]}})
        log = io.StringIO()
        shown: list[str] = []
        resource = EventStreamResource(lambda stream: None)
        observe(resource, AccessLog(log))

        class Hub(Resource):
            isLeaf = True

            def render(self, request: Request) -> Any:
                query = pairs(request.uri.partition(b"?")[2])
                found = Carriers(BOTH).find(request, query, None)
                assert found is not None and found.token == token
                shown.extend(
                    [
                        repr(request),
                        str(request),
                        formatRequest("", request),
                        combinedLogFormatter("", request),
                        repr(found),
                    ]
                )
                return resource.render(request)

        client = MemoryClient(Hub())
        headers = [
            {},
            {"Authorization": f"Bearer {token}"},
            {"Cookie": f"mercureAuthorization={token}"},
        ]
        for each in headers:
            query = "" if each else f"&authorization={token}"
            stream = client.get(f"/.well-known/mercure?topic=a{query}", headers=each)
            self.assertEqual(stream.status, 200)
            stream.disconnect()
        written = "\n".join([log.getvalue(), *shown])
        self.assertEqual(written.count("/.well-known/mercure"), 3 * 4 + 6)
        for part in token.split("."):
            self.assertNotIn(part[:16], written)


class PublishOriginsTests(SynchronousTestCase):
    """
    Tests for L{PublishOrigins}.
    """

    def allows(self, origins: Sequence[str], name: str, value: str) -> bool:
        """
        Whether a request with this header may publish.
        """
        try:
            PublishOrigins(origins).check(made([(name, value)]))
        except Unverified as e:
            self.assertEqual(e.reason, Reason.ORIGIN)
            self.assertLess(len(str(e)), 300)
            return False
        return True

    def test_pattern(self) -> None:
        """
        A pattern allows the hosts below one, at any depth, with the same scheme and port; neither
        the host itself, nor one that only looks similar.
        """
        patterns = ["https://*.example.com", "http://*.dev.example:8080"]
        for origin in (
            "https://a.example.com",
            "https://a.b.example.com",
            "https://a-1_x.example.com",
            "http://a.dev.example:8080",
        ):
            self.assertTrue(self.allows(patterns, "Origin", origin), origin)
            self.assertTrue(self.allows(patterns, "Referer", f"{origin}/page?x#y"), origin)
        for origin in (
            "https://example.com",
            "https://.example.com",
            "https://a..example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com.evil.example",
            "https://evilexample.com",
            "https://evil/.example.com",
            "https://evil?.example.com",
            "https://evil#.example.com",
            "https://evil\\.example.com",
            "https://evil@a.example.com",
            "https://evil:80.example.com",
            "https://a.exampleXcom",
            "https://A.EXAMPLE.COM",
            "http://a.dev.example",
            "null",
            "",
            "x" * 5000,
        ):
            self.assertFalse(self.allows(patterns, "Origin", origin), origin)

    def test_referer(self) -> None:
        """
        The origin of a C{Referer} is compared exactly.
        """
        origins = ["https://example.com"]
        for url in ("https://example.com", "https://example.com/", "https://example.com?x@y:/"):
            self.assertTrue(self.allows(origins, "Referer", url), url)
        for url in (
            "https://example.com:443/",
            "https://example.com@evil.example/",
            "https://evil@example.com/",
            "https://example.com\\evil.example",
            "https://example.com.evil.example/",
            "//example.com/",
            "example.com",
            "about:blank",
        ):
            self.assertFalse(self.allows(origins, "Referer", url), url)
        request = made([("Referer", "https://example.com/")] * 2)
        self.assertRaises(Unverified, PublishOrigins(origins).check, request)

    def test_invalid(self) -> None:
        """
        A value that is not an origin is refused when the hub is made, above all C{null}, which any
        page can have.
        """
        for origin in (
            "null",
            "",
            "example.com",
            "https://example.com/",
            "https://Example.com",
            "https://*",
            "https://*.com",
            "https://a*.example.com",
            "https://*.*.example.com",
            "ftp://example.com",
            "https://\u00e9.example",
        ):
            self.assertRaises(InvalidOption, PublishOrigins, [origin])
        self.assertRaises(TypeError, PublishOrigins, "https://example.com")

    def test_open(self) -> None:
        """
        An attribute tells whether all pages may publish, so that a warning is possible.
        """
        self.assertTrue(PublishOrigins(["*"]).isOpen)
        self.assertFalse(PublishOrigins(["https://*.example.com"]).isOpen)
