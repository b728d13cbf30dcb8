"""
Publishers that do not give up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.support.live import PATIENCE, Client, Response, reactor, until

__all__ = ["Publisher"]


def _answered(response: Response) -> Deferred[None]:
    return until(lambda: response.complete or response.broken, "an answer", 3 * PATIENCE)


class Publisher:
    """
    Posts one event after another, each until it is acknowledged.

    @ivar name: the beginning of the data of its events.
    @ivar sent: the number of events that it has begun to send.
    @ivar ids: the IDs of those that were acknowledged.
    @ivar repeated: the number of events sent again, since it was unknown whether they were stored.
    """

    def __init__(self, test: TestCase, ports: Sequence[int], name: str, pause: float = 0.0) -> None:
        """
        @param ports: the ports of the daemons: whenever one fails, the next one is tried.
        @param name: its name.
        @param pause: how many seconds to wait after each event.
        """
        test.addCleanup(self._drop)
        self._ports = ports
        self.name = name
        self._pause = pause
        self._client: Any = None
        self._failures = 0
        self._stopping = False
        self.sent = 0
        self.ids: list[str] = []
        self.repeated = 0

    async def run(self) -> None:
        """
        Publish until C{stop} is called.
        """
        while not self._stopping:
            self.sent += 1
            await self._publish(f"{self.name}-{self.sent}")
            if self._pause:
                await deferLater(reactor, self._pause)
        self._drop()

    async def _publish(self, text: str) -> None:
        headers = {"Content-Type": "text/plain", "Idempotency-Key": text}
        while True:
            port = self._ports[self._failures % len(self._ports)]
            try:
                if self._client is None or self._client.lost:
                    self._drop()
                    self._client = Client(("127.0.0.1", port))
                response = self._client.request("POST", "/", headers, body=text.encode())
            except OSError:
                self._failed()
                await deferLater(reactor, 0.01)
                continue
            await _answered(response)
            if response.status == 200 and response.complete:
                self.ids.append(json.loads(response.body)["id"])
                return
            # A daemon that is shutting down, or has lost its store, responds with 503.
            assert response.status in (None, 503), (response.status, response.body)
            self._failed()
            self.repeated += 1

    def _failed(self) -> None:
        self._failures += 1
        self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def stop(self) -> None:
        """
        Stop after the next event.
        """
        self._stopping = True
