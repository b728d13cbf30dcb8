"""
Tests for L{twisted_sse.hub.mercure.jwks}.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from base64 import urlsafe_b64decode
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.http import PotentialDataLoss

from tests.support.keys import SECRET, encode, handmade, publicJWK, publicPEM
from tests.support.memory_agent import MemoryAgent, MemoryResponse
from twisted_sse.checks import InvalidOption
from twisted_sse.hub.mercure import jwks
from twisted_sse.hub.mercure.fetching import LEAST_AGE, MAX_AGE, MOST_AGE
from twisted_sse.hub.mercure.jwks import (
    ASK_AGAIN,
    STALE,
    TIMEOUT,
    FileKeys,
    RemoteKeys,
    readIssuers,
    readSource,
)
from twisted_sse.hub.mercure.jwkset import LARGEST
from twisted_sse.hub.mercure.keys import FixedKeys, Key
from twisted_sse.hub.mercure.unverified import Reason, Unverified

URL = "https://issuer.example/jwks.json"


def document(*kids: str) -> bytes:
    """
    @return: a set with a key for each C{kid}.
    """
    return json.dumps({"keys": [publicJWK("Ed25519", kid=kid) for kid in kids]}).encode()


def answer(*kids: str, control: str = "") -> MemoryResponse:
    """
    @return: a response with a set.
    """
    headers = {b"Cache-Control": control.encode()} if control else {}
    return MemoryResponse(200, headers, document(*kids), end=True)


def redirect(location: str, code: int = 302) -> MemoryResponse:
    """
    @return: a response that redirects.
    """
    return MemoryResponse(code, {b"Location": location.encode()}, b"moved")


class RemoteCase(SynchronousTestCase):
    """
    Shared parts of the tests of L{RemoteKeys}.
    """

    def setUp(self) -> None:
        """
        Make the keys of a URL.
        """
        self.clock = Clock()
        # A clock that does not start at 0, as on a real machine.
        self.clock.advance(1000)
        self.agent = MemoryAgent()
        self.keys = RemoteKeys("jwks", URL, self.clock, None, self.agent)
        jitter = mock.patch("random.random", return_value=0.0)
        jitter.start()
        self.addCleanup(jitter.stop)

    def answers(self, *answers: Any) -> None:
        """
        Prepare the next responses.
        """
        self.agent.answers = list(answers)

    def find(self, kid: str | None = None) -> Deferred[tuple[Key, ...]]:
        """
        Ask for keys.
        """
        return Deferred.fromCoroutine(self.keys.find(kid))

    def found(self, kid: str | None = None) -> list[str | None]:
        """
        Ask for keys, which are available immediately.

        @return: their C{kid}s.
        """
        return [key.identifier for key in self.successResultOf(self.find(kid))]

    def unavailable(self, kid: str | None = None) -> str:
        """
        Ask for keys that are unavailable.

        @return: the reason.
        """
        error: Unverified = self.failureResultOf(self.find(kid), Unverified).value
        self.assertEqual(error.reason, Reason.UNAVAILABLE)
        return str(error)

    @property
    def asked(self) -> int:
        """
        The number of requests.
        """
        return len(self.agent.requests)


class FetchTests(RemoteCase):
    """
    Tests for when keys are fetched.
    """

    def test_whenNeeded(self) -> None:
        """
        Keys are fetched on the first request for them, and then held.
        """
        self.assertIsNone(self.keys.held())
        self.assertEqual(self.asked, 0)
        self.answers(answer("a", "b"))
        self.assertEqual(self.found("a"), ["a", "b"])
        [request] = self.agent.requests
        self.assertEqual((request.method, request.uri), (b"GET", URL))
        self.assertEqual(request.field(b"accept"), b"application/jwk-set+json, application/json")
        held = self.keys.held()
        self.assertIs(self.successResultOf(self.find("b")), held)
        self.assertEqual(self.asked, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_shared(self) -> None:
        """
        Requests for keys during a fetch wait for the same response, and cancelling one does not
        affect the others.
        """
        finding = [self.find() for _ in range(1000)]
        self.assertEqual(self.asked, 1)
        finding[1].cancel()
        self.failureResultOf(finding.pop(1), CancelledError)
        self.assertFalse(self.agent.requests[0].isCancelled)
        self.agent.requests[0].responding.callback(answer("a"))
        for each in finding:
            self.assertEqual(len(self.successResultOf(each)), 1)
        self.assertEqual(self.asked, 1)

    def test_cancelledByAnother(self) -> None:
        """
        A waiting request may cancel another when the keys arrive: the rest still get them.
        """
        finding = [self.find() for _ in range(4)]
        finding[0].addCallback(lambda _: finding[1].cancel())
        self.agent.requests[0].responding.callback(answer("a"))
        self.successResultOf(finding[0])
        self.failureResultOf(finding[1], CancelledError)
        self.successResultOf(finding[2])
        self.successResultOf(finding[3])

    def test_age(self) -> None:
        """
        Keys stay fresh for as long as the server states, within bounds; by default five minutes.
        """
        for control, seconds in (
            ("", MAX_AGE),
            ("public", MAX_AGE),
            ("max-age=120", 120),
            ("public, Max-Age=120, must-revalidate", 120),
            ('max-age="120"', 120),
            ("max-age=0", LEAST_AGE),
            ("max-age=99999999999999999", MOST_AGE),
            ("max-age=-5", MAX_AGE),
            ("s-max-age=7000", MAX_AGE),
            ("no-store, max-age=600", LEAST_AGE),
            ("no-cache", LEAST_AGE),
        ):
            self.setUp()
            self.answers(answer("a", control=control), answer("b"))
            self.found()
            self.clock.advance(seconds - 0.5)
            self.assertIsNotNone(self.keys.held(), control)
            self.clock.advance(0.5)
            self.assertIsNone(self.keys.held(), control)
            self.assertEqual(self.found(), ["b"])

    def test_cachedOnItsWay(self) -> None:
        """
        The time that a response spent in caches counts.
        """
        for age, seconds in (("100", 500), ("590", LEAST_AGE), ("9999", LEAST_AGE), ("x", 600)):
            self.setUp()
            response = answer("a", control="max-age=600")
            response.headers.setRawHeaders(b"Age", [age.encode()])
            self.answers(response)
            self.found()
            self.clock.advance(seconds - 0.5)
            self.assertIsNotNone(self.keys.held(), age)
            self.clock.advance(0.5)
            self.assertIsNone(self.keys.held(), age)

    def test_sameDocument(self) -> None:
        """
        An unchanged response does not change the keys, so that tokens stay known.
        """
        self.answers(answer("a"), answer("a"), answer("a", "b"))
        self.found()
        held = self.keys.held()
        self.clock.advance(MAX_AGE)
        self.assertIs(self.successResultOf(self.find()), held)
        self.clock.advance(MAX_AGE)
        self.assertIsNot(self.successResultOf(self.find()), held)

    def test_unknown(self) -> None:
        """
        A token with an unknown key ID causes a new fetch, at most once a minute.
        """
        self.answers(answer("a"), answer("a", "b"), answer("c"))
        self.found("a")
        self.assertEqual(self.found("b"), ["a", "b"])
        for kid in ("x", "y", "x"):
            self.assertEqual(self.found(kid), ["a", "b"])
        self.assertEqual(self.asked, 2)
        self.clock.advance(ASK_AGAIN)
        self.assertEqual(self.found("x"), ["c"])
        self.assertEqual(self.asked, 3)

    def test_unknownTogether(self) -> None:
        """
        Tokens that arrive while keys are fetched for another one wait for them, too.
        """
        self.answers(answer("a"))
        self.found("a")
        finding = [self.find("b"), self.find("b"), self.find("x")]
        self.assertEqual(self.successResultOf(self.find("a"))[0].identifier, "a")
        self.agent.requests[1].responding.callback(answer("b"))
        for each in finding:
            self.assertEqual(len(self.successResultOf(each)), 1)
        self.assertEqual(self.asked, 2)

    def test_noKey(self) -> None:
        """
        A set without usable keys leaves none, which is logged.
        """
        with capturedLogs() as events:
            self.answers(MemoryResponse(200, {}, b'{"keys": [{"kty": "new"}]}', end=True))
            self.assertEqual(self.found(), [])
        [event] = events
        self.assertIn("No usable key", event["log_format"])

    def test_algorithm(self) -> None:
        """
        Only keys for the configured algorithm are used.
        """
        self.keys = RemoteKeys("jwks", URL, self.clock, "ES256", self.agent)
        both = {"keys": [publicJWK("Ed25519", kid="a"), publicJWK("P-256", kid="b")]}
        self.answers(MemoryResponse(200, {}, json.dumps(both).encode(), end=True))
        self.assertEqual(self.found(), ["b"])

    def test_noSecrets(self) -> None:
        """
        A secret in a published set is ignored.
        """
        secret = {"kty": "oct", "k": encode(SECRET.encode()), "kid": "s"}
        body = json.dumps({"keys": [secret, publicJWK("P-256", kid="a")]}).encode()
        self.answers(MemoryResponse(200, {}, body, end=True))
        self.assertEqual(self.found(), ["a"])


class FailureTests(RemoteCase):
    """
    Tests for a server that is down, slow, or faulty.
    """

    def test_down(self) -> None:
        """
        Without keys a token cannot be checked, and the error has the reason.  The server is not
        asked again for a while, which grows.
        """
        self.answers(
            ConnectionRefusedError(),
            DNSLookupError("no such name"),
            ResponseNeverReceived([Failure(Exception("broken"))]),
        )
        with capturedLogs() as events:
            self.assertIn("Connection was refused", self.unavailable())
            self.assertIn("Connection was refused", self.unavailable())
            self.assertEqual(self.asked, 1)
            self.clock.advance(1)
            self.assertIn("no such name", self.unavailable())
            self.clock.advance(1.9)
            self.unavailable()
            self.assertEqual(self.asked, 2)
            self.clock.advance(0.1)
            self.assertIn("broken", self.unavailable())
            self.clock.advance(4)
            self.answers(answer("a"))
            self.assertEqual(self.found(), ["a"])
        self.assertEqual(
            [event["log_format"] for event in events],
            [
                "Cannot fetch the keys at {url}: {why}{more}",
                "Fetched the keys at {url} again",
            ],
        )

    def test_neverLongerThanAMinute(self) -> None:
        """
        However often it has failed, the server is asked each minute, if there are tokens.
        """
        for _ in range(50):
            self.answers(ConnectionRefusedError())
            self.unavailable()
            self.clock.advance(60)
        self.assertEqual(self.asked, 50)

    def test_stale(self) -> None:
        """
        While the server is down, the previous keys are used without waiting for it, for a day.
        """
        self.answers(answer("a"), ConnectionRefusedError())
        self.found()
        self.clock.advance(MAX_AGE)
        self.assertIsNone(self.keys.held())
        self.assertEqual(self.found(), ["a"])
        held = self.keys.held()
        self.assertIsNotNone(held)
        self.clock.advance(1)
        # Asked again, without a response.
        self.assertIs(self.keys.held(), held)
        self.assertEqual(self.asked, 3)
        self.assertEqual(self.found("a"), ["a"])
        self.clock.advance(TIMEOUT)
        self.assertIs(self.keys.held(), held)
        self.answers(*[ConnectionRefusedError()] * 10_000)
        for _ in range(int(STALE // 60)):
            self.clock.advance(60)
            self.keys.held()
        self.assertIsNone(self.keys.held())
        self.unavailable()
        self.clock.advance(60)
        self.answers(answer("b"))
        self.assertEqual(self.found(), ["b"])

    def test_unknownWhileDown(self) -> None:
        """
        While the server is down, a token with an unknown key may be valid: it is not reported as
        invalid.
        """
        self.answers(answer("a"), ConnectionRefusedError())
        self.found("a")
        self.assertIn("refused", self.unavailable("b"))
        self.assertIn("refused", self.unavailable("b"))
        self.assertEqual(self.asked, 2)
        self.assertEqual(self.found("a"), ["a"])

    def test_slow(self) -> None:
        """
        A request that takes too long is given up, whether the server sends nothing or a part of the
        response.
        """
        finding = self.find()
        self.clock.advance(TIMEOUT)
        self.assertTrue(self.agent.requests[0].isCancelled)
        self.assertIn("within 10 seconds", str(self.failureResultOf(finding, Unverified).value))
        self.clock.advance(60)
        begun = MemoryResponse(200, {}, b'{"keys": [')
        self.answers(begun)
        finding = self.find()
        self.clock.advance(TIMEOUT / 2)
        begun.write(b" ")
        self.clock.advance(TIMEOUT / 2)
        self.assertTrue(begun.isCut)
        self.assertIn("within 10 seconds", str(self.failureResultOf(finding, Unverified).value))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """
        A response of more than 1 MiB is aborted as soon as it exceeds the limit, over TLS, too.
        """
        for canAbort in (True, False):
            self.setUp()
            response = MemoryResponse(200, {}, b"{" + b" " * LARGEST, canAbort=canAbort)
            self.answers(response)
            self.assertIn("larger than", self.unavailable())
            self.assertTrue(response.isCut)

    def test_wrong(self) -> None:
        """
        A response that is not a key set is an error, and the previous keys are used.
        """
        broken = MemoryResponse(200, {}, document("b")[:-1])
        for response, said in (
            (MemoryResponse(404, {}, b"no"), "returned 404"),
            (MemoryResponse(204), "returned 204"),
            (MemoryResponse(500, {}, document("b"), end=True), "returned 500"),
            (MemoryResponse(200, {}, b"<html>", end=True), "not JSON"),
            (MemoryResponse(200, {}, b'{"keys": 1}', end=True), "no array"),
            (broken, "reset"),
            (MemoryResponse(304), "returned 304"),
        ):
            self.setUp()
            self.answers(answer("a"), response)
            self.found()
            self.clock.advance(MAX_AGE)
            finding = self.find("a")
            if response is broken:
                response.breakOff(ConnectionResetError(104, "Connection reset by peer"))
            self.assertEqual([key.identifier for key in self.successResultOf(finding)], ["a"])
            self.assertIn(said, self.unavailable("b"))

    def test_bug(self) -> None:
        """
        An internal error is logged with its traceback, and changes nothing else.
        """
        self.answers(ZeroDivisionError("a bug"))
        self.assertIn("a bug", self.unavailable())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_withoutLength(self) -> None:
        """
        A response that ends with its connection is complete if it is JSON.
        """
        whole = MemoryResponse(200, {}, document("a"), end=PotentialDataLoss())
        self.answers(whole)
        self.assertEqual(self.found(), ["a"])


class RedirectTests(RemoteCase):
    """
    Tests for a server that redirects.
    """

    def test_same(self) -> None:
        """
        A redirect to another path of the same server is followed.
        """
        for code in (301, 302, 303, 307, 308):
            for location in (
                "/keys",
                "keys",
                "https://issuer.example/keys",
                "https://issuer.example:443/keys#x",
                "//issuer.example/keys",
                "https://ISSUER.example/keys",
            ):
                self.setUp()
                moved = redirect(location, code)
                self.answers(moved, answer("a"))
                self.assertEqual(self.found(), ["a"])
                self.assertTrue(self.agent.requests[1].uri.lower().endswith("/keys"))
                self.assertTrue(moved.isCut)

    def test_other(self) -> None:
        """
        A redirect to anywhere else is not followed: it could lead to an address that only this
        machine can reach.
        """
        for location in (
            "https://other.example/",
            "http://issuer.example/jwks.json",
            "https://issuer.example:8443/",
            "https://127.0.0.1/",
            "http://127.0.0.1:8080/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "https://issuer.example@127.0.0.1/",
            "https://user@issuer.example/",
            "//127.0.0.1/",
            "file:///etc/passwd",
            "unix:/run/x",
            "https://issuer.example:99999/",
            "https://[issuer.example/",
            "https://issuer.example.evil.example/",
            "https://\u00e9.example/",
            "/jwks json",
            "/\u00e9",
            "/\x7f",
            "/a\x01b",
        ):
            self.setUp()
            self.answers(redirect(location), answer("a"))
            self.assertIn("it redirects to", self.unavailable(), location)
            self.assertEqual(self.asked, 1)

    def test_secrets(self) -> None:
        """
        Messages show a URL without its query, which may have a key for the server.
        """
        self.keys = RemoteKeys("jwks", f"{URL}?key=password", self.clock, None, self.agent)
        for answered in (
            ConnectionRefusedError(),
            redirect("https://user:password@other.example/?key=password#password"),
        ):
            self.answers(answered)
            with capturedLogs() as events:
                self.assertNotIn("password", self.unavailable())
            self.assertNotIn("password", str(events))
            self.clock.advance(60)

    def test_circle(self) -> None:
        """
        An endless redirect is given up.
        """
        self.answers(*[redirect(f"/{number}") for number in range(10)])
        self.assertIn("more than 3 times", self.unavailable())
        self.assertEqual(self.asked, 4)


class FileTests(SynchronousTestCase):
    """
    Tests for L{FileKeys}.
    """

    def setUp(self) -> None:
        """
        Make a file.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "jwks.json")
        self.time = 1000
        self.write(document("a"))

    def write(self, content: bytes) -> None:
        """
        Replace the file, with a later time.
        """
        with open(f"{self.path}.new", "wb") as file:
            file.write(content)
        self.time += 1
        os.utime(f"{self.path}.new", (self.time, self.time))
        os.replace(f"{self.path}.new", self.path)

    def kids(self, keys: FileKeys) -> list[str | None]:
        """
        @return: the C{kid}s of the keys.
        """
        return [key.identifier for key in keys.held()]

    def test_changed(self) -> None:
        """
        A file that has changed is read again; writing the same content again changes nothing.
        """
        keys = FileKeys("jwks", self.path)
        held = keys.held()
        self.assertIs(keys.held(), held)
        self.write(document("a"))
        self.assertIs(keys.held(), held)
        self.write(document("b"))
        self.assertEqual(self.kids(keys), ["b"])
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(keys.find("x"))), keys.held())

    def test_broken(self) -> None:
        """
        While the file is missing or invalid, the previous keys are used, and that is logged once.
        """
        keys = FileKeys("jwks", self.path)
        with capturedLogs() as events:
            self.write(b"{")
            for _ in range(3):
                self.assertEqual(self.kids(keys), ["a"])
            os.remove(self.path)
            self.assertEqual(self.kids(keys), ["a"])
            self.write(document("b"))
            self.assertEqual(self.kids(keys), ["b"])
            os.remove(self.path)
            self.assertEqual(self.kids(keys), ["b"])
        self.assertEqual(len(events), 2)
        self.assertIn("not JSON", events[0]["why"])
        self.assertIn("No such file", events[1]["why"])

    def test_start(self) -> None:
        """
        At the start a file must exist, and have a key.
        """
        for content, said in (
            (b"", "not JSON"),
            (b"{}", "no array"),
            (b'{"keys": []}', "no usable key"),
            (b" " * (LARGEST + 1), "larger"),
        ):
            self.write(content)
            error = self.assertRaises(InvalidOption, FileKeys, "jwks", self.path)
            self.assertIn(said, str(error))
        error = self.assertRaises(InvalidOption, FileKeys, "jwks", self.path + "x")
        self.assertIn("No such file", str(error))

    def test_secrets(self) -> None:
        """
        A file may contain secrets.
        """
        secret = {"kty": "oct", "k": encode(SECRET.encode()), "kid": "s"}
        self.write(json.dumps({"keys": [secret]}).encode())
        self.assertEqual(
            {key.algorithm for key in FileKeys("jwks", self.path).held()},
            {"HS256", "HS384", "HS512"},
        )


