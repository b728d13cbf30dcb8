"""
Tests for L{twisted_sse.hub.mercure.hub}, in memory.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from tests.support.hubs import KEY, PATH, HubCase, token
from tests.support.late_store import LateStore
from tests.support.mercure import cases
from tests.support.vectors import mercureCases
from twisted_sse import History
from twisted_sse.testing import MemoryStream


class CrossOriginTests(HubCase):
    """
    Replays the cases about pages of other origins.
    """

    ORIGINS = ("http://ok.example:8080", "https://two.example")
    HUBS: dict[str, dict[str, Any]] = {
        "main": {"origins": ORIGINS, "publishOrigins": ORIGINS, "presence": True},
        "star": {"origins": "*", "publishOrigins": ["*"]},
        "closed": {"anonymous": False},
        "bare": {},
    }

    def test_observed(self) -> None:
        """
        A page may read a response if its origin is allowed, and publish with a cookie if its origin
        may publish.
        """
        everything = token({"mercure": {"publish": ["*"], "subscribe": ["*"]}})
        for case in mercureCases("cors"):
            given, observed, should = case["input"], case["observed"], case["recommend"]
            if case["name"].startswith("cors-wildcard") or should == "400":
                continue
            self.serve(**self.HUBS[given["hub"]])
            headers = [
                (
                    name.replace("ACR-", "Access-Control-Request-"),
                    value.replace("<token>", everything),
                )
                for name, value in given.get("headers", ())
            ]
            method = given["method"]
            if method == "POST":
                headers.append(("Content-Type", "application/x-www-form-urlencoded"))
                body = b"topic=urn:c&data=x"
                answer = self.client.request(method, PATH, dict(headers), body)
            else:
                isStream = method in ("GET", "HEAD")
                answer = self.get(
                    given.get("target", "topic=a" if isStream else ""), headers, method
                )
            expected = dict(observed["headers"])
            status = observed["status"]
            if "without the credentials header" in should or expected.get("ACA-Origin") == "*":
                expected.pop("ACA-Credentials", None)
            if should.startswith("compare exactly"):
                expected = {}
            if status == 405:
                # Our hub answers OPTIONS, and lists what is allowed.
                status = 204
            self.assertEqual(answer.status, status, case)
            for name in ("Origin", "Credentials"):
                header = f"Access-Control-Allow-{name}"
                wanted = expected.get(f"ACA-{name}")
                if method == "OPTIONS" and wanted is None:
                    # What counts is whether the method and the headers are among those allowed.
                    continue
                if given["hub"] == "star" and not any(name == "Origin" for name, _ in headers):
                    continue
                self.assertEqual(answer.headers.get(header), wanted, case)

    def test_patterns(self) -> None:
        """
        A pattern matches the same origins for reading and for publishing with a cookie, compared
        exactly; and C{null}, which any page can have, never sends cookies.
        """
        pattern = "https://*.wild.example"
        self.assertRaises(ValueError, self.serve, publishOrigins=[pattern, "null"])
        self.serve(origins=[pattern, "null"], publishOrigins=[pattern])
        everything = token({"mercure": {"publish": ["*"], "subscribe": ["*"]}})
        cookie = {
            "Cookie": f"mercureAuthorization={everything}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        found = [each for each in mercureCases("cors") if each["name"].startswith("cors-wildcard")]
        self.assertGreater(len(found), 4)
        for case in found:
            origin, observed = case["input"]["origin"], case["observed"]
            isExact = not case["recommend"].startswith("exact comparison")
            allowed = observed["Access-Control-Allow-Origin"] if isExact else None
            answer = self.get("topic=a", [("Origin", origin)])
            self.assertEqual(answer.headers.get("Access-Control-Allow-Origin"), allowed)
            mayBeKnown = answer.headers.get("Access-Control-Allow-Credentials")
            self.assertEqual(mayBeKnown, None if allowed in (None, "null") else "true")
            self.assertIn("Origin", answer.headers["Vary"])
            status = 401 if origin == "null" else observed["post_by_cookie_with_this_Origin"]
            answer = self.client.request("POST", PATH, {**cookie, "Origin": origin}, b"topic=a")
            self.assertEqual(answer.status, status, case)
            status = observed["post_by_cookie_with_this_as_Referer_origin"]
            referer = {**cookie, "Referer": f"{origin}/page"}
            answer = self.client.request("POST", PATH, referer, b"topic=a")
            self.assertEqual(answer.status, status, case)

    def test_once(self) -> None:
        """
        C{Vary} lists each header once.
        """
        self.serve(origins=self.ORIGINS)
        for method in ("GET", "HEAD", "OPTIONS", "PUT"):
            named = self.get("topic=a", method=method).headers["Vary"].split(", ")
            self.assertEqual(len(named), len(set(named)), named)
            self.assertIn("Origin", named)


class OwnEventTests(HubCase):
    """
    Tests for the argument C{ownEvents}.
    """

    def test_ownEvents(self) -> None:
        """
        Mercure clients receive none of the channel's own events unless the option is set, even
        after their selection was changed.
        """
        for own, expected in [(False, ["data"]), (True, ["{}", "data"])]:
            self.serve(ownEvents=own)
            new, lost = self.get("topic=a"), self.get("topic=a&lastEventID=gone")
            self.assertEqual(lost.headers["Last-Event-ID"], "earliest")
            types = [event.type for stream in (new, lost) for event in stream.events]
            self.assertEqual(types, ["stream-position", "stream-reset"] if own else [])
            [changed, _] = self.hub.listSubscribers()
            self.successResultOf(self.hub.select(changed["id"], ["*"]))
            self.successResultOf(self.hub.publish("a", "data"))
            self.clock.settle()
            for browser in (new, lost):
                self.assertEqual([event.data for event in browser.events], expected)

    def test_lostWithStore(self) -> None:
        """
        With a store, too, a client whose ID is unknown is sent a C{stream-reset} if the option is
        set, then everything that is kept.
        """
        for own in False, True:
            self.serve(ownEvents=own, store=lambda clock: LateStore(clock, {}))
            self.clock.pump([0.1] * 20)
            self.hub.publish("a", "kept")
            self.clock.pump([0.1] * 20)
            lost = self.get("topic=a&lastEventID=gone")
            self.clock.pump([0.1] * 20)
            self.assertEqual(lost.headers["Last-Event-ID"], "earliest")
            types = [event.type for event in lost.events if event.type != "stream-position"]
            self.assertEqual(types, [*["stream-reset"] * own, "message"])

    def test_broken(self) -> None:
        """
        When the store has lost continuity, the streams of clients that are up to date end, too;
        with the channel's own events, one of them says so.
        """
        for own in False, True:
            self.serve(ownEvents=own, store=lambda clock: LateStore(clock, {}))
            self.clock.pump([0.1] * 20)
            publishing = self.hub.publish("a", "x")
            self.clock.pump([0.1] * 20)
            place = self.successResultOf(publishing)
            browser = self.get(f"topic=a&lastEventID={place}")
            self.clock.pump([0.1] * 20)
            log = next(
                each for each in self.channel.store.logs if each.tail is self.channel._storage
            )
            log.tail.broken("new origin")
            self.clock.pump([0.1] * 20)
            self.assertEqual(browser.ended, not own)
            types = [event.type for event in browser.events]
            self.assertEqual("stream-reset" in types, own)

    def test_overtaken(self) -> None:
        """
        When trimming overtakes a client that reads slowly, its stream ends before the gap: when it
        reconnects, the headers say that it has lost something.  With the channel's own events, one
        of them says so, and the stream goes on.
        """
        for own in False, True:
            self.serve(ownEvents=own, history=History(maxEvents=100))
            ids = [self.successResultOf(self.hub.publish("a", "x" * 5000)) for _ in range(100)]
            with patch.object(self.channel, "subscribe") as subscribe:
                browser = self.get(f"topic=a&lastEventID={ids[0]}")
            browser.stopReading(kernelBuffer=0)
            self.channel.subscribe(*subscribe.call_args.args, **subscribe.call_args.kwargs)
            self.clock.advance(1)
            [stream] = self.channel.streams
            self.assertTrue(0 < stream.eventsSent < 90, stream.eventsSent)
            for number in range(200):
                self.hub.publish("a", str(number))
            browser.resumeReading()
            self.clock.advance(1)
            types = [event.type for event in browser.events]
            self.assertEqual(browser.ended, not own)
            self.assertEqual(types.count("stream-reset"), own)
            if not own:
                self.assertTrue(all(event.data == "x" * 5000 for event in browser.events))
                again = self.get(f"topic=a&lastEventID={browser.events[-1].lastEventID}")
                self.clock.settle()
                self.assertEqual(again.headers["Last-Event-ID"], "earliest")
                self.assertEqual(again.events[-1].data, "199")

    def test_selected(self) -> None:
        """
        Whether a subscriber receives the channel's own events does not change with its selection.
        """
        for own in False, True:
            self.serve(ownEvents=own, history=History(maxEvents=4))
            browser = self.get("topic=a")
            [subscriber] = self.hub.listSubscribers()
            self.successResultOf(self.hub.select(subscriber["id"], ["b"]))
            before = len(browser.events)
            for _ in range(4):
                self.hub.publish("c", "data")
            self.clock.settle()
            types = [event.type for event in browser.events[before:]]
            self.assertEqual(types, ["stream-position"] * own)


class SubscriptionTests(HubCase):
    """
    Tests for presence.
    """

    def begin(self) -> dict[str, str]:
        """
        Make a hub.

        @return: the headers of a client that may see everything.
        """
        self.serve(presence=True)
        claims = {"mercure": {"publish": ["*"], "subscribe": ["*"], "payload": {"user": "x"}}}
        return {"Authorization": f"Bearer {token(claims)}"}

    def test_events(self) -> None:
        """
        Those that may read it receive notices of new and ended subscriptions, in their dialect; and
        the notices do not change the ID from which they resume.
        """
        headers = self.begin()
        watcher = self.get(f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}", headers.items())
        stranger = self.get("topic=*")
        self.successResultOf(self.hub.publish("x", "before", id="before"))
        self.clock.settle()
        comes = self.get("topic=a/b%20c&topic=https://example.com/%7Bid%7D", headers.items())
        comes.disconnect()
        events = [json.loads(event.data) for event in watcher.events]
        self.assertEqual([each["active"] for each in events], [True, True, True, False, False])
        subscriber = events[-1]["subscriber"]
        path = f"{PATH}/subscriptions/a%2Fb%20c/{subscriber.replace(':', '%3A')}"
        self.assertEqual(
            events[1],
            {
                "@context": "https://mercure.rocks/",
                "id": path,
                "type": "Subscription",
                "topic": "a/b c",
                "subscriber": subscriber,
                "active": True,
                "payload": {"user": "x"},
            },
        )
        self.assertEqual([event.data for event in stranger.events], ["before"])
        self.assertEqual({event.lastEventID for event in watcher.events[1:]}, {"before"})

    def subscriptions(self, path: str, headers: dict[str, str], method: str = "GET") -> Any:
        """
        Ask for subscriptions.

        @param path: what follows C{/subscriptions}.
        """
        return self.client.request(method, f"{PATH}/subscriptions{path}", headers)

    def listed(self, path: str, headers: dict[str, str]) -> Any:
        """
        Ask for subscriptions.

        @return: the JSON of the response.
        """
        answer = self.subscriptions(path, headers)
        self.assertEqual(answer.status, 200, answer.body)
        return json.loads(answer.body)

    def test_authorization(self) -> None:
        """
        The API answers clients whose token allows them to read the requested path.
        """
        headers = self.begin()
        self.get("topic=news&topic=a/b%20c", headers.items())
        [news, other] = self.listed("", headers)["subscriptions"]
        paths = {
            "collection": "",
            "collection of news": "/news",
            "single of news": news["id"].partition("subscriptions")[2],
            'collection of "a/b c"': "/a%2Fb%20c",
            'single of "a/b c"': other["id"].partition("subscriptions")[2],
        }
        for case in cases("subscriptions", "subscriptions-authorization"):
            given, observed = case["input"], case["observed"]["status"]
            if "mercure.subscribe" not in given:
                continue
            granted = given["mercure.subscribe"]
            mine = {}
            if granted is not None:
                mine["Authorization"] = f"Bearer {token({'mercure': {'subscribe': granted}})}"
            got = {name: self.subscriptions(path, mine).status for name, path in paths.items()}
            if case["recommend"] == "all five 200":
                observed = dict.fromkeys(paths, 200)
            elif case["recommend"].startswith("403"):
                observed = {name: 403 if it == 401 else it for name, it in observed.items()}
            self.assertEqual(got, observed, case)

    def test_encoding(self) -> None:
        """
        In a path each part is percent-encoded once, and looked up that way.
        """
        for case in cases("subscriptions", "subscription-id encoding"):
            topic = case["input"]["topic"]
            if not topic:
                continue
            headers = self.begin()
            self.get(f"topic={quote(topic, safe='')}", headers.items())
            segment = case["observed"]["segment"]
            [single] = self.listed(f"/{segment}", headers)["subscriptions"]
            self.assertEqual(single["topic"], topic)
            self.assertEqual(single["id"].split("/")[-2], segment)
            path = single["id"].partition("subscriptions")[2]
            self.assertEqual(self.listed(path, headers)["subscriber"], single["subscriber"])

    def test_list(self) -> None:
        """
        The API lists the present subscriptions, with the ID of the newest update; unknown ones are
        a 404.
        """
        headers = self.begin()
        context = {"@context": "https://mercure.rocks/"}
        collection = {"id": f"{PATH}/subscriptions", "type": "Subscriptions"}
        self.assertEqual(
            self.listed("", headers),
            {**context, **collection, "subscriptions": [], "lastEventID": "earliest"},
        )
        stream = self.get("topic=news&topic=news", headers.items())
        self.get("topic=other")
        self.successResultOf(self.hub.publish("x", "x", id='upd 1 "é"'))
        [news] = self.listed("/news?x=1", headers)["subscriptions"]
        self.assertEqual(news["payload"], {"user": "x"})
        path = news["id"].partition("subscriptions")[2]
        one = self.listed(path, headers)
        self.assertEqual(one, {**context, **news, "lastEventID": 'upd 1 "é"'})
        self.assertEqual(len(self.listed("", headers)["subscriptions"]), 2)
        for unknown in ("/nothing/urn:uuid:x", "/other" + path[5:], path + "/", "/", "/a/b/c/d"):
            self.assertEqual(self.subscriptions(unknown, headers).status, 404, unknown)
        stream.disconnect()
        self.assertEqual(self.subscriptions(path, headers).status, 404)
        self.assertEqual(self.listed("/news", headers)["subscriptions"], [])

    def test_tag(self) -> None:
        """
        A client that has the newest list gets a 304, however the entity tag is written; and a new
        list when a client subscribes, or an update is published.
        """
        headers = self.begin()
        tag = self.subscriptions("", headers).headers["ETag"]
        for written in (tag, f"W/{tag}", f'"x", {tag}', tag.strip('"'), "*"):
            answer = self.subscriptions("", {**headers, "If-None-Match": written})
            self.assertEqual((answer.status, answer.body), (304, b""), written)
        self.assertEqual(self.subscriptions("", {**headers, "If-None-Match": '"x"'}).status, 200)
        for change in (lambda: self.hub.publish("x"), lambda: self.get("topic=y")):
            change()
            answer = self.subscriptions("", {**headers, "If-None-Match": tag})
            self.assertEqual(answer.status, 200)
            tag = answer.headers["ETag"]
        head = self.subscriptions("", headers, "HEAD")
        self.assertEqual((head.status, head.body, head.headers["ETag"]), (200, b"", tag))

    def test_type(self) -> None:
        """
        Clients cannot publish in the hub's namespace, where subscribers of 1.0 may receive presence
        events.
        """
        body = b"topic=a&type=mercure"
        for options, status in (
            ({}, 200),
            ({"presence": True}, 400),
            ({"presence": True, "protocols": ["0.x"]}, 200),
        ):
            headers = {**self.begin(), "Content-Type": "application/x-www-form-urlencoded"}
            self.serve(**options)
            answer = self.client.request("POST", PATH, headers, body)
            self.assertEqual(answer.status, status, options)

    def test_methods(self) -> None:
        """
        The list is read-only; and without presence there is none.
        """
        headers = self.begin()
        for method in ("PUT", "POST", "DELETE", "QUERY"):
            answer = self.subscriptions("", headers, method)
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))
        self.serve()
        self.assertEqual(self.subscriptions("", headers).status, 404)


class NewDialectTests(HubCase):
    """
    Tests for Mercure 1.0, beside 0.x.
    """

    now = 1_800_000_000.0

    URL = "https://hub.example/.well-known/mercure"

    def begin(self, **options: Any) -> None:
        """
        Make a hub with an issuer.
        """
        self.serve(
            trustedIssuers=[f"https://issuer.example={KEY}"],
            resourceIdentifier=self.URL,
            url=self.URL,
            now=lambda: self.now,
            **options,
        )

    def headers(self, *details: dict[str, Any], **claims: Any) -> dict[str, str]:
        """
        Make the headers of a publisher or a subscriber.
        """
        kind = "https://mercure.rocks/authorization-detail"
        claims = {
            "iss": "https://issuer.example",
            "aud": self.URL,
            "exp": self.now + 3600,
            "authorization_details": [{"type": kind, **each} for each in details],
            **claims,
        }
        made = token(claims, typ="at+jwt")
        return {
            "Authorization": f"Bearer {made}",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def post(self, body: str, headers: dict[str, str]) -> Any:
        """
        Publish.
        """
        return self.client.request("POST", PATH, headers, body.encode())

    PUBLISH: dict[str, Any] = {"actions": ["publish"], "topics": [{"match": "*"}]}
    BOOKS = {"match": "/books/:id", "match_type": "urlpattern"}

    def test_both(self) -> None:
        """
        One hub serves both dialects: each client gets its selection, from publishers of both.
        """
        self.begin()
        old = self.get("topic=https://hub.example/books/{id}")
        new = self.get("match_urlpattern=/books/:id")
        exact = self.get("match=https://hub.example/books/1&match_exact=x")
        self.assertEqual(
            self.post(
                "topic=https://hub.example/books/1&data=a", self.headers(self.PUBLISH)
            ).status,
            200,
        )
        self.successResultOf(self.hub.publish("/books/2", "b"))
        self.clock.settle()
        got = [[event.data for event in each.events] for each in (old, new, exact)]
        self.assertEqual(got, [["a"], ["a", "b"], ["a"]])

    def test_private(self) -> None:
        """
        A token of 1.0 lets its bearer read private updates; a selection alone does not.
        """
        self.begin()
        reader = self.headers({"actions": ["subscribe"], "topics": [self.BOOKS]})
        granted = self.get("match=*", reader.items())
        other = self.get("match=*", self.headers(self.PUBLISH).items())
        self.successResultOf(self.hub.publish("/books/1", "secret", private=True))
        self.clock.settle()
        self.assertEqual([event.data for event in granted.events], ["secret"])
        self.assertEqual(list(other.events), [])

    def test_challenges(self) -> None:
        """
        Errors are answered as in OAuth: no token, an invalid one, one that does not grant the
        action; and each response links to the metadata.
        """
        self.begin(anonymous=False)
        where = (
            'resource_metadata="https://hub.example/.well-known/oauth-protected-resource'
            '/.well-known/mercure"'
        )
        laxer = {"Authorization": f"Bearer {token({'mercure': {'subscribe': ['*']}})}"}
        late = self.headers(self.PUBLISH, exp=self.now - 1)
        cases = [
            (self.get("match=a"), 401, "Bearer "),
            (self.get("match=a", late.items()), 401, 'Bearer error="invalid_token", '),
            (self.get("match=a", laxer.items()), 401, 'Bearer error="invalid_token", '),
            (self.post("topic=a", self.headers()), 403, 'Bearer error="insufficient_scope", '),
        ]
        for answer, status, challenge in cases:
            self.assertEqual(
                (answer.status, answer.headers["WWW-Authenticate"]), (status, challenge + where)
            )
        self.assertEqual(self.get("topic=a", laxer.items()).status, 200)

    def test_ends(self) -> None:
        """
        A stream ends shortly before its token expires.
        """
        self.begin()
        for seconds in (2.0, 30.0, 3600.0):
            expires = self.now + seconds
            old = token({"mercure": {}, "exp": expires})
            streams = [
                self.get("match=a", self.headers(self.PUBLISH, exp=expires).items()),
                self.get("topic=a", {"Authorization": f"Bearer {old}"}.items()),
                self.get(f"topic=a&authorization={old}"),
                self.get("topic=a", {"Cookie": f"mercureAuthorization={old}"}.items()),
            ]
            self.clock.advance(seconds - 1.5)
            self.assertEqual([(each.status, each.ended) for each in streams], [(200, False)] * 4)
            self.clock.advance(1.5)
            self.assertTrue(all(stream.ended for stream in streams))
        self.assertEqual(len(self.hub.resource.streams), 0)

    def test_lifetime(self) -> None:
        """
        With a maximum lifetime, streams end at different times before it.
        """
        self.begin(maxLifetime=100)
        streams = [self.get("match=a") for _ in range(50)]
        self.clock.advance(79.9)
        self.assertFalse(any(stream.ended for stream in streams))
        self.clock.advance(10)
        self.assertTrue(0 < sum(stream.ended for stream in streams) < 50)
        self.clock.advance(10.2)
        self.assertTrue(all(stream.ended for stream in streams))

    def test_query(self) -> None:
        """
        With QUERY the selectors are in the body, in addition to those in the URL; for the last
        event ID, the header takes precedence, then the URL.
        """
        self.begin()
        ids = [self.successResultOf(self.hub.publish(topic, topic)) for topic in "abcab"]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}

        def ask(target: str, **more: str) -> MemoryStream:
            body = f"match=a&last_event_id={ids[0]}".encode()
            return self.client.request("QUERY", PATH + target, {**headers, **more}, body)

        self.clock.settle()
        self.assertEqual([event.data for event in ask("").events], ["a"])
        stream = ask(f"?match=b&last_event_id={ids[3]}")
        self.assertEqual([event.data for event in stream.events], ["b"])
        stream = ask("?match=b", **{"Last-Event-ID": "earliest"})
        self.assertEqual([event.data for event in stream.events], ["a", "b", "a", "b"])

    def test_refused(self) -> None:
        """
        Requests that make no sense are refused.
        """
        self.begin()
        for query in (
            "",
            "topic=a&match=a",
            "Match=a",
            "matchurlpattern=a",
            "match_regexp=a",
            "match=%00",
            "match=a%E2%80%8Bb",
            "match_urlpattern=(",
            "match=" + "x" * 5000,
        ):
            self.assertEqual(self.get(query).status, 400, query)
        only = {"protocols": ["1.0"]}
        self.begin(**only)
        self.assertEqual(self.get("topic=a").status, 400)
        self.assertEqual(self.get("match=a").status, 200)

    def test_presence(self) -> None:
        """
        In 1.0 events about subscriptions have a type, and the API has a cursor in a header.
        """
        self.begin(presence=True)
        path = {"match": f"{PATH}/subscriptions/*", "match_type": "urlpattern"}
        headers = self.headers(
            {"actions": ["subscribe"], "topics": [path], "payload": {"user": "x"}},
            {"actions": ["subscribe"], "topics": [{"match": "a"}], "payload": {"user": "y"}},
        )
        watcher = self.get(f"match_urlpattern={PATH}/subscriptions/*", headers.items())
        self.get("match=a", headers.items()).disconnect()
        events = [(event.type, json.loads(event.data)) for event in watcher.events]
        self.assertEqual([kind for kind, _ in events], ["mercure", "mercure"])
        [(_, came), (_, went)] = events
        self.assertEqual(went, {**came, "active": False})
        subscriber = came["subscriber"]
        self.assertEqual(
            came,
            {
                "id": f"{PATH}/subscriptions/exact/a/{subscriber.replace(':', '%3A')}",
                "type": "subscription",
                "match_type": "exact",
                "match": "a",
                "subscriber": subscriber,
                "active": True,
                "payload": {"user": "y"},
            },
        )
        answer = self.client.request("GET", f"{PATH}/subscriptions/urlpattern/x", headers)
        self.assertEqual((answer.status, json.loads(answer.body)["subscriptions"]), (200, []))
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertIn('last-event-id="earliest"', answer.headers["Link"])

    def test_queryToken(self) -> None:
        """
        A token in the URL is for 0.x only, caches do not keep the response, and no log shows the
        token.
        """
        self.begin(anonymous=False)
        bearer = token({"mercure": {"subscribe": ["*"]}})
        stream = self.get(f"topic=a&authorization={bearer}")
        self.assertEqual(
            (stream.status, stream.headers["Cache-Control"].split(",")[0]), (200, "private")
        )
        self.assertEqual(self.get(f"match=a&authorization={bearer}").status, 401)


class HeadTests(HubCase):
    """
    Tests for HEAD.
    """

    def test_place(self) -> None:
        """
        HEAD reports where the stream of a GET would begin: RFC 9110, 9.3.2.
        """
        self.serve()
        first = self.successResultOf(self.hub.publish("a"))
        for selector in "topic=a", "match=a":
            for cursor, place in (
                (first, first),
                ("unknown", "earliest"),
                ("earliest", "earliest"),
                ("", None),
            ):
                for more in f"{selector}&lastEventID={cursor}", selector:
                    headers = () if more != selector else [("Last-Event-ID", cursor)]
                    told = [
                        self.get(more, headers, method).headers.get(name)
                        for method in ("GET", "HEAD")
                        for name in ("Last-Event-ID", "Mercure-Last-Event-ID")
                    ]
                    self.assertEqual(told, [place] * 4, (more, cursor))
