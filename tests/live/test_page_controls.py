"""
Tests for the keys, the menu, the downloads and the dialogs of the live page, in Chromium.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.live import until
from tests.support.pages import PHONE, Paging, atSecond
from tests.support.requirements import needs

#: Text that must be copied exactly, to the byte.
EXACT = (
    "2026-11-29 02:00:00.000Z ERROR \x1b[1mbold\x1b[0m  two  blanks ",
    "\ttab, é, 😀, \u202e, <b>&amp;",
    '{"level": "error", "n": 1.0, "msg":  "a\\u00e9"}',
    "2026-11-29 02:00:01.000Z INFO not an error",
)

FOCUSED = (
    "return document.activeElement.closest('li')?.querySelector('.message')?.textContent ?? ''"
)


def lines(number: int) -> list[str]:
    """
    Make numbered lines.
    """
    return [atSecond(n, f"INFO line {n}") for n in range(number)]


@needs("network", "browser")
class KeyTests(Paging):
    """
    Tests for each key.
    """

    async def test_moving(self) -> None:
        """
        Keys move from event to event, open, close and copy it, and go to the oldest and the newest;
        one row has the Tab stop.
        """
        await self.show(backlog=lines(600))
        await self.press("k")
        await self.becomes("line 599", FOCUSED)
        for key, number in (
            ("k", 598),
            ("ArrowUp", 597),
            ("j", 598),
            ("ArrowDown", 599),
            ("j", 599),
        ):
            await self.press(key)
            await self.becomes(f"line {number}", FOCUSED)
        for key, count in (("Enter", 1), ("o", 0), ("o", 1), ("Enter", 0)):
            await self.press(key)
            await self.becomes(count, "return all('.opened').length")
            self.assertEqual(await self.run_(FOCUSED), "line 599")
        for keys, number in ((("g", "g"), 0), (("G",), None), (("Home",), 0), (("End",), None)):
            await self.press(*keys)
            if number is None:
                await self.becomes("Pause", "return text('#pause')")
                await self.until("return Math.abs(below()) < 1")
            else:
                await self.becomes(f"line {number}", FOCUSED)
        self.assertEqual(await self.run_("return all('#list [tabindex=\"0\"], #list a').length"), 1)

    async def test_manySteps(self) -> None:
        """
        Keys that are held down move through all kept events, each once, and the focused one is in
        view.
        """
        await self.show(backlog=lines(600))
        await self.press("k")
        seen = await self.run_(
            """
            const seen = [];
            for (let i = 0; i < 700; i += 1) {
              const row = document.activeElement.closest("li");
              seen.push(message(row));
              if (topOf(row) < -1 || topOf(row) + 20 > scroller.clientHeight) {
                seen.push(`out of view: ${topOf(row)}`);
              }
              document.activeElement.dispatchEvent(
                new KeyboardEvent("keydown", { key: "k", bubbles: true, repeat: i > 0 }));
            }
            return seen;
            """
        )
        expected = [f"line {n}" for n in range(599, -1, -1)]
        self.assertEqual(seen, [*expected, *(["line 0"] * 100)])

    async def test_choices(self) -> None:
        """
        Keys wrap lines, show them raw, the times in UTC, the order, and choose the levels; the
        checkboxes of the menu agree.
        """
        await self.show(backlog=lines(3))
        boxes = (
            "return all('.menu input').map((box) => [box.parentElement"
            ".querySelector('.label').textContent, box.checked])"
        )
        for key, label in (
            ("n", "Newest first"),
            ("w", "Wrap lines"),
            ("r", "Raw lines"),
            ("t", "Times in UTC"),
        ):
            for isOn in (True, False):
                await self.press(key)
                await self.becomes(
                    isOn,
                    boxes.replace("return", "return Object.fromEntries(") + ")[arguments[0]]",
                    label,
                )
        pressed = (
            "return Object.entries(chips()).filter(([, chip]) => chip.ariaPressed === 'true')"
            ".map(([name]) => name)"
        )
        for key, chip in (("2", "Error"), ("3", "Warn+"), ("4", "Info+"), ("1", "All")):
            await self.press(key)
            await self.becomes([chip], pressed)

    async def test_searching(self) -> None:
        """
        / moves to the search with its text selected, Enter moves to the list; Esc clears the
        search, and then moves to the list; keys in the field are only text, and none acts with
        Ctrl, Alt or Meta.
        """
        await self.show(backlog=lines(30))
        await self.press("/")
        await self.becomes("search", "return document.activeElement.id")
        await self.press("l", "i", "n", "e", "Space", "7")
        await self.becomes("line 7", "return one('#search').value")
        await self.becomes("3 of 30", "return text('#found')")
        await self.press("Enter")
        await self.becomes("line 27", FOCUSED)
        await self.press("/")
        self.assertEqual(
            await self.run_(
                "const it = one('#search'); return it.selectionEnd - it.selectionStart"
            ),
            6,
        )
        await self.press("Escape")
        await self.becomes(["", ""], "return [one('#search').value, text('#found')]")
        self.assertEqual(await self.run_("return document.activeElement.id"), "search")
        await self.press("Escape")
        await self.becomes("LI", "return document.activeElement.closest('li')?.tagName")
        for modifiers in (1, 2, 4):
            await self.devtools(
                "Input.dispatchKeyEvent",
                type="rawKeyDown",
                key="w",
                windowsVirtualKeyCode=87,
                modifiers=modifiers,
            )
        await self.frames()
        self.assertFalse(await self.run_("return one('#list').classList.contains('wrap')"))

    async def test_escapeFromList(self) -> None:
        """
        Esc clears the search from the list, too, and the focused event keeps its focus and its place.
        """
        await self.show(backlog=lines(300))
        await self.search('"line 2"')
        await self.becomes("111 of 300", "return text('#found')")
        await self.press("k", "k", "k")
        focused = await self.run_(FOCUSED)
        await self.run_("scroller.scrollTop -= 30")
        await self.frames()
        top = "return Math.round(topOf(document.activeElement.closest('li')))"
        before = await self.run_(top)
        await self.press("Escape")
        await self.becomes("", "return text('#found')")
        self.assertEqual([await self.run_(FOCUSED), await self.run_(top)], [focused, before])

    async def test_dialog(self) -> None:
        """
        ? lists the keys; while a dialog is open no key acts except Esc, which returns the focus;
        keys of one character can be turned off, and stay off after a reload.
        """
        await self.show(backlog=lines(3))
        await self.press("k")
        await self.press("?")
        await self.until("return one('dialog[open]') !== null")
        await self.press("w", "2")
        await self.run_(
            "all('dialog[open] label').find((each) => each.textContent.includes("
            "'Single-key shortcuts')).querySelector('input').click()"
        )
        await self.press("Escape")
        await self.until("return one('dialog[open]') === null")
        self.assertEqual(await self.run_(FOCUSED), "line 2")
        await self.press("w")
        await self.frames()
        self.assertFalse(await self.run_("return one('#list').classList.contains('wrap')"))
        self.assertEqual(await self.run_("return chips().All.ariaPressed"), "true")
        await self.open()
        await self.press("w", "?")
        await self.frames()
        self.assertFalse(
            await self.run_("return one('#list').classList.contains('wrap') || one('dialog[open]')")
        )
        await self.press("End")
        await self.becomes("Pause", "return text('#pause')")

    async def test_tabs(self) -> None:
        """
        Tab reaches every control, each with a visible focus and a name, and the list has one stop.
        """
        await self.show(backlog=lines(50))
        stops = []
        for _ in range(30):
            await self.press("Tab")
            stop = await self.run_(
                """
                const it = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(it);
                const name = it.ariaLabel ?? it.textContent.trim();
                return [it.id || it.className || it.localName, name !== "",
                  it === document.body || outlineStyle !== "none" && outlineWidth !== "0px"];
                """
            )
            if stop[0] == "body" or (stop in stops and stop[0] == "skip"):
                break
            stops.append(stop)
        self.assertEqual([stop for stop in stops if not (stop[1] and stop[2])], [])
        names = [stop[0] for stop in stops]
        self.assertEqual([name for name in names if name.split()[0] == "time"], ["time"])
        for name in ("skip", "search", "pause", "view", "help"):
            self.assertIn(name, names)
        self.assertEqual(len([name for name in names if "chip" in name]), 4)

    async def test_skip(self) -> None:
        """
        The first Tab stop leads to the events, at the current position.
        """
        await self.show(backlog=lines(300))
        await self.press("Tab")
        await self.becomes("Skip to the events", "return document.activeElement.textContent")
        await self.press("Enter")
        await self.becomes("line 299", FOCUSED)
        await self.run_("document.activeElement.blur()")
        await self.wheel(-2000)
        await self.becomes("Resume", "return text('#pause')")
        top = await self.run_("return scroller.scrollTop")
        await self.run_("one('#skip').focus()")
        await self.press("Enter")
        await self.until(FOCUSED)
        self.assertEqual(await self.run_("return scroller.scrollTop"), top)


@needs("network", "browser")
class MenuTests(Paging):
    """
    Tests for the content of the menu.
    """

    async def choose(self, label: str) -> None:
        """
        Choose an item of the menu.
        """
        await self.run_("one('#view').click()")
        await self.run_(
            "all('.menu .item').find((each) => each.querySelector('.label').textContent"
            " === arguments[0]).click()",
            label,
        )

    async def test_items(self) -> None:
        """
        The menu has its groups, items and keys in their order; on a phone it is a sheet at the
        bottom with rows large enough for a thumb.
        """
        await self.show()
        await self.press("Tab")
        await self.run_("one('#view').focus()")
        await self.press("Enter")
        self.assertEqual(
            await self.run_(
                "return all('.menu h2, .menu .label, .menu kbd').map((e) => e.textContent)"
            ),
            [
                "View",
                *("Newest first", "n", "Wrap lines", "w", "Raw lines", "r", "Times in UTC", "t"),
                "Events shown",
                *("Download as text", "Download as JSON Lines", "Copy", "Clear the list"),
                "Connection",
                *("Disconnect", "Read this stream from a program…"),
            ],
        )
        await self.press("Escape")
        await self.becomes("view", "return document.activeElement.id")
        await self.resize(*PHONE)
        await self.click("#view")
        boxes = await self.run_(
            "return [one('.menu').getBoundingClientRect().bottom, innerHeight,"
            "Math.min(...all('.menu .item').map((each) => each.getBoundingClientRect().height))]"
        )
        self.assertEqual(boxes[0], boxes[1])
        self.assertGreaterEqual(boxes[2], 44)

    async def test_downloads(self) -> None:
        """
        The download has exactly the events that pass the filter, to the byte, under the name of the
        source and the time.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        await self.show(backlog=EXACT)
        await self.devtools(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=temporary.name
        )

        async def download(label: str, pattern: str) -> bytes:
            await self.choose(label)

            def found() -> list[Path]:
                # Chromium reserves the name with an empty file, writes into another one, and moves that
                # there.  Either can be alone for a moment.
                paths = list(folder.iterdir())
                isWritten = len(paths) == 1 and paths[0].suffix != ".crdownload"
                return paths if isWritten and paths[0].stat().st_size > 0 else []

            await until(found)
            [path] = found()
            self.assertRegex(path.name, pattern)
            content = path.read_bytes()
            path.unlink()
            return content

        text = r"^app\.log-\d{8}-\d{6}\.log$"
        self.assertEqual(
            await download("Download as text", text), "".join(f"{e}\n" for e in EXACT).encode()
        )
        await self.press("2")
        await self.becomes(3, "return all('#list > .row').length")
        self.assertEqual(
            await download("Download as text", text), "".join(f"{e}\n" for e in EXACT[:3]).encode()
        )
        rows = await download("Download as JSON Lines", r"^app\.log-\d{8}-\d{6}\.jsonl$")
        entries = [json.loads(row) for row in rows.decode().splitlines()]
        self.assertEqual([entry["data"] for entry in entries], list(EXACT[:3]))
        for entry in entries:
            self.assertEqual([*entry], ["time", "level", "source", "type", "id", "data"])
        await self.assertClean()

    async def test_copied(self) -> None:
        """
        The copied text is exactly as received: for all shown events, for one event by its button,
        and by c.
        """
        await self.show(backlog=EXACT)
        await self.devtools(
            "Browser.grantPermissions",
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        clipboard = "return navigator.clipboard.readText()"
        await self.choose("Copy")
        await self.becomes("Copied", "return text('#view')")
        self.assertEqual(await self.run_(clipboard), "".join(f"{each}\n" for each in EXACT))
        await self.becomes("View", "return text('#view')")
        await self.run_("heads()[0].querySelector('.time').click()")
        await self.run_("one('.opened button').click()")
        await self.becomes("Copied", "return text('.opened button')")
        self.assertEqual(await self.run_(clipboard), "\n".join(EXACT[:2]))
        await self.run_("heads()[1].querySelector('.time').focus()")
        await self.press("c")
        await self.becomes("Copied", "return text('#view')")
        self.assertEqual(await self.run_(clipboard), EXACT[2])

    async def test_cleared(self) -> None:
        """
        A cleared list is empty, shows that it waits, counts nothing, and continues with new events.
        """
        await self.show(backlog=lines(300))
        await self.choose("Clear the list")
        await self.becomes([0, 0], "return [all('#list > li').length, Number(text('#found'))]")
        await self.becomes(0, "return Number(chips().All.querySelector('.count').textContent)")
        await self.becomes(False, "return one('#empty').hidden")
        await self.add("after")
        await self.becomes(["after"], "return messages()")

    async def test_disconnected(self) -> None:
        """
        When disconnected, the page shows that and offers to connect; then it shows the events
        missed meanwhile.
        """
        await self.show(backlog=["one"])
        await self.choose("Disconnect")
        await self.becomes(
            ["Disconnected", "Connect", "app.log (disconnected)"],
            "return [text('#word'), text('#again'), document.title]",
        )
        self.write("two")
        await self.click("#again")
        await self.becomes(["one", "two"], "return messages()")
        await self.becomes("Live", "return text('#word')")

    async def test_program(self) -> None:
        """
        A dialog explains how programs read the stream, with the address of this stream, our own
        client first.
        """
        await self.show()
        await self.choose("Read this stream from a program…")
        address = f"http://127.0.0.1:{self.port}/"
        codes = await self.until(
            "return one('dialog[open]') && all('dialog[open] pre').map((e) => e.textContent)"
        )
        self.assertEqual(codes[0], f"twisted-sse get {address}")
        self.assertEqual(codes[1], f"curl -N -H 'Accept: text/event-stream' {address}")
        self.assertTrue(all(address in code for code in codes))
        await self.press("Escape")
        await self.until("return one('dialog[open]') === null")


@needs("network", "browser")
class LoginTests(Paging):
    """
    Tests for pages behind a password.
    """

    async def test_password(self) -> None:
        """
        With the browser's password the page gets the stream, too.
        """
        await self.serveLog("--auth=memory:alice:wonder")
        self.user = "alice:wonder@"
        await self.open()
        await self.add("for Alice")
        await self.becomes(["for Alice"], "return messages()")
