"""
The contract of a hub, number by number, over real sockets: see C{docs/ref-conformance.md}, which
also lists the tests elsewhere.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.contract_hub import FORM, HUB, NOW, ContractCase, detail
from tests.support.documents import section, table
from tests.support.hubs import PATH, token
from tests.support.live import until
from tests.support.requirements import needs
from twisted_sse import History


@needs("network")
class SubscribingTests(ContractCase):
    """
    Numbers 1 to 10.
    """

    async def test_01_stream(self) -> None:
        """
        A subscriber immediately gets the headers of an event stream and a comment, in both
        dialects, by GET and by QUERY; HEAD gets the same headers.
        """
        self.begin()
        for query in ("topic=a", "match=a"):
            stream = await self.ask(query)
            await until(lambda stream=stream: stream.comments, "the first comment")
            head, _, _ = bytes(self.wire).partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"), head)
            self.assertTrue(stream.headers["content-type"].startswith("text/event-stream"))
            same = await self.ask(query, method="HEAD")
            self.assertEqual((same.status, same.body), (200, b""))
            each = [{**answer.headers, "date": ""} for answer in (stream, same)]
            for headers in each:
                headers.pop("transfer-encoding", None)
                headers.pop("content-length", None)
                headers.pop("connection", None)
            self.assertEqual(*each)
        asked = await self.ask("", FORM, "QUERY", b"match=a")
        self.assertEqual(asked.status, 200)

    async def test_02_selectors(self) -> None:
        """
        At least one selector is required; a parameter that only looks like a matcher, has invisible
        characters, cannot be compiled, is too large, or mixes both dialects, is refused.
        """
        self.begin()
        good = ["topic=a&topic=b", "match=a", "match_exact=a&match_urlpattern=/b/*", "match=a&x=1"]
        bad = ["", "x=1", "Topic=a", "Match=a", "MATCH_EXACT=a", "matching=a", "match_regex=a"]
        bad += ["topic=a&match=a", "match=a&match_none=b", "match_urlpattern=(", "match="]
        bad += [f"match=a{each}" for each in ("%00", "%0A", "%7F", "%C2%85", "%E2%80%8B", "%FF")]
        bad += ["&".join(f"{name}={n}" for n in range(1001)) for name in ("topic", "match")]
        bad += ["topic=%FF", "match_urlpattern=/" + "x" * 5000]
        for status, queries in (200, good), (400, bad):
            for query in queries:
                answer = await self.ask(query)
                self.assertEqual(answer.status, status, query[:80])

    async def test_03_form(self) -> None:
        """
        Parameters are decoded as form fields: a plus is a space, only an ampersand separates, a
        percent sign that begins no escape stays, and names are compared exactly.
        """
        self.begin()
        for query, topic in (
            ("topic=a+b", "a b"),
            ("topic=a%2Bb", "a+b"),
            ("topic=a;topic=b", "a;topic=b"),
            ("topic=100%", "100%"),
            ("topic=%zz", "%zz"),
            ("top%69c=a=b", "a=b"),
            ("&&topic=%C3%A9&", "\u00e9"),
        ):
            stream = await self.ask(query)
            self.assertEqual(stream.status, 200, query)
            await self.publish(topic)
            await self.got(stream, topic)

    async def test_04_matching(self) -> None:
        """
        In 0.x a selector is everything, the same text, or a URI template; in 1.0 it is everything,
        the same text, or a URL pattern relative to the hub, which is case-sensitive.
        """
        self.begin()
        book = "https://hub.example/books/1"
        for query, topics, others in (
            ("topic=*", ["a", "https://x.example/"], []),
            ("topic=a", ["a"], ["A", "a/", "ab"]),
            ("topic=https://hub.example/books/{id}", [book], [book + "/x", "/books/1"]),
            ("topic=x{?y,z}", ["x", "x?z=1&y=2", "x{?y,z}"], ["x?y=1#f"]),
            ("match=*", ["a", book], []),
            ("match_urlpattern=*", ["a", "no url :"], []),
            ("match=a", ["a"], ["A", "https://hub.example/.well-known/a"]),
            ("match=/books/:id", ["/books/:id"], ["/books/1"]),
            ("match_urlpattern=/books/:id", [book, "/books/1"], ["/Books/1", "/books/1/2"]),
            (
                "match_urlpattern=/books/:id",
                ["../books/2"],
                ["https://x.example/books/1", "http://["],
            ),
        ):
            stream = await self.ask(query)
            for topic in (*topics, *others):
                await self.publish(topic)
            await self.got(stream, *topics)

    async def test_05_private(self) -> None:
        """
        An update is sent once, however many of its topics are selected; a private update only to
        those that may read any of its topics, and selecting never widens that.
        """
        self.begin()
        both = await self.ask("topic=a&topic=b&topic=*")
        stranger = await self.ask("match=*")
        readers = [
            await self.ask("topic=*", self.old(subscribe=["b"])),
            await self.ask("match=*", self.new(detail("subscribe", match="b"))),
        ]
        others = [
            await self.ask("topic=b", self.old(publish=["*"])),
            await self.ask("topic=b", self.old(subscribe=["c"])),
            await self.ask("match=b", self.new(detail("publish"))),
        ]
        await self.publish("a", "b", data="public")
        await self.publish("a", "b", data="private", private=True)
        for each in both, stranger, *others:
            await self.got(each, "public")
        for each in readers:
            await self.got(each, "public", "private")

    async def test_06_bytes(self) -> None:
        """
        An event has one line per field, and one C{data} line for each line of its data, whether CR,
        LF or both end them.
        """
        self.begin()
        stream = await self.ask("topic=a")
        answer = await self.post(
            self.old(),
            ("topic", "a"),
            ("data", "one\ntwo\r\nthree\rfour\n"),
            ("type", "greeting"),
            ("id", "urn:x"),
            ("retry", "1000"),
        )
        self.assertEqual((answer.status, answer.body), (200, b"urn:x"))
        await until(lambda: stream.events, "the event")
        lines = bytes(stream.body).rpartition(b"\n:")[2].split(b"\n\n")[-2].split(b"\n")
        self.assertEqual(sorted(lines[-8:]), sorted([
            b"data: one", b"data: two", b"data: three", b"data: four", b"data: ",
            b"event: greeting", b"id: urn:x", b"retry: 1000",
        ]))  # fmt: skip
        [event] = stream.events
        self.assertEqual(event.data, "one\ntwo\nthree\nfour\n")
        self.assertEqual((event.type, event.lastEventID), ("greeting", "urn:x"))

    async def test_07_cursor(self) -> None:
        """
        The position to resume from is in the header, else in the URL under either name, else in the
        body of a QUERY; C{earliest} is before all kept events.
        """
        self.begin()
        ids = [await self.publish("a", data=str(number)) for number in range(4)]
        names = ("lastEventID", "last_event_id")
        for selector in ("topic=a", "match=a"):
            for name in names:
                stream = await self.ask(f"{selector}&{name}={ids[2]}")
                await self.got(stream, "3")
                stream = await self.ask(f"{selector}&{name}={ids[2]}", {"Last-Event-ID": ids[1]})
                await self.got(stream, "2", "3")
                stream = await self.ask(f"{selector}&{name}=earliest")
                await self.got(stream, "0", "1", "2", "3")
            await self.got(await self.ask(selector))
        body = f"match=a&last_event_id={ids[2]}".encode()
        await self.got(await self.ask("", FORM, "QUERY", body), "3")
        stream = await self.ask(f"last_event_id={ids[1]}", FORM, "QUERY", body)
        await self.got(stream, "2", "3")

    async def test_08_place(self) -> None:
        """
        A client that resumes receives, in both headers, the ID before its first event, or
        C{earliest}: if it requested that, if nothing is kept, or if its ID is unknown or dropped.
        """
        self.begin(history=History(maxEvents=2))
        self.assertEqual(
            (await self.ask("topic=a&lastEventID=x")).headers["last-event-id"], "earliest"
        )
        gone, kept, _ = [await self.publish("a", data=str(number)) for number in range(3)]
        for cursor, place, data in (
            (kept, kept, ["2"]),
            (gone, "earliest", ["1", "2"]),
            ("unknown", "earliest", ["1", "2"]),
            ("earliest", "earliest", ["1", "2"]),
        ):
            for selector in ("topic=a", "match=a"):
                stream = await self.ask(f"{selector}&lastEventID={cursor}")
                told = [stream.headers[f"{each}last-event-id"] for each in ("", "mercure-")]
                self.assertEqual(told, [place, place], cursor)
                # Nothing may be published now, or the kept events would be dropped.
                await until(lambda stream=stream, data=data: stream.data == data, "the replay")
        self.assertNotIn("last-event-id", (await self.ask("topic=a")).headers)

    async def test_09_replay(self) -> None:
        """
        In a replay, private updates go to those whose token grants them now; all topics share one
        order; an existing ID is never assigned to another event, so that it names one position.
        """
        self.begin()
        first = await self.publish("a", data="first", id="same")
        await self.publish("b", data="secret", private=True)
        again = await self.publish("a", data="again", id="same")
        self.assertEqual((first, again != "same"), ("same", True))
        await self.got(await self.ask("topic=*&lastEventID=same"), "again")
        for kind, headers in (
            ("topic", self.old(subscribe=["b"])),
            ("match", self.new(detail("subscribe", match="b"))),
        ):
            stream = await self.ask(f"{kind}=*&lastEventID=same", headers)
            await self.got(stream, "secret", "again")


@needs("network")
class PublishingTests(ContractCase):
    """
    Numbers 11 to 15.
    """

    async def test_11_form(self) -> None:
        """
        An update is a form in UTF-8 with at least one topic; unknown fields are ignored, and all
        its topics count.
        """
        self.begin()
        for headers in self.old(), self.new():
            stream = await self.ask("topic=b")
            fields = [("topic", "a"), ("topic", "b"), ("data", "\u00e9"), ("unknown", "x")]
            self.assertEqual((await self.post(headers, *fields)).status, 200)
            await self.got(stream, "\u00e9")
            for bad in ([("data", "x")], [("topic", "")], [("Topic", "a")]):
                self.assertEqual((await self.post(headers, *bad)).status, 400, bad)
            latin = await self.ask("", {**FORM, **headers}, "POST", b"topic=a&data=%E9")
            self.assertEqual(latin.status, 400)
            for kind in ("text/plain", "application/xml"):
                other = {**headers, "Content-Type": kind}
                self.assertEqual((await self.ask("", other, "POST", b"topic=a")).status, 415)

    async def test_12_fields(self) -> None:
        """
        An update is private if it has that field, whatever its value; data and the rest are
        optional; an invalid ID, type or time is refused, and 1.0 refuses more.
        """
        self.begin()
        topic = ("topic", "a")
        for headers, isNew in (self.old(), False), (self.new(), True):
            strict = 400 if isNew else 200
            for name, value, status in (
                ("private", "", 200),
                ("private", "off", 200),
                ("id", "x y/\u00e9", 200),
                ("id", "#x", strict),
                ("id", "earliest", strict),
                ("id", "a\nb", 400),
                ("id", "a\u200bb", 400),
                ("type", "\u00e9t", 200),
                ("type", "a\nb", 400),
                ("type", "a\u00adb", 400),
                ("type", "mercure", strict),
                ("retry", "0", 200),
                ("retry", "1000", 200),
                ("retry", "-1", 400),
                ("retry", "1.5", 400),
                ("retry", "\u0663", 400),
            ):
                stream = await self.ask("topic=a")
                answer = await self.post(headers, topic, (name, value))
                self.assertEqual(answer.status, status, (name, value, isNew))
                isSent = status == 200 and name != "private"
                await self.got(stream, *([""] if isSent else []))

    async def test_13_reserved(self) -> None:
        """
        Topics below the hub are reserved, in any disguise: 403 in 0.x, 400 in 1.0, which also
        refuses the topic that stands for all.
        """
        self.begin()
        disguises = [
            PATH,
            f"{PATH}/subscriptions/a/b",
            HUB,
            f"http://other.example:81{PATH}/x",
            f"//x{PATH}",
            "mercure",
            "./mercure/x",
            "../.well-known/mercure?x",
            "subscriptions/../mercure#x",
            "/a/..//../.well-known/mercure",
            "/.well-known/%6Dercure",
            "/%2ewell-known/mercure",
            "/x/%2E%2e/.well-known/mercure/x",
            "\\.well-known\\mercure",
            "https:\\\\x.example\\.well-known/mercure",
            f"ftp://x.example{PATH}",
            f"foo:{PATH}",
            f"HTTPS://HUB.EXAMPLE{PATH}",
            f"https://hub.example@evil.example{PATH}",
        ]
        free = [
            f"{PATH}x", "/.well-known/other", "/.Well-Known/mercure", f"/x{PATH}", "x/mercure",
            f"https://x.example/?{PATH}", f"urn:{PATH[1:]}", "/.well-known%2Fmercure",
        ]  # fmt: skip
        for headers, refused in (self.old(), 403), (self.new(), 400):
            for topic in disguises:
                for topics in ([topic], ["a", topic]):
                    answer = await self.post(headers, *[("topic", each) for each in topics])
                    self.assertEqual(answer.status, refused, topic)
            for topic in free:
                answer = await self.post(headers, ("topic", topic))
                self.assertEqual(answer.status, 200, topic)
            answer = await self.post(headers, ("topic", "*"))
            self.assertEqual(answer.status, 400 if refused == 400 else 200)

    async def test_14_answer(self) -> None:
        """
        A publisher receives the ID, as plain text, and nothing else; an update that is too large is
        413.
        """
        self.begin(maxBody=1000)
        stream = await self.ask("topic=a")
        for headers in self.old(), self.new():
            answer = await self.post(headers, ("topic", "a"), ("data", "x"))
            head, _, body = bytes(self.wire).partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"))
            self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(answer.headers["content-length"], str(len(body)))
            await until(lambda body=body: body.decode() == stream.events[-1].lastEventID, "its ID")
            answer = await self.post(headers, ("topic", "a"), ("data", "x" * 1000))
            self.assertEqual(answer.status, 413)

    async def test_15_grants(self) -> None:
        """
        Every topic must be granted, or nothing is sent: the response is 403, or with the option 401
        in 0.x.
        """
        for unauthorized in (False, True):
            self.begin(unauthorized=unauthorized)
            stream = await self.ask("topic=*")
            for headers, status in (
                (self.old(publish=["a"]), 401 if unauthorized else 403),
                (self.old(publish=[]), 401 if unauthorized else 403),
                (self.old(subscribe=["*"]), 401 if unauthorized else 403),
                (self.new(detail("publish", match="a")), 403),
                (self.new(detail("subscribe")), 403),
            ):
                answer = await self.post(headers, ("topic", "a"), ("topic", "b"))
                self.assertEqual(answer.status, status)
            await self.got(stream)


@needs("network")
class TokenTests(ContractCase):
    """
    Numbers 16 to 20.
    """

    async def test_16_carriers(self) -> None:
        """
        The header decides, even if it is invalid; then the URL, in 0.x, with a response that shared
        caches do not keep; then the cookie of each dialect.
        """
        self.begin(anonymous=False)
        old, new = (each["Authorization"].split()[1] for each in (self.old(), self.new()))
        cookies = {
            "topic": f"mercureAuthorization={old}",
            "match": f"__Secure-mercure_access_token={new}",
        }
        for kind, cookie in cookies.items():
            bearer = {"Authorization": f"Bearer {old if kind == 'topic' else new}"}
            for headers, status in (
                ({}, 401),
                (bearer, 200),
                ({"Authorization": bearer["Authorization"].replace("Bearer", "bearer")}, 200),
                ({"Cookie": cookie}, 200),
                ({"Cookie": f"a=b; {cookie}; c=d"}, 200),
                ({"Cookie": cookie, "Authorization": "Bearer x"}, 401),
                ({"Cookie": cookie.replace("=", "x=")}, 401),
            ):
                self.assertEqual((await self.ask(f"{kind}=a", headers)).status, status, headers)
            for headers in (
                {"Cookie": cookie, "Authorization": "Basic eDp5"},
                {"Authorization": "Bearer"},
            ):
                status = 401 if kind == "topic" else 400
                self.assertEqual((await self.ask(f"{kind}=a", headers)).status, status)
        inURL = await self.ask(f"topic=a&authorization={old}")
        self.assertEqual(inURL.status, 200)
        self.assertIn("private", inURL.headers["cache-control"])
        bad = {"Authorization": "Bearer x"}
        self.assertEqual((await self.ask(f"topic=a&authorization={old}", bad)).status, 401)
        self.assertEqual((await self.ask(f"match=a&authorization={new}")).status, 401)
        self.assertEqual((await self.ask(f"topic=a&authorization={new}")).status, 401)

    async def test_17_tokens(self) -> None:
        """
        A token is checked by the rules of its dialect alone: an expired, early, issuerless or
        unsigned token, one for another audience, or of the wrong type, is invalid, and in 1.0 so is
        one with any error in its details.
        """
        self.begin()
        now = NOW
        unsigned = "eyJhbGciOiJub25lIn0.eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0."
        url = {"https://mercure.rocks/": {"publish": ["*"]}}
        for headers, isGood in (
            (self.old(), True),
            (self.old(exp=now + 60, nbf=now - 60), True),
            ({"Authorization": f"Bearer {token(url)}"}, True),
            (self.old(exp=now - 60), False),
            (self.old(nbf=now + 60), False),
            ({"Authorization": f"Bearer {unsigned}"}, False),
            (self.new(), True),
            (self.new(aud=["x", HUB]), True),
            (self.new(typ="application/at+jwt"), True),
            (self.new(exp=now - 60), False),
            (self.new(exp=None), False),
            (self.new(iss="https://evil.example"), False),
            (self.new(aud="https://other.example"), False),
            (self.new(typ="JWT"), False),
            (self.new({**detail("publish"), "type": "x"}), False),
            (self.new(detail("publish"), detail("delete")), True),
            (self.new(detail("publish"), detail()), False),
            (self.new(detail("publish"), {**detail("publish"), "topics": []}), False),
            (self.new(detail("publish"), detail("publish", match="(", kind="urlpattern")), False),
        ):
            answer = await self.post(headers, ("topic", "a"))
            self.assertEqual(answer.status == 200, isGood, (headers, answer.status))
            if not isGood:
                self.assertIn(answer.status, (401, 403))

    async def test_18_errors(self) -> None:
        """
        Refusals distinguish a missing token, an invalid one, and one that does not grant the
        action; 1.0 responds with 400 to a token sent in a wrong way; and each refusal links to the
        metadata.
        """
        self.begin(anonymous=False)
        two = {"Authorization": "Bearer a b"}
        for answer, status, error in (
            (await self.ask("match=a"), 401, None),
            (await self.ask("match=a", {"Authorization": "Bearer x"}), 401, "invalid_token"),
            (
                await self.post(self.new(detail("subscribe")), ("topic", "a")),
                403,
                "insufficient_scope",
            ),
            (await self.ask("match=a", two), 400, "invalid_request"),
            (await self.ask("topic=a"), 401, None),
            (await self.ask("topic=a", two), 401, "invalid_request"),
            (await self.post({}, ("topic", "a")), 401, None),
            (await self.post(self.old(publish=[]), ("topic", "a")), 403, "insufficient_scope"),
        ):
            challenge = answer.headers["www-authenticate"]
            self.assertEqual(answer.status, status, challenge)
            self.assertTrue(challenge.startswith("Bearer"), challenge)
            self.assertEqual(f'error="{error}"' in challenge, error is not None, challenge)
            self.assertEqual("error=" in challenge, error is not None, challenge)
            metadata = "https://hub.example/.well-known/oauth-protected-resource" + PATH
            self.assertIn(f'resource_metadata="{metadata}"', challenge)

    async def test_19_cookie(self) -> None:
        """
        With a cookie, a page can publish only if its origin may.
        """
        good = "https://app.example"
        self.begin(publishOrigins=[good])
        for name, headers in (
            ("mercureAuthorization", self.old()),
            ("__Secure-mercure_access_token", self.new()),
        ):
            cookie = {"Cookie": f"{name}={headers['Authorization'].split()[1]}"}
            for more, isGood in (
                ({"Origin": good}, True),
                ({"Referer": f"{good}/page"}, True),
                ({}, False),
                ({"Origin": "null"}, False),
                ({"Origin": "https://evil.example", "Referer": f"{good}/"}, False),
                ({"Referer": "https://evil.example/?" + good}, False),
            ):
                answer = await self.post({**cookie, **more}, ("topic", "a"))
                self.assertEqual(answer.status, 200 if isGood else 401, more)
        alone = {"protocols": ["1.0"], "publishOrigins": [good]}
        self.begin(**alone)
        self.assertEqual((await self.post(cookie, ("topic", "a"))).status, 400)

    async def test_20_origins(self) -> None:
        """
        Pages of origins that may read can use credentials and read both headers with the position;
        other pages get no CORS headers.
        """
        good = "https://app.example"
        self.begin(origins=[good])
        for query in ("topic=a&lastEventID=earliest", "match=a&last_event_id=earliest"):
            headers = (await self.ask(query, {"Origin": good})).headers
            self.assertEqual(headers["access-control-allow-origin"], good)
            self.assertEqual(headers["access-control-allow-credentials"], "true")
            exposed = headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
            self.assertEqual(
                {"last-event-id", "mercure-last-event-id", "link"} - set(exposed), set()
            )
            for origin in (
                "https://evil.example",
                "null",
                good + ".evil.example",
                "HTTPS://APP.EXAMPLE",
            ):
                headers = (await self.ask(query, {"Origin": origin})).headers
                self.assertNotIn("access-control-allow-origin", headers)


@needs("network")
class PresenceTests(ContractCase):
    """
    Numbers 21 to 24.
    """

    async def test_21_events(self) -> None:
        """
        Those that may read it receive each start and each end of a subscription, in their dialect,
        privately; each part of the topic is percent-encoded once, and each connection has its own
        ID.
        """
        self.begin(presence=True)
        old = await self.ask(f"topic={PATH}/subscriptions{{/topic}}{{/subscriber}}", self.old())
        new = await self.ask(f"match_urlpattern={PATH}/subscriptions/*", self.new())
        stranger = await self.ask("topic=*")
        await until(lambda: len(old.events) == 2, "the two others")
        client, _ = self.server.get(f"{PATH}?topic={quote('a/b %é')}")
        await until(lambda: len(old.events) == 3 and len(new.events) == 2, "it has come")
        client.close()
        await until(lambda: len(old.events) == 4 and len(new.events) == 3, "the notices of the end")
        for came, went in (old.events[2:], new.events[1:]):
            first, last = json.loads(came.data), json.loads(went.data)
            self.assertEqual(last, {**first, "active": False})
            self.assertRegex(first["subscriber"], "^urn:uuid:[0-9a-f-]{36}$")
            subscriber = quote(first["subscriber"], safe="")
            kind = "exact/" if came.type == "mercure" else ""
            encoded = "a%2Fb%20%25%C3%A9"
            self.assertEqual(first["id"], f"{PATH}/subscriptions/{kind}{encoded}/{subscriber}")
        self.assertEqual({event.type for event in old.events}, {"message"})
        self.assertEqual({event.type for event in new.events}, {"mercure"})
        await self.got(stranger)

    async def test_22_list(self) -> None:
        """
        The lists, and each subscription, are available to those whose token allows them to read the
        path; in 0.x as JSON-LD with the newest ID, in 1.0 as JSON with that ID in a link.
        """
        self.begin(presence=True)
        base = f"{PATH}/subscriptions"
        await self.ask("topic=a", self.old())
        newest = await self.publish("a")
        listed = await self.ask(base, self.old())
        self.assertEqual(listed.headers["content-type"], "application/ld+json")
        document: dict[str, Any] = json.loads(listed.body)
        self.assertEqual((document["id"], document["lastEventID"]), (base, newest))
        [one] = document["subscriptions"]
        for headers, path in (self.old(), one["id"]), (self.new(), base + "/exact/a"):
            found = await self.ask(path, headers)
            self.assertEqual((found.status, json.loads(found.body)["id"]), (200, path))
        link = found.headers["link"]
        self.assertEqual(found.headers["content-type"], "application/json")
        self.assertTrue(link.startswith(f'<{PATH}>; rel="mercure"; last-event-id="{newest}"'), link)
        for headers, path, status in (
            ({}, base, 401),
            (self.old(subscribe=["a"]), base, 403),
            (self.old(subscribe=[base]), base, 200),
            (self.old(subscribe=[base]), base + "/a", 403),
            (
                self.new(detail("subscribe", match=base + "/*", kind="urlpattern")),
                base + "/exact/a",
                200,
            ),
            (self.old(), base + "/a/urn:uuid:x", 404),
        ):
            self.assertEqual((await self.ask(path, headers)).status, status, path)

    async def test_23_metadata(self) -> None:
        """
        A client of 1.0 can discover the hub's features before it has a token.
        """
        self.begin(presence=True)
        answer = await self.ask("/.well-known/oauth-protected-resource" + PATH)
        document = json.loads(answer.body)
        self.assertEqual((answer.status, document["resource"]), (200, HUB))
        self.assertEqual(document["bearer_methods_supported"], ["header"])
        self.assertEqual(document["mercure_cookie"], "__Secure-mercure_access_token")
        self.assertIs(document["mercure_subscriptions"], True)

    async def test_24_dialects(self) -> None:
        """
        Each request is of one dialect: determined by a selector of 0.x or a matcher of 1.0, or by
        its publisher's token; a hub of one dialect refuses the other.
        """
        self.begin()
        for headers, status in (self.old(), 200), (self.new(), 400):
            answer = await self.post(headers, ("topic", "a"), ("type", "mercure"))
            self.assertEqual(answer.status, status)
        for protocols, old, new in (["0.x"], 200, 400), (["1.0"], 400, 200):
            self.begin(protocols=protocols)
            self.assertEqual((await self.ask("topic=a")).status, old)
            self.assertEqual((await self.ask("match=a")).status, new)
        self.assertEqual((await self.post(self.old(), ("topic", "a"))).status, 401)


class PageTests(SynchronousTestCase):
    """
    Tests for the page that lists the test for each number.
    """

    def test_tests(self) -> None:
        """
        Each number is listed once, in order, with tests that exist, and each test of a number is
        listed under it.
        """
        # One table for each group, up to those of the next section.
        contract = section("ref-conformance.md", "## The contract")
        groups = re.findall("^### .*", contract, re.MULTILINE)
        rows = [row for group in groups for row in table("ref-conformance.md", group)]
        self.assertEqual([row[0] for row in rows], [str(number) for number in range(1, 25)])
        here = Path(__file__).parent
        named = set()
        for number, _, tests in rows:
            found = re.findall(r"`(\w+)\.(\w+)`", tests)
            self.assertTrue(found, number)
            for module, test in found:
                source = (here / f"{module}.py").read_text(encoding="utf-8")
                self.assertIn(f" def {test}(self", source, f"{module}, number {number}")
                if module == "test_contract":
                    self.assertEqual(int(test[5:7]), int(number), test)
                    named.add(test)
        own = re.findall(r" def (test_\d\d_\w+)", Path(__file__).read_text(encoding="utf-8"))
        self.assertEqual(named, set(own))