class ReadTests(SynchronousTestCase):
    """
    Tests for L{readSource}.
    """

    def test_kinds(self) -> None:
        """
        A URL, a file with a set, a file with a key, and a key are distinguished.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        for name, content in (
            ("set", b"\n " + document("a")),
            ("pem", publicPEM("P-256").encode()),
        ):
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)
        for given, kind in (
            (URL, RemoteKeys),
            ("HTTPS://issuer.example/", RemoteKeys),
            (f"file:{directory}/set", FileKeys),
            (f"file:{directory}/pem", FixedKeys),
            (publicPEM("Ed25519"), FixedKeys),
            (SECRET, FixedKeys),
        ):
            self.assertIsInstance(readSource("key", given, None, Clock()), kind)
        for given in ("short", f"file:{directory}/none", "file:a\0b"):
            self.assertRaises(InvalidOption, readSource, "key", given, None, Clock())
        [key] = FixedKeys([]).held() or readSource("key", SECRET, "HS384", Clock()).held() or ()
        self.assertEqual(key.algorithm, "HS384")

    def test_issuers(self) -> None:
        """
        Each issuer has its own keys, of any kind; a secret may contain C{=}.
        """
        secret = f"{SECRET}=="
        sources = readIssuers(
            "trusted-issuer", [f"https://a.example={URL}?a=b", f"b={secret}"], Clock()
        )
        self.assertEqual(list(sources), ["https://a.example", "b"])
        self.assertIsInstance(sources["https://a.example"], RemoteKeys)
        [key] = sources["b"].held() or ()
        text = handmade({}, secret=secret)
        signed, _, signature = text.rpartition(".")
        self.assertTrue(key.verify(signed.encode(), urlsafe_b64decode(signature + "=")))
        self.assertEqual(readIssuers("trusted-issuer", [], Clock()), {})

    def test_badIssuers(self) -> None:
        """
        An issuer without keys, with invalid ones, or listed twice, is refused; a secret is not
        shown.
        """
        for given, said in (
            ([SECRET], "must be ISSUER=KEY"),
            ([f"={SECRET}"], "must be ISSUER=KEY"),
            ([""], "must be ISSUER=KEY"),
            (["a="], "for 'a' is a secret of 0 bytes"),
            (["a=http://a.example/"], "for 'a' is 'http://a.example/': it must be https"),
            (["a=file:/none"], "for 'a' is 'file:/none': No such file"),
            ([f"a={SECRET}", f"a={SECRET}"], "'a' twice"),
        ):
            error = self.assertRaises(InvalidOption, readIssuers, "trusted-issuer", given, Clock())
            self.assertIn(f"trusted-issuer {said}" if "twice" not in said else said, str(error))
            self.assertNotIn(SECRET, str(error))

    def test_urls(self) -> None:
        """
        A URL must use https, or http to this machine by name.
        """
        for url in (
            "https://issuer.example/jwks?x=y",
            "https://10.0.0.1/jwks",
            "http://localhost:8080/jwks",
            "http://127.0.0.1/jwks",
            "http://[::1]:8080/jwks",
            "http://issuer.localhost/jwks",
        ):
            RemoteKeys("jwks", url, Clock())
        for url in (
            "http://issuer.example/jwks",
            "http://10.0.0.1/jwks",
            "http://localhost.example/jwks",
            "http://169.254.169.254/",
            "ftp://issuer.example/",
            "https://",
            "https:///jwks",
            "https://user:password@issuer.example/",
            "http://user:password@issuer.example/",
            "https://user:password@\u00e9.example/",
            "https://user:password@issuer.example:99999/",
            "http://issuer.example/?key=password",
            "https://issuer.example/#keys",
            "https://issuer.example:99999/",
            "https://[x/",
            "https://issuer.example/a b",
            "https://issuer.example/\r\nHost: x",
            "https://\u00e9.example/",
            "/jwks json",
            "/\u00e9",
            "/\x7f",
            "/a\x01b",
        ):
            error = self.assertRaises(InvalidOption, RemoteKeys, "jwks", url, Clock())
            self.assertEqual(error.name, "jwks")
            self.assertNotIn("password", str(error))

    def test_reactor(self) -> None:
        """
        By default the installed reactor is used.
        """
        clock = Clock()
        self.patch(jwks, "installedReactor", lambda: clock)
        agent = MemoryAgent()
        keys = RemoteKeys("jwks", "https://issuer.example/", None, agent=agent)
        finding = Deferred.fromCoroutine(keys.find(None))
        clock.advance(10)
        self.failureResultOf(finding, Unverified)
