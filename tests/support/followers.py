"""
Clients that reconnect as browsers do.
"""

from __future__ import annotations

from typing import Any

from tests.support.live import ACCEPT, Client, Response, reactor
from twisted_sse import MessageEvent

__all__ = ["Follower"]


class Follower:
    """
    A client that reconnects as a browser does.

    @ivar lines: the data of the events received.
    @ivar types: their types.
    @ivar farewells: its C{retry} at each clean end.
    @ivar broken: how many of its streams were cut off.
    @ivar refused: how often it could not connect.
    @ivar response: the newest response.
    """

    def __init__(self, address: tuple[str, int], wait: int | None = None) -> None:
        """
        @param wait: how many milliseconds to wait before reconnecting, whatever the server sends.
        """
        self._address = address
        self._wait = wait
        self._client: Any = None
        self._call: Any = None
        self.lastEventID = ""
        self.lines: list[str] = []
        self.types: set[str] = set()
        self.farewells: list[int | None] = []
        self.broken = 0
        self.refused = 0
        self.response = Response()
        self.stopped = False

    def connect(self) -> None:
        """
        Request the stream.
        """
        headers = {**ACCEPT}
        if self.lastEventID:
            headers["Last-Event-ID"] = self.lastEventID
        try:
            self._client = Client(self._address)
            self.response = self._client.request(headers=headers)
        except OSError:
            # The daemon does not listen yet, or has stopped listening.
            self._drop()
            self.refused += 1
            self.again(200)
            return
        self.response.keepBody = False

    def look(self) -> None:
        """
        Process the received bytes.
        """
        response = self.response
        for event in response.events:
            self.received(event)
        response.events.clear()
        if response.status is not None:
            self.lastEventID = response.parser.lastEventID or self.lastEventID
        if (response.complete or response.broken) and self._client is not None:
            self.broken += response.broken
            if response.complete:
                self.farewells.append(response.parser.retry)
            self._drop()
            self.again(response.parser.retry or 200)

    def received(self, event: MessageEvent) -> None:
        """
        Take an event.
        """
        self.types.add(event.type)
        self.lines.append(event.data)

    def move(self, address: tuple[str, int]) -> None:
        """
        Disconnect, and reconnect immediately to another server.
        """
        self.look()
        self._address = address
        if self._client is not None:
            self._drop()
            self.connect()

    def again(self, milliseconds: int) -> None:
        """
        Reconnect after this delay.
        """
        if self._wait is not None:
            milliseconds = self._wait
        if not self.stopped:
            self._call = reactor.callLater(milliseconds / 1000, self.connect)

    @property
    def isOpen(self) -> bool:
        """
        Whether the stream is open.
        """
        return self._client is not None and self.response.status == 200

    def close(self) -> None:
        """
        Stop reconnecting.
        """
        self.stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
