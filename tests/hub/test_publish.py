"""
Tests for L{twisted_sse.hub.publish}, in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from tests.support.publishing import (
    BEARER,
    JSON,
    LINES,
    TEXT,
    TOKEN,
    PublishTestCase,
    answered,
)
from tests.support.threads import inThread
from twisted_sse import Channel, Event, EventStreamResource, InvalidEvent
from twisted_sse.checks import InvalidOption
from twisted_sse.hub import PublishResource
from twisted_sse.hub.anonymous import ThisMachine
from twisted_sse.hub.content import MOST_EVENTS
from twisted_sse.observe import Observer
from twisted_sse.store import NotStored, StoreAway
from twisted_sse.testing import MemoryClient, MemoryStream


class EventTests(PublishTestCase):
    """
    Tests for one event.
    """

    def test_text(self) -> None:
        """
        The body of C{text/plain}, of a form and of no type is used as data unchanged.
        """
        self.serve()
        sent = []
        for number, contentType in enumerate(
            ("text/plain", "Text/Plain; charset=utf-8", "application/x-www-form-urlencoded", None)
        ):
            data = f"a=1&event=x+y%20\u20ac {number}"
            sent.append(data)
            headers = {} if contentType is None else {"Content-Type": contentType}
            self.assertPublished(self.post(data, headers), *sent)
        self.assertEqual({event.type for event in self.published()}, {"message"})

    def test_lines(self) -> None:
        """
        A body of several lines is one event; a line end at its end is data, too.
        """
        self.serve()
        self.assertPublished(self.post("1\n2\r\n3\n"), "1\n2\n3\n")

    def test_empty(self) -> None:
        """
        An empty body is an event with empty data.
        """
        self.serve()
        self.assertPublished(self.post(""), "")

    def test_fields(self) -> None:
        """
        The other fields are in the query, even for a form whose body has the same names.
        """
        self.serve()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        response = self.post("event=other&topic=x", form, "?event=greeting&id=7&retry=1234")
        self.assertEqual(answered(response), {"id": "7"})
        (event,) = self.published()
        self.assertEqual((event.type, event.data), ("greeting", "event=other&topic=x"))
        self.assertEqual((event.lastEventID, self.subscriber.retry), ("7", 1234))

    def test_topics(self) -> None:
        """
        An event is sent to the subscribers of each of its topics.
        """
        client = self.serve()
        readers = [
            client.get(f"/{query}") for query in ("?topic=a", "?topic=b&topic=c", "?topic=d")
        ]
        self.post("1", query="?topic=a&topic=c")
        self.post("2", query="?topic=b")
        received = [
            [event.data for event in reader.events if event.type == "message"] for reader in readers
        ]
        self.assertEqual(received, [["1"], ["1", "2"], []])
        self.assertEqual(self.data(), ["1", "2"])

    def test_json(self) -> None:
        """
        The body of C{application/json} is sent as compact JSON.
        """
        self.serve()
        response = self.post('{"a": [1, 2.5, null],\n "b": "\u20ac"}', JSON, "?event=e")
        self.assertPublished(response, '{"a":[1,2.5,null],"b":"\u20ac"}')
        self.assertEqual(self.published()[0].type, "e")

    def test_noHistory(self) -> None:
        """
        If events have no IDs, the response has none.
        """
        self.serve(Channel(None), anonymous=True)
        self.assertEqual(answered(self.post()), {"id": None})
        self.assertEqual(self.data(), ["hello"])

    def test_tooLarge(self) -> None:
        """
        An event that is too large for the channel is refused.
        """
        self.serve(Channel(maxEventSize=100), anonymous=True)
        self.assertRefused(self.post("x" * 100), 413, "the event is larger than 100 bytes")

    def test_maxBody(self) -> None:
        """
        A body may be as large as C{maxBody}.
        """
        self.serve(anonymous=True, maxBody=10)
        self.assertRefused(self.post("x" * 11), 413, "the body is larger than 10 bytes")
        self.assertPublished(self.post("x" * 10), "x" * 10)


class BatchTests(PublishTestCase):
    """
    Tests for batches.
    """

    def test_batch(self) -> None:
        """
        The events of a batch are published in order, each with its fields.
        """
        client = self.serve()
        reader = client.get("/?topic=t")
        batch = [
            {"data": "1"},
            {"data": {"a": 1}, "event": "e", "id": 5, "topics": ["t", "u"]},
            {"data": None, "event": None, "id": None, "topics": None, "retry": None},
            {"data": "", "retry": 1000},
        ]
        response = self.post("\n".join(map(json.dumps, batch)), LINES)
        self.assertPublished(response, "1", '{"a":1}', "null", "")
        self.assertEqual([event.type for event in self.published()][1], "e")
        self.assertEqual(answered(response)["ids"][1], "5")
        self.assertEqual(self.subscriber.retry, 1000)
        self.assertEqual(reader.events[-1].data, '{"a":1}')

    def test_allOrNothing(self) -> None:
        """
        If line 9,999 of 10,000 is invalid, the response names it, and nothing is published.
        """
        self.serve()
        lines = [f'{{"data": "{number}"}}' for number in range(MOST_EVENTS)]
        lines[9998] = '{"data": "x"'
        answer = self.assertRefused(
            self.post("\n".join(lines), LINES),
            400,
            "line 9999: this is not JSON: ",
            "nothing was published",
        )
        self.assertEqual(answer["line"], 9999)
        lines[9998] = '{"data": "x"}'
        response = self.post("\n".join(lines), LINES)
        self.assertEqual(len(answered(response)["ids"]), MOST_EVENTS)
        self.assertEqual(len(self.data()), MOST_EVENTS)

    def test_tooMany(self) -> None:
        """
        A batch with more events than may be published at a time is refused.
        """
        self.serve()
        body = b'{"data":""}\n' * (MOST_EVENTS + 1)
        self.assertRefused(self.post(body, LINES), 413, "more than 10,000 events")

    def test_tooLarge(self) -> None:
        """
        An event of a batch that is too large for the channel is named.
        """
        self.serve(Channel(maxEventSize=100), anonymous=True)
        body = "\n".join(json.dumps({"data": "x" * size}) for size in (1, 100, 1))
        self.assertRefused(self.post(body, LINES), 413, "event 2 of the batch", "100 bytes")

    def test_slices(self) -> None:
        """
        A large batch is read over several turns of the reactor, and events that others publish
        meanwhile are published before.
        """
        client = self.serve()
        clock = client.clock

        def seconds() -> float:
            # Each look at the clock advances it.
            clock.rightNow += 0.005
            return clock.rightNow

        self.patch(clock, "seconds", seconds)
        turns = []
        self.patch(
            self.resource,
            "_collect",
            lambda *arguments: (
                turns.append(1),
                PublishResource._collect(self.resource, *arguments),
            ),
        )
        body = b'{"data":"1"}\n' * 1000
        response = self.post(body, LINES)
        self.assertEqual(len(answered(response)["ids"]), 1000)
        self.assertTrue(2 < len(turns) < 20, len(turns))

    def test_gone(self) -> None:
        """
        Nothing of a large batch is published if the client disconnects before it has been read.
        """
        client = self.serve()
        later: list[Any] = []
        times = iter(range(1000))
        self.patch(client.clock, "seconds", lambda: float(next(times)))
        self.patch(client.clock, "callLater", lambda _, *call: later.append(call))
        request = Gone(b"/", b'{"data":"1"}\n' * 100)
        request.site = client.site
        self.resource.render(request)
        ((go, *arguments),) = later
        request.channel = None
        go(*arguments)
        self.assertEqual((later[1:], self.channel.history.end), ([], 0))


class Gone:
    """
    A request whose client disconnects.
    """

    method = b"POST"
    channel: object = True
    site: Any = None

    def __init__(self, uri: bytes, body: bytes) -> None:
        self.uri = uri
        self.content = BytesIO(body)
        self.requestHeaders = Headers({"Content-Type": ["application/x-ndjson"]})
        self.responseHeaders = Headers()

    def getHeader(self, name: bytes) -> bytes | None:
        """
        See L{Request}.
        """
        values = self.requestHeaders.getRawHeaders(name)
        return None if values is None else values[-1]


class KeyTests(PublishTestCase):
    """
    Tests for C{Idempotency-Key}.
    """

    def test_repeated(self) -> None:
        """
        A request that is repeated with its key has the same response as the first, and is published
        once.
        """
        self.serve()
        key = {**TEXT, "Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
        first = answered(self.post("1", key))
        self.assertEqual(answered(self.post("1", key)), first)
        self.assertEqual(self.data(), ["1"])
        quoted = {**key, "Idempotency-Key": f'"{key["Idempotency-Key"]}"'}
        self.assertEqual(answered(self.post("1", quoted)), first)
        batch = {**LINES, "Idempotency-Key": "k"}
        body = '{"data":"2"}\n{"data":"3"}'
        ids = answered(self.post(body, batch))
        self.assertEqual(answered(self.post(body, batch)), ids)
        self.assertEqual(self.data(), ["1", "2", "3"])

    def test_reused(self) -> None:
        """
        The same key with other data, or another field, is refused.
        """
        self.serve()
        key = {**TEXT, "Idempotency-Key": "k"}
        self.post("1", key, "?topic=a")
        for body, query in (("2", "?topic=a"), ("1", ""), ("1", "?topic=a&event=e")):
            response = self.post(body, key, query)
            self.assertEqual(response.status, 422)
            self.assertIn("needs its own key", answered(response)["error"])
        self.assertEqual(self.data(), ["1"])


class RefusalTests(PublishTestCase):
    """
    Tests for refusals.
    """

    def test_methods(self) -> None:
        """
        Methods other than GET, HEAD, POST and OPTIONS are refused, and those are listed.
        """
        client = self.serve()
        for method in ("PUT", "DELETE", "PATCH", "QUERY"):
            response = client.request(method, "/", TEXT, "x")
            self.assertRefused(response, 405, "POST publishes here")
            self.assertEqual(response.headers["Allow"], "GET, POST, HEAD, OPTIONS")

    def test_types(self) -> None:
        """
        Other types are refused, and the supported types are listed.
        """
        self.serve()
        for contentType in ("text/html", "image/png", "text", "text/plainx", "application/xml"):
            response = self.post("x", {"Content-Type": contentType})
            self.assertRefused(response, 415, "text/plain", "application/x-ndjson")
            self.assertEqual(
                response.headers["Accept-Post"],
                "text/plain, application/json, application/x-ndjson",
            )
        response = self.post("x", {**TEXT, "Content-Encoding": "gzip"})
        self.assertRefused(response, 415, "Content-Encoding")
        self.assertEqual(response.headers["Accept-Encoding"], "identity")
        self.assertRefused(self.post("x", {"Content-Type": "text/plain; charset=latin1"}), 415)

    def test_body(self) -> None:
        """
        A body that is not UTF-8, or not JSON, is refused.
        """
        self.serve()
        self.assertRefused(self.post(b"a\xff"), 400, "byte 2 of the text is not UTF-8")
        self.assertRefused(self.post(b"\xff", JSON), 400, "not UTF-8")
        self.assertRefused(self.post("{", JSON), 400, "this is not JSON", "character 2")
        self.assertRefused(self.post("", JSON), 400, "this is not JSON")

    def test_key(self) -> None:
        """
        An invalid key is refused.
        """
        self.serve()
        response = self.post("x", {**TEXT, "Idempotency-Key": '"'})
        self.assertRefused(response, 400, "the Idempotency-Key must be 1 to")

    def test_invalid(self) -> None:
        """
        An event with an invalid field is refused.
        """
        self.serve()
        self.assertRefused(self.post(query="?id=1%0A2"), 400, "id", "CR or LF")
        self.assertRefused(self.post(query="?id=1%002"), 400, "id", "NUL")
        self.assertRefused(self.post(query="?event=1%0D2"), 400, "event")

    def test_notStored(self) -> None:
        """
        If an event was not stored, the response states when to retry, and whether the event may
        have been stored after all.
        """
        self.serve()
        for error, maybe, said in (
            (NotStored(False, "the disk is full"), False, "the disk is full; nothing was stored"),
            (NotStored(True), True, "perhaps not stored; it may still have been stored"),
            (StoreAway("Redis does not answer"), False, "Redis does not answer; nothing was"),
        ):

            def publish(*arguments: object, error: Exception = error) -> Deferred[Any]:
                return fail(error)

            self.patch(self.channel, "publishAllAndWait", publish)
            response = self.post()
            self.assertEqual(self.assertRefused(response, 503, said)["maybe"], maybe)
            self.assertIn(response.headers["Retry-After"], "12345")

    def test_notHere(self) -> None:
        """
        An event that is valid, but not allowed in this channel, is refused.
        """
        self.serve()

        def publish(*arguments: object) -> Deferred[Any]:
            raise InvalidEvent("id is '7': this store makes the IDs itself", "id")

        self.patch(self.channel, "publishAllAndWait", publish)
        self.assertRefused(self.post(query="?id=7"), 400, "this store makes the IDs")

    def test_closed(self) -> None:
        """
        When the channel is closed, the response names this reason.
        """
        self.serve()
        self.channel.close()
        self.assertRefused(self.post(), 503, "the channel is closed")

    def test_unexpected(self) -> None:
        """
        Any other error is logged, without the query, and is a 500.
        """
        self.serve()

        def publish(*arguments: object) -> Deferred[Any]:
            raise ZeroDivisionError

        self.patch(self.channel, "publishAllAndWait", publish)
        self.assertRefused(self.post(query="?topic=secret"), 500, "see its log")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_arguments(self) -> None:
        """
        Wrong arguments raise errors that name the problem, but never a token.
        """
        channel = Channel()
        for error, name, options in (
            (TypeError, "channel", {"channel": None}),
            (TypeError, "tokens", {"tokens": "abc"}),
            (TypeError, "tokens", {"tokens": [b"secret"]}),
            (InvalidOption, "tokens", {"tokens": [""]}),
            (InvalidOption, "tokens", {"tokens": ["se cret"]}),
            (TypeError, "anonymous", {"anonymous": "yes"}),
            (TypeError, "origins", {"origins": "https://example.com"}),
            (InvalidOption, "origins", {"origins": ["example.com"]}),
            (InvalidOption, "maxBody", {"maxBody": 0}),
            (TypeError, "reader", {"reader": "x"}),
        ):
            arguments: dict[str, Any] = {"channel": channel, **options}
            raised = self.assertRaises(error, PublishResource, **arguments)
            self.assertIn(name, str(raised))
            self.assertNotIn("cret", str(raised))


class AccessTests(PublishTestCase):
    """
    Tests for permission to publish.
    """

    def test_nobody(self) -> None:
        """
        Without configured tokens no client may publish, with or without a token.
        """
        self.serve(anonymous=False)
        self.assertRefused(self.post(), 403, "no tokens are set")
        self.assertRefused(self.post(headers=BEARER), 403, "no tokens are set")

    def test_tokens(self) -> None:
        """
        Each of the tokens may publish.
        """
        self.serve(tokens=iter(["other", TOKEN]))
        for scheme in ("Bearer", "bearer", "BEARER "):
            self.assertEqual(self.post(headers={"Authorization": f"{scheme} {TOKEN}"}).status, 200)
        self.assertEqual(self.post(headers={"Authorization": "Bearer other"}).status, 200)
        self.assertEqual(self.data(), ["hello"] * 4)

    def test_noToken(self) -> None:
        """
        A request without a token is answered with a challenge; a password is not a token.
        """
        self.serve(tokens=[TOKEN])
        for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": TOKEN}):
            response = self.post(headers=headers)
            self.assertRefused(response, 401, "Authorization: Bearer TOKEN")
            self.assertEqual(response.headers["WWW-Authenticate"], "Bearer")
        self.assertRefused(self.post(query=f"?access_token={TOKEN}"), 401)

    def test_wrongToken(self) -> None:
        """
        A wrong token is refused, even if none is required.
        """
        self.serve(tokens=[TOKEN], anonymous=True)
        for token in ("", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), f"{TOKEN}, {TOKEN}", "\xe9"):
            response = self.post(headers={"Authorization": f"Bearer {token}"})
            self.assertRefused(response, 401, "the token is not valid")
            self.assertEqual(response.headers["WWW-Authenticate"], 'Bearer error="invalid_token"')
        self.assertPublished(self.post(), "hello")

    def test_first(self) -> None:
        """
        Without permission a client learns nothing else, and a token in the query is not repeated.
        """
        self.serve(tokens=[TOKEN])
        self.assertRefused(self.post(b"\xff", {"Content-Type": "x"}, "?x=1"), 401)
        response = self.post(headers=BEARER, query=f"?access_token={TOKEN}")
        self.assertRefused(response, 400, "'access_token'")
        self.assertNotIn(TOKEN, response.text)

    def test_crossSite(self) -> None:
        """
        A page of another origin may not publish, even if browsers send its request without a
        preflight.
        """
        self.serve()
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", **TEXT},
        ):
            response = self.post(headers=headers)
            self.assertRefused(response, 403, "pages of another origin")
            self.assertNotIn("Access-Control-Allow-Origin", response.headers)

    def test_sameOrigin(self) -> None:
        """
        A page of the same origin may publish, and so may programs that are not browsers.
        """
        self.serve()
        for headers in (
            {},
            {"Origin": "http://localhost"},
            {"Origin": "https://localhost"},
            {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ):
            self.assertEqual(self.post(headers=headers).status, 200, headers)

    def test_origins(self) -> None:
        """
        Pages of the origins that may publish can do so, and can read the response, including
        errors.
        """
        self.serve(anonymous=True, origins=["https://app.example"])
        page = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        for body, status in (("x", 200), (b"\xff", 400)):
            response = self.post(body, page)
            self.assertEqual(response.status, status)
            self.assertEqual(response.headers["Access-Control-Allow-Origin"], page["Origin"])
            self.assertEqual(response.headers["Access-Control-Expose-Headers"], "Retry-After")
            self.assertIn("Origin", response.headers["Vary"])
        self.assertEqual(self.post("x", {"Origin": "https://app.example:8443"}).status, 403)

    def test_allOrigins(self) -> None:
        """
        With C{"*"} all pages may publish.
        """
        self.serve(anonymous=True, origins="*")
        response = self.post("x", {"Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"})
        self.assertPublished(response, "x")
        self.assertEqual(response.headers["Access-Control-Allow-Origin"], "*")

    def test_originWithToken(self) -> None:
        """
        With a token any origin may publish: a page can send one only after a preflight, which fails
        for other origins.
        """
        client = self.serve(tokens=[TOKEN])
        page = {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}
        preflight = {**page, "Access-Control-Request-Method": "POST"}
        response = client.request("OPTIONS", "/", preflight)
        self.assertNotIn("Access-Control-Allow-Origin", response.headers)
        response = self.post(headers={**page, **BEARER})
        self.assertPublished(response, "hello")
        self.assertNotIn("Access-Control-Allow-Origin", response.headers)

    def test_anonymous(self) -> None:
        """
        An object may decide which requests need no token.
        """
        self.serve(tokens=[TOKEN], anonymous=ThisMachine())
        self.assertRefused(self.post(address="10.0.0.5"), 403, "without a token")
        self.assertPublished(self.post(), "hello")
        response = self.post("2", {**BEARER, "X-Forwarded-For": "::1"}, address="10.0.0.5")
        self.assertPublished(response, "hello", "2")


class ReaderTests(PublishTestCase):
    """
    Tests for GET, HEAD and OPTIONS.
    """

    def test_get(self) -> None:
        """
        GET subscribes, without a token, and resumes.
        """
        client = self.serve(tokens=[TOKEN])
        self.post("1", BEARER)
        self.post("2", BEARER)
        first = self.published()[0].lastEventID
        again = client.get("/", {"Last-Event-ID": first})
        self.assertEqual([event.data for event in again.events], ["2"])

    def test_head(self) -> None:
        """
        HEAD has the headers of the stream.
        """
        client = self.serve()
        response = client.request("HEAD", "/")
        self.assertTrue(response.complete)
        self.assertEqual(response.headers["Content-Type"], "text/event-stream; charset=utf-8")

    def test_options(self) -> None:
        """
        OPTIONS names the methods of both.
        """
        client = self.serve()
        response = client.request("OPTIONS", "/")
        self.assertEqual(response.status, 204)
        self.assertEqual(response.headers["Allow"], "GET, POST, HEAD, OPTIONS")

    def test_preflight(self) -> None:
        """
        A preflight for POST is answered for publishers, and one for GET by the reader.
        """
        client = self.serve(anonymous=True, origins=["https://app.example"])
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        response = client.request("OPTIONS", "/", asked)
        self.assertEqual(response.status, 204)
        self.assertEqual(response.headers["Access-Control-Allow-Methods"], "GET, POST")
        allowed = response.headers["Access-Control-Allow-Headers"]
        for name in ("Authorization", "Content-Type", "Idempotency-Key"):
            self.assertIn(name, allowed)
        asked["Access-Control-Request-Method"] = "GET"
        response = client.request("OPTIONS", "/", asked)
        self.assertEqual(response.headers["Access-Control-Allow-Methods"], "GET")
        asked["Origin"] = "https://other.example"
        response = client.request("OPTIONS", "/", asked)
        self.assertNotIn("Access-Control-Allow-Origin", response.headers)

    def test_reader(self) -> None:
        """
        Another resource may answer GET and HEAD.
        """
        channel = Channel()
        reader = EventStreamResource(lambda stream: channel.subscribe(stream), fallback=Page())
        resource = PublishResource(channel, anonymous=True, reader=reader)
        self.assertIdentical(resource.reader, reader)
        with MemoryClient(resource) as client:
            self.assertEqual(client.get("/", {"Accept": "text/html"}).text, "page")
            stream = client.get("/", {"Accept": "text/event-stream"})
            client.post("/", TEXT, "x")
            self.assertEqual(stream.events[-1].data, "x")

    def test_default(self) -> None:
        """
        The default reader is named after the channel, and readable by the same origins.
        """
        client = self.serve(Channel(name="news"), anonymous=True, origins=["https://app.example"])
        assert isinstance(self.resource.reader, EventStreamResource)
        self.assertEqual(len(self.resource.reader.streams), 1)
        response = client.get("/", {"Origin": "https://app.example"})
        self.assertEqual(response.headers["Access-Control-Allow-Origin"], "https://app.example")


class Page(Resource):
    """
    A page.
    """

    isLeaf = True

    def render_GET(self, request: object) -> bytes:
        """
        Return C{page}.
        """
        return b"page"


class Again(Observer):
    """
    An observer that publishes again.
    """

    again: list[str]

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        Publish the next.
        """
        if self.again:
            channel.publish(self.again.pop())


