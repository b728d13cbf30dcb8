"""
Tests for the search of the live page: matches, marks, and the cost of an endless pattern, in
Chromium.
"""

from __future__ import annotations

from tests.support.page_server import PageCase, opens
from tests.support.requirements import needs

LINES = [
    "2026-11-29 02:25:25 ERROR timeout while reading /basket",
    "2026-11-29 02:25:26 WARN slow answer, took=512 status=503",
    '{"time":"2026-11-29T02:25:27Z","level":"info","msg":"paid","status":200,"user":{"id":7}}',
    '{"time":"2026-11-29T02:25:28Z","level":"error","msg":"not paid","status":402,"user":{"id":8}}',
    '192.0.2.7 - - [29/Nov/2026:02:25:29 +0000] "GET /basket?item=42 HTTP/1.1" 200 5316',
    "2026-11-29 02:25:30 INFO see https://example.com/basket",
]

#: The typed query, the number of matching events, and the marked texts in them.
FOUND = [
    ("BASKET", 3, ["basket", "basket", "basket"]),
    ('"while reading"', 1, ["while reading"]),
    ("basket timeout", 1, ["timeout", "basket"]),
    ("-basket", 3, []),
    ("basket -level:error", 2, ["basket", "basket"]),
    ("/t.m.out|p.id/", 3, ["timeout", "paid", "paid"]),
    ("-/\\d\\d\\d/ -level:error", 0, []),
    ("status:200", 2, ["200", "200"]),
    ("status:402,503", 2, ["503", "402"]),
    ("status:>=400", 2, ["503", "402"]),
    ("took:>500", 1, ["512"]),
    ("user.id:8", 1, []),
    ('msg:"not paid"', 1, ["not paid"]),
    ("msg:no*", 1, ["not paid"]),
    ("path:/basket* method:get", 1, ["GET", "/basket?item=42"]),
    ("level:>=warn", 3, []),
    ("type:message id:2", 1, []),
    ("https://example.com/", 1, ["https://example.com/"]),
    ('"while read', 1, ["while read"]),
]

HOPELESS = r"/^(\S+\s?)+$#/"


def events(*lines: str) -> str:
    """
    Write lines as events, with their numbers as IDs.
    """
    return "".join(f"id: {number}\ndata: {line}\n\n" for number, line in enumerate(lines, 1))


@needs("network", "browser")
class SearchTests(PageCase):
    """
    Tests for the search.
    """

    async def search(self, text: str) -> None:
        """
        Type text into the search field.
        """
        await self.run_(
            "const it = document.getElementById('search'); it.value = arguments[0];"
            "it.dispatchEvent(new Event('input'))",
            text,
        )

    async def counts(self, count: int, of: int) -> None:
        """
        Wait for a count in the field, and for that number of rows.
        """
        await self.says("#found", f"{count} of {of}")
        await self.until("document.querySelectorAll('#list > .row').length === arguments[0]", count)

    async def test_found(self) -> None:
        """
        Each kind of term finds its matches, and marks them.
        """
        await self.start()
        server = self.page()
        server.source.otherwise = opens(events(*LINES))
        await self.open(server.url)
        await self.until("document.querySelectorAll('#list > .row').length === 6")
        marks = "[...document.querySelectorAll('#list .message mark')].map((it) => it.textContent)"
        for text, count, marked in FOUND:
            await self.search(text)
            await self.counts(count, 6)
            await self.until(
                f"JSON.stringify({marks}) === JSON.stringify(arguments[0])", marked, why=text
            )

    async def test_notValid(self) -> None:
        """
        An invalid pattern is reported, and the previous results stay.
        """
        await self.start()
        server = self.page()
        server.source.otherwise = opens(events(*LINES))
        await self.open(server.url)
        await self.search("timeout")
        await self.counts(1, 6)
        await self.search("/(/")
        await self.says("#found", "Not a valid pattern")
        rows = await self.run_("return document.querySelectorAll('#list > .row').length")
        self.assertEqual(rows, 1)
        self.assertEqual(
            await self.run_("return document.getElementById('search').ariaInvalid"), "true"
        )

    async def test_tooSlow(self) -> None:
        """
        A pattern that takes too long on a later line is stopped, the page continues, nothing
        matches, and the next search works.
        """
        await self.start()
        server = self.page()
        server.source.otherwise = opens(events("word #", "other"))
        await self.open(server.url)
        await self.search(HOPELESS.replace("$#", " #"))
        await self.counts(1, 2)
        server.source.send(events("word " * 40))
        await self.says("#found", "Pattern too slow, stopped")
        await self.until("document.querySelectorAll('#list > .row').length === 0")
        server.source.send(events("word #"))
        await self.matches("#shown", "0 of 4 events match.*")
        await self.search("word")
        await self.counts(3, 4)
