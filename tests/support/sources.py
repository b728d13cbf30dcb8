"""
Event sources on real sockets, and their errors.
"""

from __future__ import annotations

from typing import Any

from tests.support.live import LiveTestCase
from tests.support.requirements import needs
from tests.support.scripted import ScriptedServer
from twisted_sse.client import Backoff, EventSource
from twisted_sse.client.asking import RequestURL

#: Reconnects immediately.
QUICK = Backoff(initial=0)

ONE = b"id: 1\ndata: one\n\n"
TWO = b"id: 2\ndata: two\n\n"


@needs("network")
class ClientTestCase(LiveTestCase):
    """
    Makes event sources, and records their errors and responses.
    """

    def setUp(self) -> None:
        """
        Make the records.
        """
        super().setUp()
        self.errors: list[Exception] = []
        self.opened: list[int] = []

    def source(
        self, server: ScriptedServer | RequestURL, path: str = "", **options: Any
    ) -> EventSource:
        """
        Make a source.

        @param server: the server; or a URL, or a function that returns it.
        @param path: what follows the URL of the server.
        """
        url = server.url + path if isinstance(server, ScriptedServer) else server
        options.setdefault("backoff", QUICK)
        source = EventSource(
            url,
            onError=self.errors.append,
            onOpen=lambda response: self.opened.append(response.code),
            **options,
        )
        self.addCleanup(source.close)
        return source

    async def everything(self, source: EventSource) -> list[str]:
        """
        Iterate to the end.
        """
        self.data: list[str] = []
        async for event in source:
            self.data.append(event.data)
        self.assertEqual(source.readyState, EventSource.CLOSED)
        return self.data

    async def raises(self, kind: type[Any], source: EventSource) -> Any:
        """
        Iterate until an error is raised.
        """
        with self.assertRaises(kind) as caught:
            await self.everything(source)
        self.assertEqual(source.readyState, EventSource.CLOSED)
        # The error is raised once.
        with self.assertRaises(StopAsyncIteration):
            await source.__anext__()
        return caught.exception