class WaitingTests(PublishTestCase):
    """
    Tests for a response that has to wait for the store.
    """

    def wait(self) -> tuple[MemoryStream, Deferred[Sequence[Event]]]:
        """
        Make a request whose events are not stored yet.
        """
        stored: Deferred[Sequence[Event]] = Deferred()
        self.patch(self.channel, "publishAllAndWait", lambda items, key: stored)
        return self.post(), stored

    def test_answer(self) -> None:
        """
        The response is sent when the event is stored.
        """
        self.serve()
        response, stored = self.wait()
        self.assertEqual((response.status, response.text), (None, ""))
        stored.callback([Event("hello", id="1")])
        self.assertEqual(answered(response), {"id": "1"})

    def test_disconnect(self) -> None:
        """
        If the client disconnects before, no error occurs, whether the event is stored or not.
        """
        self.serve()
        for outcome in (
            lambda d: d.callback([Event("x", id="1")]),
            lambda d: d.errback(NotStored()),
        ):
            response, stored = self.wait()
            response.disconnect(reset=True)
            outcome(stored)
            self.assertEqual(response.status, None)

    def test_repeated(self) -> None:
        """
        A client whose connection broke before the response can repeat the request with the same
        key, and the event is published once.
        """
        self.serve()
        publish = self.channel.publishAllAndWait
        response, _ = self.wait()
        response.disconnect()
        self.patch(self.channel, "publishAllAndWait", publish)
        key = {**TEXT, "Idempotency-Key": "k"}
        first = self.post(headers=key)
        self.assertPublished(first, "hello")
        first.disconnect()
        again = self.post(headers=key)
        self.assertEqual(answered(again), answered(first))
        self.assertEqual(self.data(), ["hello"])

    def test_reentrant(self) -> None:
        """
        Events that an observer publishes meanwhile follow the batch.
        """
        observer = Again()
        observer.again = ["5", "4"]
        self.serve(Channel(observer=observer), anonymous=True)
        response = self.post('{"data":"1"}\n{"data":"2"}\n{"data":"3"}', LINES)
        self.assertEqual(self.data(), ["1", "2", "3", "4", "5"])
        self.assertEqual(len(answered(response)["ids"]), 3)

    def test_thread(self) -> None:
        """
        Rendering a request in another thread raises an error there.
        """
        self.serve()
        request = Gone(b"/", b"")
        refused: list[Any] = []
        self.patch(self.resource, "_refuse", lambda request, why: refused.append(why))
        request.requestHeaders.setRawHeaders("Content-Type", ["text/plain"])
        inThread(lambda: self.resource.render(request))
        self.assertEqual([why.status for why in refused], [500])
        (error,) = self.flushLoggedErrors(RuntimeError)
        self.assertIn("callFromThread", error.getErrorMessage())
