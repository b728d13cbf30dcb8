"""
Tests for L{twisted_sse.daemon.subscribing}: what the query of a stream's URL asks for.
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
        @return: the data of the events that a client gets at once.
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
        A new client gets as many of the newest lines as it asks for, and as are kept, whatever
        C{--tail} says; other parameters mean nothing.
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
        It is for new clients: one that comes with an ID gets what it has missed.
        """
        client = self.lines()
        stream = client.get("/?tail=3", headers=ACCEPT)
        third = next(event.lastEventID for event in stream.events if event.data == "3")
        self.assertEqual(self.data(client, "/?tail=5", third), ["4", "5"])
        self.assertEqual(self.data(client, f"/?tail=5&lastEventId={third}"), ["4", "5"])

    def test_wrong(self) -> None:
        """
        What is not a number is refused, and not taken for a source without lines.
        """
        for client in self.lines(), self.client("post"):
            for value in "", "x", "-1", "1.5", "%2B1", "%D9%A1", "1%20", "%FF":
                answer = client.get(f"/?tail={value}", headers=ACCEPT)
                self.assertEqual(answer.status, 400, value)

    def test_posted(self) -> None:
        """
        For what is posted it counts the events of the topics that were chosen.
        """
        client = self.client("post")
        for number in range(6):
            client.post(f"/?topic={'ab'[number % 2]}", body=str(number))
        self.assertEqual(self.data(client, "/?tail=2"), ["4", "5"])
        self.assertEqual(self.data(client, "/?tail=2&topic=a"), ["2", "4"])
        self.assertEqual(client.get("/?topics=a", headers=ACCEPT).status, 400)

    def test_others(self) -> None:
        """
        To sources that keep nothing it means nothing.
        """
        self.assertEqual(self.data(self.client(SOURCE), "/?tail=x"), ["first", "last"])
