"""
Tests for L{twisted_sse.daemon.subscribing}: the query of a stream's URL.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.options import ACCEPT, SOURCE, OptionsMixin
from twisted_sse.testing import MemoryClient


class TailTests(OptionsMixin):
    """
    Tests for C{tail=}.
    """

    def data(self, client: MemoryClient, url: str, lastEventID: str = "") -> list[str]:
        """
        @return: the data of the events that a client gets immediately.
        """
        headers = {"Last-Event-ID": lastEventID} if lastEventID else {}
        stream = client.get(url, headers={**ACCEPT, **headers})
        return [event.data for event in stream.events if event.type != "stream-position"]

    def lines(self, *options: str) -> MemoryClient:
        """
        Serve a file of five lines.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        file = Path(temporary.name) / "app.log"
        file.write_text("1\n2\n3\n4\n5\n", encoding="ascii")
        return self.client(f"file:{file}", *options)

    def test_lines(self) -> None:
        """
        A new client gets the requested number of newest lines, or as many as are kept, regardless
        of C{--tail}; other parameters have no effect.
        """
        client = self.lines("--tail=1")
        for query, expected in (
            ("", "5"),
            ("?tail=2", "45"),
            ("?tail=0", ""),
            ("?a=b&tail=3&c", "345"),
            ("?tail=%33", "345"),
            ("?%74ail=2", "45"),
            ("?tail=1&tail=2", "45"),
            ("?tail=5000", "12345"),
            (f"?tail={'9' * 5000}", "12345"),
            ("?retail=2", "5"),
            ("?a=%FF", "5"),
        ):
            self.assertEqual("".join(self.data(client, f"/{query}")), expected, query[:20])
        self.assertEqual(self.data(self.lines("--history=3"), "/?tail=5"), ["3", "4", "5"])

    def test_resuming(self) -> None:
        """
        The parameter is for new clients: a client with an ID gets its missed events.
        """
        client = self.lines()
        stream = client.get("/?tail=3", headers=ACCEPT)
        third = next(event.lastEventID for event in stream.events if event.data == "3")
        self.assertEqual(self.data(client, "/?tail=5", third), ["4", "5"])
        self.assertEqual(self.data(client, f"/?tail=5&lastEventId={third}"), ["4", "5"])

    def test_wrong(self) -> None:
        """
        Anything but a number is refused, even for a source without lines.
        """
        for client in self.lines(), self.client("post"):
            for value in "", "x", "-1", "1.5", "%2B1", "%D9%A1", "1%20", "%FF":
                answer = client.get(f"/?tail={value}", headers=ACCEPT)
                self.assertEqual(answer.status, 400, value)

    def test_posted(self) -> None:
        """
        For posted events it counts the events of the chosen topics.
        """
        client = self.client("post")
        for number in range(6):
            client.post(f"/?topic={'ab'[number % 2]}", body=str(number))
        self.assertEqual(self.data(client, "/?tail=2"), ["4", "5"])
        self.assertEqual(self.data(client, "/?tail=2&topic=a"), ["2", "4"])
        self.assertEqual(client.get("/?topics=a", headers=ACCEPT).status, 400)

    def test_others(self) -> None:
        """
        For sources that keep nothing it has no effect.
        """
        self.assertEqual(self.data(self.client(SOURCE), "/?tail=x"), ["first", "last"])
