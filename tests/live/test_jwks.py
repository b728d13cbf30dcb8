"""
Tests for L{twisted_sse.hub.mercure.jwks}, with a real server over TLS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.support.certificates import serverContext, trusting
from tests.support.keys import encode, privatePEM, publicJWK
from tests.support.live import reactor
from tests.support.requirements import needs
from twisted_sse.client.agent import EventStreamAgent
from twisted_sse.hub.mercure import jwks
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.jwks import RemoteKeys
from twisted_sse.hub.mercure.keys import readSigningKey
from twisted_sse.hub.mercure.tokens import Use, Verifier
from twisted_sse.hub.mercure.unverified import Reason, Unverified


def signed(kind: str, kid: str) -> str:
    """
    @return: a token that is signed with a key of this kind.
    """
    key = readSigningKey("key", privatePEM(kind))
    header = {"alg": key.algorithm, "kid": kid}
    claims = {"mercure": {"subscribe": ["*"]}, "sub": kid}
    text = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{encode(key.sign(text.encode()))}"


class Answering(Resource):
    """
    Responds as a test prescribes.

    @ivar asked: the number of requests.
    """

    isLeaf = True

    def __init__(self, answer: Callable[[Request], object]) -> None:
        super().__init__()
        self.answer = answer
        self.asked = 0

    def render(self, request: Request) -> object:
        """
        Respond to a request.
        """
        self.asked += 1
        return self.answer(request)


@needs("network")
class LiveTests(TestCase):
    """
    Tests for keys that are fetched over TLS.
    """

    def serve(self, answer: Callable[[Request], object], secure: bool = True) -> Answering:
        """
        Serve on this machine.
        """
        resource = Answering(answer)
        site = Site(resource)
        self.context = serverContext()
        if secure:
            port = reactor.listenSSL(0, site, self.context, interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        return resource

    def verifier(self, trusted: bool = True) -> Verifier:
        """
        @return: a verifier with the keys of the server.
        """
        agent = EventStreamAgent(reactor, trusting(self.context)) if trusted else None
        url = f"https://localhost:{self.port}/jwks.json"
        keys = RemoteKeys("jwks", url, reactor, None, agent)
        return Verifier([Dialect.V0], subscriber=keys)

    async def unavailable(self, verifier: Verifier) -> str:
        """
        Check that there are no keys.

        @return: the reason.
        """
        with capturedLogs():
            error = await self.assertFailure(
                Deferred.fromCoroutine(verifier.verify(signed("P-256", "a"), Use.SUBSCRIBE)),
                Unverified,
            )
        self.assertEqual(error.reason, Reason.UNAVAILABLE)
        return str(error)

    async def test_rotation(self) -> None:
        """
        Keys are fetched once for many tokens, and again when a token is signed with a new one.
        """
        keys = [publicJWK("P-256", kid="a")]
        resource = self.serve(lambda _: json.dumps({"keys": keys}).encode())
        verifier = self.verifier()
        for token in (signed("P-256", "a"), signed("P-256", "a")):
            self.assertEqual((await verifier.verify(token, Use.SUBSCRIBE)).subject, "a")
        self.assertEqual(resource.asked, 1)
        keys.append(publicJWK("Ed25519", kid="b"))
        token = await verifier.verify(signed("Ed25519", "b"), Use.SUBSCRIBE)
        self.assertEqual((token.subject, resource.asked), ("b", 2))

    async def test_certificate(self) -> None:
        """
        A server with an untrusted certificate receives no request, and its keys are not used.
        """
        resource = self.serve(lambda _: b'{"keys": []}')
        said = await self.unavailable(self.verifier(trusted=False))
        self.assertIn("the server's certificate was rejected", said)
        self.assertEqual(resource.asked, 0)

    async def test_redirectToLoopback(self) -> None:
        """
        A redirect to another server on this machine is not followed.
        """
        inside = self.serve(lambda _: b'{"keys": []}', secure=False)
        target = f"http://127.0.0.1:{self.port}/metadata".encode()
        outside = self.serve(lambda request: request.redirect(target) or b"")
        said = await self.unavailable(self.verifier())
        self.assertIn("redirects to another server", said)
        self.assertEqual((outside.asked, inside.asked), (1, 0))

    async def test_large(self) -> None:
        """
        A response of 10 MB is aborted before its end.
        """
        written = Deferred[None]()

        def answer(request: Request) -> object:
            request.notifyFinish().addBoth(lambda _: written.callback(None))
            for _ in range(10):
                request.write(b" " * 2**20)
            return NOT_DONE_YET

        self.serve(answer)
        self.assertIn("larger than", await self.unavailable(self.verifier()))
        await written

    async def test_slow(self) -> None:
        """
        A server that never responds is given up, and its connection is closed.
        """
        gone = Deferred[None]()

        def answer(request: Request) -> object:
            request.notifyFinish().addBoth(lambda _: gone.callback(None))
            return NOT_DONE_YET

        self.serve(answer)
        with mock.patch.object(jwks, "TIMEOUT", 0.5):
            self.assertIn("within", await self.unavailable(self.verifier()))
        await gone
