"""
Tests for the shortcuts of the live page, with real keys, in Chromium.
"""

from __future__ import annotations

from tests.support.page_server import PageCase, opens
from tests.support.requirements import needs

#: The number of the key, which Chromium requires beside its name.
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "/": 191, "G": 71, "?": 191, "w": 87}

#: Characters that keys produce.
TEXTS = {"Enter": "\r"}

SHIFT = 8
CTRL = 2

LINES = "".join(f"id: {number}\ndata: line {number}\n\n" for number in range(3))

#: The number of open rows.
OPEN = "document.querySelectorAll('#list [aria-expanded=true]').length"

#: The label of the pause button.
PAUSE = "document.getElementById('pause').textContent"


@needs("network", "browser")
class KeyTests(PageCase):
    """
    Tests for keys that have a default action in browsers.
    """

    async def show(self) -> None:
        """
        Open a page of three lines.
        """
        await self.start()
        server = self.page()
        server.source.otherwise = opens(LINES)
        await self.open(server.url)
        await self.until("document.querySelectorAll('#list > .head').length === 3")

    async def press(self, key: str, modifiers: int = 0) -> None:
        """
        Press and release a key.
        """
        code = CODES.get(key, ord(key[0].upper()))
        fields = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = TEXTS.get(key, key if len(key) == 1 and not modifiers & CTRL else "")
        down = {**fields, "text": text} if text else fields
        await self.command("Input.dispatchKeyEvent", type="keyDown", **down)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **fields)

    async def focus(self, selector: str) -> None:
        """
        Give an element the focus.
        """
        await self.run_("document.querySelector(arguments[0]).focus()", selector)

    async def test_blank(self) -> None:
        """
        The space bar pauses and resumes, once: from the page, from a row's button, which it does
        not click, and from the pause button.
        """
        await self.show()
        for selector in ("#list", "#list button", "#pause"):
            await self.focus(selector)
            for said in ("Resume", "Pause"):
                await self.press(" ")
                await self.until(f"{PAUSE} === arguments[0]", said, why=selector)
                self.assertEqual(await self.run_(f"return {OPEN}"), 0, selector)

    async def test_enter(self) -> None:
        """
        Enter on a row's button opens the row, and closes it, once.
        """
        await self.show()
        await self.focus("#list button")
        await self.press("Enter")
        await self.until(f"{OPEN} === 1")
        await self.press("Enter")
        await self.until(f"{OPEN} === 0")

    async def test_search(self) -> None:
        """
        The slash moves to the search and is not entered there; other keys are entered; Esc clears
        the field.
        """
        await self.show()
        value = "return document.getElementById('search').value"
        await self.focus("#list")
        await self.press("/")
        self.assertEqual(await self.run_("return document.activeElement.id"), "search")
        self.assertEqual(await self.run_(value), "")
        for key in "w /":
            await self.press(key)
        self.assertEqual(await self.run_(value), "w /")
        await self.press("Escape")
        await self.until("document.getElementById('search').value === ''")
        self.assertEqual(await self.run_("return location.hash"), "")

    async def test_modifiers(self) -> None:
        """
        A key with Ctrl belongs to the browser; a key with Shift counts as the character it
        produces.
        """
        await self.show()
        await self.focus("#list")
        await self.press("w", CTRL)
        self.assertEqual(await self.run_("return location.hash"), "")
        await self.press("?", SHIFT)
        await self.until("document.querySelector('dialog[open]') !== null")
        # While it is open, keys do not act on the page.
        await self.press("w")
        await self.press("Escape")
        await self.until("document.querySelector('dialog[open]') === null")
        await self.press("w")
        await self.until("location.hash === '#wrap=1'")

    async def test_switchedOff(self) -> None:
        """
        Without single-key shortcuts, keys that produce characters have no effect, in the next page,
        too.
        """
        await self.show()
        await self.focus("#list")
        await self.press("?", SHIFT)
        await self.until("document.querySelector('dialog[open] input') !== null")
        await self.run_("document.querySelector('dialog[open] input').click()")
        await self.press("Escape")
        for _ in range(2):
            await self.focus("#list")
            for key in ("w", " ", "?"):
                await self.press(key)
            self.assertEqual(await self.run_(f"return {PAUSE}"), "Pause")
            self.assertEqual(await self.run_("return document.querySelector('dialog[open]')"), None)
            await self.run_("location.reload()")
            await self.until("document.querySelectorAll('#list > .head').length === 3")
