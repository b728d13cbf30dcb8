"""
Tests for L{twisted_sse.client.source}, on real sockets: the documentation's table, row by row.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import deferLater
from twisted.web.http_headers import Headers

from tests.support.certificates import serverContext, trusting
from tests.support.live import freePort, reactor, until
from tests.support.scripted import ScriptedServer, answer, stream
from tests.support.sources import ONE, TWO, ClientTestCase
from twisted_sse.client import (
    Backoff,
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    EventSource,
    EventTooLarge,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from twisted_sse.client.agent import EventStreamAgent


def redirect(status: int, location: str) -> bytes:
    """
    @return: a redirect.
    """
    return answer(f"{status} Elsewhere", f"Location: {location}")


class TableTests(ClientTestCase):
    """
    Tests for the rows of the table: a source that reconnects, a strict one, and one that does not
    reconnect.
    """

    async def test_cleanEnd(self) -> None:
        """
        After the end of a stream the source reconnects with its last event ID after C{retry}, or
        iteration ends.
        """
        for options in {}, {"strict": True}:
            server = ScriptedServer(self, stream(b"retry: 0\n" + ONE), stream(TWO))
            self.assertEqual(await self.everything(self.source(server, **options)), ["one", "two"])
            first, second, third = server.requests
            self.assertNotIn("last-event-id", first.headers)
            self.assertEqual(second.headers["last-event-id"], "1")
            self.assertEqual(third.headers["last-event-id"], "2")
        for options in {"method": "POST"}, {"reconnect": False}:
            server = ScriptedServer(self, stream(ONE), stream(TWO))
            self.assertEqual(await self.everything(self.source(server, **options)), ["one"])
            self.assertEqual(len(server.requests), 1)
        self.assertEqual(self.errors, [])

    async def test_broken(self) -> None:
        """
        A broken body is reported and retried, and its unfinished event and ID are dropped.
        """
        broken = stream(ONE + b"id: 9\ndata: half", end=False)
        for options in {}, {"strict": True}:
            self.errors.clear()
            server = ScriptedServer(self, broken, stream(TWO))
            self.assertEqual(await self.everything(self.source(server, **options)), ["one", "two"])
            (error,) = self.errors
            self.assertIsInstance(error, StreamBroken)
            self.assertEqual(server.requests[1].headers["last-event-id"], "1")
        for options in {"method": "POST"}, {"reconnect": False}:
            server = ScriptedServer(self, broken)
            await self.raises(StreamBroken, self.source(server, **options))
            self.assertEqual(self.data, ["one"])

    async def test_readTimeout(self) -> None:
        """
        A server that is silent too long, before or during the response, counts as broken.
        """

        def silent(connection: Any) -> None:
            pass

        def quiet(connection: Any) -> None:
            connection.transport.write(stream(ONE, end=False))

        server = ScriptedServer(self, silent, quiet, stream(TWO))
        source = self.source(server, readTimeout=0.1)
        self.assertEqual(await self.everything(source), ["one", "two"])
        self.assertEqual([type(each) for each in self.errors], [ReadTimeout] * 2)
        for step in silent, quiet:
            server = ScriptedServer(self, step)
            await self.raises(StreamBroken, self.source(server, readTimeout=0.1, method="POST"))
            await until(lambda server=server: not server.open, "no connection")

    async def test_noServer(self) -> None:
        """
        A refused connection is reported and retried.
        """
        url = f"http://127.0.0.1:{freePort()}/"
        backoff = Backoff(initial=0, maxTries=3)
        error = await self.raises(GaveUp, self.source(url, backoff=backoff))
        self.assertIsInstance(error.lastError, ConnectionRefusedError)
        self.assertEqual([type(each) for each in self.errors], [ConnectionRefusedError] * 2)
        await self.raises(ConnectionRefusedError, self.source(url, method="POST"))

    async def test_noName(self) -> None:
        """
        An unknown host name is retried.
        """
        backoff = Backoff(initial=0, maxTries=2)
        source = self.source("http://nosuch.invalid/", backoff=backoff)
        error = await self.raises(GaveUp, source)
        self.assertIsInstance(error.lastError, DNSLookupError)
        source = self.source("http://nosuch.invalid/", reconnect=False)
        await self.raises(DNSLookupError, source)

    async def test_noContent(self) -> None:
        """
        A 204 ends the source.
        """
        for options in {}, {"strict": True}, {"method": "POST"}:
            server = ScriptedServer(self, answer("204 No Content"))
            self.assertEqual(await self.everything(self.source(server, **options)), [])
            self.assertEqual(len(server.requests), 1)

    async def test_busy(self) -> None:
        """
        A status for a temporary failure is reported and retried, unless the source is strict or
        does not reconnect.
        """
        for status in 408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530:
            self.errors.clear()
            busy = answer(f"{status} Busy", body=b'{"wait": true}')
            server = ScriptedServer(self, busy, stream(ONE))
            self.assertEqual(await self.everything(self.source(server)), ["one"])
            (error,) = self.errors
            assert isinstance(error, BadStatus)
            self.assertEqual((error.status, error.json()), (status, {"wait": True}))
            for options in {"strict": True}, {"method": "POST"}, {"reconnect": False}:
                server = ScriptedServer(self, busy)
                error = await self.raises(BadStatus, self.source(server, **options))
                self.assertEqual(error.status, status)

    async def test_otherStatus(self) -> None:
        """
        Any other status raises an error with the beginning of the body.
        """
        for status in 201, 202, 206, 299, 304, 400, 401, 403, 404, 410, 451, 501, 505:
            body = b"" if status == 304 else b"x" * 100000
            server = ScriptedServer(self, answer(f"{status} No", "X-Why: because", body=body))
            error = await self.raises(BadStatus, self.source(server))
            self.assertEqual((error.status, error.body), (status, body[: 2**16]))
            self.assertEqual(error.headers.getRawHeaders("x-why"), ["because"])
            self.assertIn(f"{status} No", str(error))
        self.assertEqual(self.errors, [])
        server = ScriptedServer(self, answer("302 Nowhere"))
        self.assertEqual((await self.raises(BadStatus, self.source(server))).status, 302)
        server = ScriptedServer(self, redirect(307, ""))
        self.assertEqual((await self.raises(BadStatus, self.source(server))).status, 307)

    async def test_contentType(self) -> None:
        """
        Only C{text/event-stream} is accepted, in any case and with parameters.
        """
        for name in "text/event-stream;", "Text/EVENT-Stream ; charset=windows-1252":
            body = stream(ONE).replace(b"text/event-stream", name.encode())
            server = ScriptedServer(self, body)
            self.assertEqual(await self.everything(self.source(server)), ["one"])
        for name in "text/plain", "text/event-streams", "", "application/json":
            body = b'{"error": "no stream"}'
            server = ScriptedServer(
                self, answer("200 OK", f"Content-Type: {name}", body=body), close=False
            )
            error = await self.raises(BadContentType, self.source(server))
            self.assertEqual((error.contentType, error.status, error.body), (name, 200, body))
            self.assertEqual(error.headers.getRawHeaders("content-type"), [name])
            await until(lambda server=server: not server.open, "no connection")
        missing = stream(ONE).replace(b"Content-Type", b"X-Type")
        error = await self.raises(BadContentType, self.source(ScriptedServer(self, missing)))
        self.assertEqual((error.contentType, error.body), (None, ONE))
        source = self.source(ScriptedServer(self, missing), requireType=False)
        self.assertEqual(await self.everything(source), ["one"])

    async def test_encoding(self) -> None:
        """
        C{Content-Encoding: none}, which keeps proxies from compressing, does not count as an
        encoding; a real one that cannot be decoded raises an error.
        """
        for name in b"none", b"UTF-8":
            server = ScriptedServer(self, stream(ONE, fields=b"Content-Encoding: %b\r\n" % name))
            self.assertEqual(await self.everything(self.source(server)), ["one"])
        server = ScriptedServer(self, stream(ONE, fields=b"Content-Encoding: br\r\n"))
        error = await self.raises(BadContentType, self.source(server))
        self.assertIn("encoded as br", str(error))

    async def test_created(self) -> None:
        """
        Another 2xx is a stream if the method is not GET.
        """
        created = stream(ONE).replace(b"200 OK", b"201 Created")
        server = ScriptedServer(self, created)
        self.assertEqual(await self.everything(self.source(server, method="POST")), ["one"])
        server = ScriptedServer(self, created)
        error = await self.raises(BadStatus, self.source(server))
        self.assertEqual((error.status, error.body), (201, ONE))

    async def test_retryOn(self) -> None:
        """
        C{retryOn} is a list of statuses to retry after, or a function that decides and can fix the
        cause.
        """
        server = ScriptedServer(self, answer("404 Not Yet"), stream(ONE))
        self.assertEqual(await self.everything(self.source(server, retryOn=[404])), ["one"])
        tokens = ["old"]

        async def retryOn(error: BadStatus) -> bool:
            if error.status == 401:
                await deferLater(reactor, 0)
                tokens.append("new")
            return error.status == 401

        server = ScriptedServer(self, answer("401 Expired"), stream(ONE), answer("404 Gone"))
        source = self.source(server, retryOn=retryOn, headers=lambda: {"X-Token": tokens[-1]})
        error = await self.raises(BadStatus, source)
        self.assertEqual((self.data, error.status), (["one"], 404))
        sent = [each.headers["x-token"] for each in server.requests]
        self.assertEqual(sent, ["old", "new", "new"])

    async def test_emptyEnd(self) -> None:
        """
        The end of a stream without an event counts as a failure, but is not reported as one.
        """
        server = ScriptedServer(self, *[stream(b"retry: 0\n: hello\n") for _ in range(9)])
        source = self.source(server, backoff=Backoff(initial=0, maxTries=3))
        error = await self.raises(GaveUp, source)
        self.assertEqual((error.failures, len(server.requests), self.errors), (3, 3, []))
        server = ScriptedServer(self, stream(b""))
        self.assertEqual(await self.everything(self.source(server, method="POST")), [])

    async def test_url(self) -> None:
        """
        C{url} may be a function, which is called before each attempt.
        """
        server = ScriptedServer(self, stream(b"retry: 0\n" + ONE), answer("503 Busy"), stream(TWO))
        paths = ["a", "b", "c", "d"]
        source = self.source(lambda: server.url + paths.pop(0))
        self.assertEqual(await self.everything(source), ["one", "two"])
        self.assertEqual([each.target for each in server.requests], ["/a", "/b", "/c", "/d"])
        self.assertEqual(source.url, server.url + "d")

    async def test_abandoned(self) -> None:
        """
        When the body of an C{async for} is left and nothing refers to the source any more, the
        connection is closed without a collection of garbage.
        """

        async def first(url: str) -> str:
            async for event in EventSource(url):
                return event.data
            raise AssertionError("no event")

        server = ScriptedServer(self, stream(ONE, end=False), close=False)
        gc.disable()
        self.addCleanup(gc.enable)
        self.assertEqual(await first(server.url), "one")
        await until(lambda: not server.open, "no connection")
        gc.enable()
        self.assertEqual(len(server.requests), 1)

    async def test_largeHeader(self) -> None:
        """
        A header line of 200 KiB is accepted; a head of more than 256 KiB is one clear error.
        """
        for size, isGood in (200 * 1024, True), (257 * 1024, False):
            field = b"X-Large: %b\r\n" % (b"x" * size)
            server = ScriptedServer(self, stream(ONE, fields=field))
            source = self.source(server, reconnect=False)
            if isGood:
                self.assertEqual(await self.everything(source), ["one"])
            else:
                error = await self.raises(StreamBroken, source)
                self.assertIn("larger than 262144 bytes", str(error))

    async def test_redirects(self) -> None:
        """
        Redirects are followed, and later requests go to their target while that has a stream.
        """
        for status in 301, 302, 303, 307, 308:
            server = ScriptedServer(
                self,
                *(redirect(status, "/there?x=1"), stream(b"retry: 0\n" + ONE), stream(TWO)),
                *(answer("404 Gone"), stream(b"data: three\n\n")),
            )
            self.assertEqual(await self.everything(self.source(server)), ["one", "two", "three"])
            targets = [each.target for each in server.requests]
            self.assertEqual(targets, ["/", *["/there?x=1"] * 3, "/", "/"])
            self.assertEqual(len(self.opened), 3)
            self.opened.clear()

    async def test_redirectedBody(self) -> None:
        """
        The body is sent again after a 307, and after a 301, 302 or 303 the request becomes a GET.
        """
        for status, method in (301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"):
            server = ScriptedServer(self, redirect(status, "there"), stream(ONE))
            source = self.source(server, "a/b", method="POST", body=b"question")
            self.assertEqual(await self.everything(source), ["one"])
            asked = server.requests[1]
            self.assertEqual((asked.method, asked.target), (method, "/a/there"))
            self.assertEqual(asked.body, b"question" if method == "POST" else b"")

    async def test_redirectedElsewhere(self) -> None:
        """
        Credentials and the user's headers are not sent to another server.
        """
        other = ScriptedServer(self, stream(ONE))
        server = ScriptedServer(self, redirect(302, other.url))
        url = server.url.replace("//", "//alice:secret@")
        source = self.source(url, headers={"Cookie": "a=b", "X-Token": "t"}, lastEventID="7")
        self.assertEqual(await self.everything(source), ["one"])
        self.assertEqual(server.requests[0].headers["authorization"], "Basic YWxpY2U6c2VjcmV0")
        self.assertEqual(server.requests[0].headers["x-token"], "t")
        for name in "authorization", "cookie", "x-token":
            self.assertNotIn(name, other.requests[0].headers)
        self.assertEqual(other.requests[0].headers["last-event-id"], "7")

    async def test_badRedirects(self) -> None:
        """
        Redirects in a circle, too many redirects, and redirects to other schemes are refused.
        """
        for steps in (
            [redirect(302, "/")],
            [redirect(302, "/a"), redirect(302, "/b"), redirect(302, "/a")],
            [redirect(302, f"/{number}") for number in range(30)],
            [redirect(302, "ftp://127.0.0.1/")],
            [redirect(302, "http://[/")],
        ):
            server = ScriptedServer(self, *steps)
            await self.raises(BadRedirect, self.source(server))
            self.assertLessEqual(len(server.requests), 21)

    async def test_certificate(self) -> None:
        """
        An unknown, foreign, expired or future certificate raises an error without a request.
        """
        known = serverContext()
        for context, trusted in (
            (known, None),
            (serverContext("elsewhere.example"), True),
            (serverContext(begin=-9, end=-1), True),
            (serverContext(begin=1, end=9), True),
        ):
            server = ScriptedServer(self, stream(ONE), context=context)
            for options in {}, {"strict": True}, {"method": "POST"}:
                agent = EventStreamAgent(reactor, trusting(context)) if trusted else None
                source = self.source(server, agent=agent, **options)
                error = await self.raises(BadCertificate, source)
                self.assertIn("certificate", str(error))
            self.assertEqual((server.requests, self.errors), ([], []))
        server = ScriptedServer(self, stream(ONE), context=known)
        source = self.source(server, agent=EventStreamAgent(reactor, trusting(known)))
        self.assertEqual(await self.everything(source), ["one"])

    async def test_tooLarge(self) -> None:
        """
        An event that is too large raises an error after those before it.
        """
        for options in {}, {"strict": True}, {"method": "POST"}:
            server = ScriptedServer(self, stream(ONE + b"data: " + b"x" * 1000))
            await self.raises(EventTooLarge, self.source(server, maxEventSize=500, **options))
            self.assertEqual(self.data, ["one"])

    async def test_headers(self) -> None:
        """
        C{headers} may be a function, called before each attempt, and its exception is raised.
        """
        server = ScriptedServer(self, stream(b"retry: 0\n"), stream(b""), stream(b""))
        kinds: list[Any] = [
            {"X-N": "a"},
            Headers({"X-N": ["b"]}),
            deferLater(reactor, 0, lambda: {"X-N": ["c", "d"]}),
        ]

        async def last() -> Any:
            raise KeyError("no token")

        def headers() -> Any:
            return kinds.pop(0) if kinds else last()

        await self.raises(KeyError, self.source(server, headers=headers))
        values = [
            [value for name, value in each.fields if name.lower() == "x-n"]
            for each in server.requests
        ]
        self.assertEqual(values, [["a"], ["b"], ["c", "d"]])

    async def test_gaveUp(self) -> None:
        """
        After C{maxTries} or C{maxTime} the source gives up, with the last error.
        """
        broken = stream(ONE, end=False)
        server = ScriptedServer(self, broken, broken, answer("503 Busy"))
        error = await self.raises(GaveUp, self.source(server, backoff=Backoff(0, maxTries=3)))
        self.assertEqual(error.lastError.status, 503)
        self.assertIn("503 Busy", str(error))
        self.assertEqual(self.data, ["one", "one"])
        server = ScriptedServer(self, *[answer("503 Busy", "Retry-After: 10")] * 2)
        await self.raises(GaveUp, self.source(server, backoff=Backoff(0, maxTime=5)))
        self.assertEqual(len(server.requests), 1)

    async def test_otherScheme(self) -> None:
        """
        A redirect from http to https is followed, and one from https to http is not.
        """
        context = serverContext()
        options = {"agent": EventStreamAgent(reactor, trusting(context))}
        secure = ScriptedServer(self, stream(ONE), context=context)
        server = ScriptedServer(self, redirect(307, secure.url))
        self.assertEqual(await self.everything(self.source(server, **options)), ["one"])
        plain = ScriptedServer(self, stream(ONE))
        server = ScriptedServer(self, redirect(307, plain.url), context=context)
        await self.raises(BadRedirect, self.source(server, **options))
        self.assertEqual(plain.requests, [])
