"""
Tests for the page that browsers get from the daemon, in Chromium.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python import log

from tests.support.browsers import Browsing
from tests.support.live import PATIENCE, Child, freePort, reactor
from tests.support.python import TWISTD
from tests.support.requirements import needs
from tests.support.vectors import VECTORS

#: Returns the text of each row.
ROWS = "return [...document.querySelectorAll('#events > li')].map((row) => row.innerText)"

#: JSON that is easily shown wrong, and how it must be shown.
PITFALLS = (
    '{"id": 12345678901234567890, "id": 1.0, "s": "{[,:]} \\" \\u00e9 <b>", "e": {},'
    ' "l": [[], null]}'
)
UNFOLDED = """\
{
  "id": 12345678901234567890,
  "id": 1.0,
  "s": "{[,:]} \\" é <b>",
  "e": {},
  "l": [
    [],
    null
  ]
}"""

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@needs("network", "browser")
class PageTests(Browsing):
    """
    Tests for the live page.
    """

    #: User name and password, as in a URL.
    user = ""

    def daemon(self, *more: str) -> Child:
        """
        Start the daemon.
        """
        return Child(
            self,
            *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={self.path}.daemon", "sse"),
            *(f"--port={self.port}", f"--source=file:{self.path}", "--tail=5", *more),
        )

    async def show(self, *more: str) -> Any:
        """
        Start the daemon and open its page.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "app.log")
        self.path.touch()
        self.port = freePort()
        self.child = self.daemon(*more)
        self.browser = await self.browse()
        deadline = reactor.seconds() + PATIENCE
        while True:
            try:
                address = f"http://{self.user}127.0.0.1:{self.port}/"
                await deferToThread(self.browser.get, address)
            except Exception:
                # The daemon does not listen yet.
                self.assertLess(reactor.seconds(), deadline)
                await deferLater(reactor, 0.1)
            else:
                break
        await self.until("return document.getElementById('state').dataset.state === 'open'")
        return self.browser

    def write(self, *lines: str) -> None:
        """
        Append to the file.
        """
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    async def run_(self, script: str, *arguments: Any) -> Any:
        """
        Run JavaScript in the page.
        """
        return await deferToThread(self.browser.execute_script, script, *arguments)

    async def until(self, script: str) -> None:
        """
        Wait until a script returns a true value.
        """
        deadline = reactor.seconds() + PATIENCE
        while not await self.run_(script):
            self.assertLess(reactor.seconds(), deadline, script)
            await deferLater(reactor, 0.05)

    async def shows(self, *texts: str) -> list[str]:
        """
        Wait until the first rows contain these texts, newest first.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            rows: list[str] = await self.run_(ROWS)
            if len(rows) >= len(texts) and all(
                text in row for text, row in zip(texts, rows, strict=False)
            ):
                return rows
            self.assertLess(reactor.seconds(), deadline, f"{rows[:9]}")
            await deferLater(reactor, 0.05)

    async def search(self, text: str) -> None:
        """
        Type text into the search field.
        """
        await self.run_(
            "const it = document.getElementById('search'); it.value = arguments[0];"
            "it.dispatchEvent(new Event('input'))",
            text,
        )

    async def test_works(self) -> None:
        """
        Events are shown as text, and can be unfolded, searched, filtered, paused and cleared,
        without violating the page's policy.
        """
        await self.show("--format=events")
        self.write(HOSTILE, '{"data": {"a": [1, 2]}, "event": "order"}')
        await self.shows('{"a":[1,2]}', HOSTILE)
        self.assertNotIn(await self.run_("return document.title"), ("1", "2"))
        self.assertEqual(await self.run_("return document.images.length"), 0)

        # Enter unfolds the focused row.
        await self.run_("document.querySelector('#events button').focus()")
        key = {
            "type": "keyDown",
            "key": "Enter",
            "code": "Enter",
            "windowsVirtualKeyCode": 13,
            "text": "\r",
        }
        await deferToThread(self.browser.execute_cdp_cmd, "Input.dispatchKeyEvent", key)
        await self.until("return document.querySelector('#events pre') !== null")
        unfolded = await self.run_("return document.querySelector('#events pre').innerText")
        self.assertEqual(unfolded, '{\n  "a": [\n    1,\n    2\n  ]\n}')

        await self.search("IMG SRC")
        self.assertEqual(len(await self.shows(HOSTILE)), 1)
        await self.search("")
        await self.until("return document.querySelectorAll('#types option').length === 3")
        await self.run_(
            "const it = document.getElementById('types'); it.value = 'order';"
            "it.dispatchEvent(new Event('change'))"
        )
        self.assertEqual(len(await self.shows('{"a":[1,2]}')), 1)
        await self.run_(
            "const it = document.getElementById('types'); it.value = '';"
            "it.dispatchEvent(new Event('change'))"
        )
        await self.run_("document.getElementById('pause').click()")
        self.write("while it was held up")
        await self.until(
            "return document.getElementById('note').innerText.includes('New events: 1.')"
        )
        self.assertEqual(len(await self.run_(ROWS)), 2)
        await self.search("held")
        await self.until("return document.getElementById('nothing').innerText.startsWith('None')")
        await self.search("")
        await self.shows('{"a":[1,2]}', HOSTILE)
        await self.run_("document.getElementById('pause').click()")
        await self.shows("while it was held up", '{"a":[1,2]}', HOSTILE)
        await self.run_("document.getElementById('clear').click()")
        await self.until("return document.querySelectorAll('#events > li').length === 0")
        self.assertEqual(await deferToThread(self.browser.get_log, "browser"), [])

    async def test_json(self) -> None:
        """
        Unfolded JSON keeps large numbers, duplicate names and strings as they are, and long data is
        cut.
        """
        await self.show()
        deep = "[" * 3000 + "]" * 3000
        for text, expected in (
            (PITFALLS, UNFOLDED),
            ("[1, 2", "[1, 2"),
            ('"text"', '"text"'),
            ("[" + "1," * 6000 + "1]", ",\n  1\n… and 2003 more characters"),
            ("x" * 10001, "x\n… and 1 more characters"),
            (deep, "]\n]"),
        ):
            self.write(text)
            await self.shows(text[:80])
            await self.run_("document.querySelector('#events button').click()")
            shown = await self.run_("return document.querySelector('#events pre').textContent")
            self.assertTrue(shown.endswith(expected), (shown[:200], shown[-200:]))
            self.assertEqual(await self.run_("return document.querySelectorAll('li b').length"), 0)

    async def test_parser(self) -> None:
        """
        The page parses event streams as the standard says.
        """
        await self.show()
        wrong = await self.run_(
            """
            const { EventStreamParser } = await import("/page/parser.js");
            const wrong = [];
            for (const { name, chunks, events, retry, final_last_event_id: id } of arguments[0]) {
              const found = [];
              const parser = new EventStreamParser("", (type, data) => {
                found.push({ type, data, last_event_id: parser.lastEventId });
              });
              const decoder = new TextDecoder();
              for (const chunk of chunks) {
                const bytes = Uint8Array.from(chunk, (each) => each.charCodeAt(0));
                parser.feed(decoder.decode(bytes, { stream: true }));
              }
              const told = JSON.stringify([found, parser.retry, parser.lastEventId]);
              const expected = events.map(({ type, data, last_event_id }) => (
                { type, data, last_event_id }));
              if (told !== JSON.stringify([expected, retry, id])) {
                wrong.push(`${name}: ${told}`);
              }
            }
            return wrong;
            """,
            VECTORS,
        )
        self.assertEqual(wrong, [])

    async def test_password(self) -> None:
        """
        With the browser's password the page gets the stream, too.
        """
        self.user = "alice:wonder@"
        await self.show("--auth=memory:alice:wonder")
        self.write("for Alice")
        await self.shows("for Alice")

    async def test_copied(self) -> None:
        """
        The rows, one event, and the code to read the stream can be copied.
        """
        browser = await self.show()
        permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        await deferToThread(browser.execute_cdp_cmd, "Browser.grantPermissions", permissions)
        self.write("one", "two")
        await self.shows("two", "one")
        await self.run_("document.querySelector('#events button').click()")
        await self.run_("document.querySelector('footer summary').click()")
        for button, expected in (
            ("#copy", '"data":"one"'),
            (".whole button", "two"),
            (".code button", f"'http://127.0.0.1:{self.port}/'"),
        ):
            await self.run_(f"document.querySelector('{button}').click()")
            await self.until(f"return document.querySelector('{button}').innerText === 'Copied'")
            self.assertIn(expected, await self.run_("return navigator.clipboard.readText()"))

    async def test_restart(self) -> None:
        """
        After a restart of the daemon the page says so and resumes, and it reports lost events.
        """
        await self.show("--history=3")
        self.write("one", "two")
        await self.shows("two", "one")
        await self.child.stop()
        await self.until("return document.getElementById('state').dataset.state !== 'open'")
        self.write("three")
        self.child = self.daemon("--history=3")
        rows = await self.shows("three", "Connected again, with the last event ID", "two", "one")
        self.assertEqual(len(rows), 4)
        await self.child.stop()
        self.write(*"456789")
        self.child = self.daemon("--history=3")
        await self.shows("9", "8", "7", "Some events were lost for good", "Connected again")

    async def test_accessible(self) -> None:
        """
        Every control has a name and is reachable by keyboard, and on a phone nothing is wider than
        the window.
        """
        browser = await self.show()
        self.write("x" * 500, "short")
        await self.shows("short")
        nameless = await self.run_(
            "return [...document.querySelectorAll('button, input, select, summary, a')].filter("
            "(each) => !(each.textContent || each.closest('label')?.textContent)"
            " || each.tabIndex < 0"
            ").map((each) => each.outerHTML)"
        )
        self.assertEqual(nameless, [])
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        await deferToThread(browser.execute_cdp_cmd, "Emulation.setDeviceMetricsOverride", size)
        await self.until("return innerWidth === 390")
        self.assertEqual(await self.run_("return document.documentElement.scrollWidth"), 390)

    async def test_flood(self) -> None:
        """
        However many events arrive, there are fewer than 500 rows, and all events are counted.
        """
        seconds = 30 if os.environ.get("SSE_LONG") else 2
        await self.show()
        await self.run_(
            "window.longest = 0; window.most = 0; let last = performance.now();"
            "const look = (now) => { longest = Math.max(longest, now - last); last = now;"
            "most = Math.max(most, document.querySelectorAll('#events > li').length);"
            "requestAnimationFrame(look) }; requestAnimationFrame((now) => { last = now; look(now) })"
        )
        began = reactor.seconds()
        for tenth in range(10 * seconds):
            self.write(*(f"{tenth} {number} {'x' * 80}" for number in range(200)))
            await deferLater(reactor, max(0, began + tenth / 10 - reactor.seconds()))
        count = f"{2000 * seconds}"
        await self.until(
            "return document.getElementById('count').innerText.replace(/[^0-9]/g, '')"
            f" === '{count}'"
        )
        most, longest = await self.run_("return [most, longest]")
        self.assertLess(most, 500)
        # After the flood there are more rows again.
        await self.until("return document.querySelectorAll('#events > li').length === 400")
        await self.shows(f"{10 * seconds - 1} 199 xxx", f"{10 * seconds - 1} 198 xxx")
        # The frame time is only logged, because it depends on the machine.
        log.msg(f"The longest time from one picture to the next was {longest:.1f} ms")
