"""
Tests for C{twisted-sse check-hub}, with hubs that conform, and hubs that do not.
"""

from __future__ import annotations

import os
import time
from typing import Any
from unittest import mock

from twisted.web.resource import Resource

from tests.support.contract_hub import HUB, ISSUER, ContractCase
from tests.support.hubs import KEY, PATH, token
from tests.support.live import Server, reactor
from tests.support.requirements import needs
from twisted_sse.cli.checkhub import NoHub, checkURL, parseCheck
from twisted_sse.cli.checking import Finding, Outcome
from twisted_sse.hub.mercure import update
from twisted_sse.hub.mercure.carriers import PublishOrigins
from twisted_sse.hub.mercure.selection import Selection
from twisted_sse.hub.mercure.templates import Template

OLD = ["--key", "env:HUB_KEY"]
NEW = [*OLD, "--protocol", "1.0", "--issuer", ISSUER, "--audience", HUB]


class Anything(Resource):
    """
    Sends the same response to everything.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Respond.
        """
        request.setHeader(b"access-control-allow-origin", request.getHeader(b"origin") or b"*")
        return b"yes"


@needs("network")
class CheckTests(ContractCase):
    """
    Tests with a hub on a port.
    """

    async def check(self, *options: str) -> dict[Outcome, dict[int, str]]:
        """
        Check the hub.

        @return: for each outcome, the findings, by number.
        """
        host, port = self.server.address
        with mock.patch.dict(os.environ, {"HUB_KEY": KEY}):
            given = parseCheck(["check-hub", *options, f"http://{host}:{port}{PATH}"])
        findings: list[Finding] = await checkURL(given, reactor)
        self.assertEqual([each.number for each in findings], list(range(1, 25)))
        return {
            outcome: {each.number: each.seen for each in findings if each.outcome is outcome}
            for outcome in Outcome
        }

    async def test_own(self) -> None:
        """
        Our own hub conforms completely, in both protocols, if a key is given; checks whose result
        would be invisible are not made.
        """
        for options, untried in (OLD, {9, 23}), (NEW, {9}):
            self.begin(now=time.time, presence=True)
            found = await self.check(*options)
            self.assertEqual(found[Outcome.DIFFERS], {})
            self.assertEqual(set(found[Outcome.NOT_TRIED]), untried)

    async def test_tokens(self) -> None:
        """
        With tokens and no key, all checks are made that need no other tokens; without any, those
        that need none; and a hub of one protocol without presence and anonymous subscribers
        conforms as well.
        """
        self.begin(now=time.time, anonymous=False, protocols=["0.x"], trustedIssuers=[])
        claims = {"publisher": {"publish": ["*"]}, "subscriber": {"subscribe": ["*"]}}
        options = [
            part
            for name, claim in claims.items()
            for part in (f"--{name}-token", token({"mercure": claim}))
        ]
        found = await self.check(*options)
        self.assertEqual(found[Outcome.DIFFERS], {})
        self.assertEqual(set(found[Outcome.NOT_TRIED]), {9, 10, 15, 21, 22, 23})
        self.begin()
        found = await self.check()
        self.assertEqual(found[Outcome.DIFFERS], {})
        self.assertEqual(set(found[Outcome.OK]), {1, 2, 17, 18, 20, 24})

    async def test_broken(self) -> None:
        """
        Every violation of a hub is found, and nothing else.
        """
        everybody: Any = lambda self, entry: any(map(self.selects, entry.topics))  # noqa: E731
        for patch, numbers in (
            (mock.patch.object(Selection, "wants", everybody), {5}),
            (mock.patch.object(update, "isReserved", lambda topic, url: False), {13}),
            (mock.patch.object(PublishOrigins, "check", lambda self, request: None), {19}),
            (mock.patch.object(Template, "fits", lambda self, topic: True), {4}),
        ):
            self.begin(now=time.time, presence=True)
            with patch:
                found = await self.check(*OLD)
            self.assertEqual(set(found[Outcome.DIFFERS]), numbers, found[Outcome.DIFFERS])

    async def test_noHub(self) -> None:
        """
        If no subscriber or no publisher is served, nothing is checked, and one line names the
        missing option.
        """
        self.server = Server(self, Anything())
        await self.refused("is not a Mercure hub: it answered 200 to a subscriber", *OLD)
        self.begin(now=time.time, anonymous=False)
        await self.refused("add --key or --subscriber-token")
        with mock.patch.dict(os.environ, {"OTHER": f"another {KEY}"}):
            await self.refused("rejected the subscriber's token (401)", "--key", "env:OTHER")
            good = token({"mercure": {"subscribe": ["*"]}})
            options = ["--key", "env:OTHER", "--subscriber-token", good]
            await self.refused("rejected the publisher's token (401)", *options)

    async def refused(self, why: str, *options: str) -> None:
        """
        Assert that nothing is checked.
        """
        try:
            await self.check(*options)
        except NoHub as e:
            self.assertIn(why, str(e))
        else:
            self.fail("it was checked")
