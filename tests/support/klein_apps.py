"""
A Klein app in memory, and its client.
"""

from __future__ import annotations

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream


class KleinTestCase(SynchronousTestCase):
    """
    Has an app and a client of it.
    """

    def setUp(self) -> None:
        """
        Make the app and a clock.
        """
        self.app = Klein()
        self.clock = MemoryClock()
        self._client: MemoryClient | None = None

    @property
    def client(self) -> MemoryClient:
        """
        Make a client when it is first needed, after the routes.
        """
        if self._client is None:
            self._client = MemoryClient(self.app.resource(), clock=self.clock)
        return self._client

    def wait(self, seconds: float = 1) -> Deferred[None]:
        """
        Return something to await.
        """
        return deferLater(self.clock, seconds)  # type: ignore[arg-type]

    def data(self, browser: MemoryStream) -> list[str]:
        """
        List the data of the events received.
        """
        return [event.data for event in browser.events]
