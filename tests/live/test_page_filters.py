"""
Tests for the search, the filters and the address of the live page, in Chromium.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.pages import PHONE, Paging
from tests.support.requirements import needs

#: Lines whose matches can be counted by hand.
KNOWN = (
    "2026-11-29 02:00:00.000Z ERROR [shop.pay] Payment gateway timeout after 30s",
    "Traceback (most recent call last):",
    '  File "pay.py", line 88, in charge',
    "GatewayTimeout: order 17",
    "2026-11-29 02:00:01.000Z WARNING slow query took 812ms (timeout is 1000)",
    "2026-11-29 02:00:02.000Z INFO sent 3 messages to Grace",
    "2026-11-29 02:00:03.000Z DEBUG cache \x1b[1mm\x1b[31mis\x1b[0ms http://example.com/timeout",
    (
        '{"time": "2026-11-29T02:00:04Z", "level": "info", "msg": "request finished", "status": 200,'
        ' "user": {"name": "ada lovelace"}}'
    ),
    (
        '{"time": "2026-11-29T02:00:05Z", "level": "error", "msg": "request failed", "status": 503,'
        ' "user": {"name": "grace"}}'
    ),
    "2026-11-29T02:00:06Z level=info msg=done status=404 path=/checkout",
    '127.0.0.1 - - [29/Nov/2026:02:00:07 +0000] "POST /login HTTP/1.1" 500 12',
    "plain ([{ text",
)
ALL = 9

#: The typed query, the numbers of matching events and of marks; None if uncertain.
QUERIES: tuple[tuple[str, int, int | None], ...] = (
    ("timeout", 3, 4),
    ("TIMEOUT", 3, 4),
    ("timeout slow", 1, 2),
    ("slow timeout", 1, 2),
    ('"slow query"', 1, 1),
    ('"slow query', 1, 1),
    ('"query slow"', 0, 0),
    ("timeout -slow", 2, 3),
    ("-timeout", 6, 0),
    ("-pay.py", 8, 0),
    ('-"slow query"', 8, 0),
    ("line 88", 1, 2),
    ("miss", 1, None),
    ("http://example.com", 1, 1),
    ("02:00:01", 1, 1),
    ("warning", 1, 1),
    (r"/time.ut/", 3, 4),
    (r"/\d{3}ms/", 1, 1),
    (r"/TIMEOUT", 3, 4),
    (r"-/time.ut/", 6, 0),
    ("status:200", 1, 1),
    ("status:200,404", 2, 2),
    ("status:>=500", 2, 2),
    ("status:>404", 2, None),
    ("status:<=200", 1, None),
    ("status:<404", 1, None),
    ("-status:200", 8, 0),
    ("status:5*", 2, None),
    ("user.name:grace", 1, None),
    ('user.name:"ada lovelace"', 1, None),
    ("method:POST", 1, None),
    ("path:/login,/checkout", 2, None),
    ("level:error", 2, None),
    ("level:>=warn", 4, None),
    ("level:warning", 1, None),
    ("-level:error", 6, None),
    ("type:message", 9, None),
    ("source:/", 9, None),
    ("([{", 1, 1),
    ("", 9, 0),
)


@needs("network", "browser")
class FilterTests(Paging):
    """
    Tests for matches and marks.
    """

    async def test_queries(self) -> None:
        """
        Each kind of query finds and marks its matches, and the field counts them.
        """
        await self.show(backlog=KNOWN)
        await self.becomes(ALL, "return heads().length")
        wrong = []
        for query, events, marks in QUERIES:
            await self.search(query)
            expected = [f"{events} of {ALL}" if query else "", events, marks]
            look = "return [text('#found'), heads().length, all('#list mark').length]"
            if marks is None:
                look = look.replace("all('#list mark').length", "null")
            try:
                await self.becomes(expected, look, seconds=5)
            except AssertionError:
                wrong.append((query, expected, await self.run_(look)))
        self.assertEqual(wrong, [])
        await self.assertClean()

    async def test_wholeGroup(self) -> None:
        """
        A group is shown completely if any of its lines matches, including its head.
        """
        await self.show(backlog=KNOWN)
        for query in ("pay.py", "gateway"):
            await self.search(query)
            await self.becomes(f"1 of {ALL}", "return text('#found')")
            await self.becomes(4, "return all('#list > .row').length")

    async def test_notValid(self) -> None:
        """
        An invalid pattern is reported, also by a red border, and the last results stay; the next
        query works.
        """
        await self.show(backlog=KNOWN)
        await self.search("timeout")
        await self.becomes(f"3 of {ALL}", "return text('#found')")
        await self.search("/(/")
        await self.becomes("Not a valid pattern", "return text('#found')")
        self.assertEqual(await self.run_("return heads().length"), 3)
        [border, error] = await self.run_(
            "const probe = one('#search').cloneNode(); probe.style.borderColor = 'var(--error)';"
            "one('#find').append(probe);"
            "const colours = [one('#search'), probe].map("
            "(each) => getComputedStyle(each).borderTopColor);"
            "probe.remove(); return [one('#search').ariaInvalid, ...colours].slice(1)"
        )
        self.assertEqual(border, error)
        await self.search("slow")
        await self.becomes(f"1 of {ALL}", "return text('#found')")
        self.assertEqual(
            await self.run_("return one('#search').getAttribute('aria-invalid')"), "false"
        )

    async def test_marks(self) -> None:
        """
        A match in the time or the level marks that cell, one of a key marks the value, matches
        cycle through colours, and a row has at most 50.
        """
        await self.show(backlog=[*KNOWN, "x " * 200])
        for query, selector, expected in (
            ("02:00:01", ".time", ["02:00:01.000"]),
            ("warning", ".level", ["WARN"]),
            ("status:503", ".message", ["503"]),
            ('msg:"request failed"', ".message", ["request failed"]),
        ):
            await self.search(query)
            await self.becomes(
                expected,
                "return all(`#list ${arguments[0]} mark`).map((each) => each.textContent)",
                selector,
            )
        await self.search("mis")
        await self.becomes(["m", "is"], "return all('#list mark').map((each) => each.textContent)")
        await self.search("x")
        await self.becomes(50, "return found('x x')?.querySelectorAll('.message mark').length")

    async def test_live(self) -> None:
        """
        Events that arrive during a search are searched, with patterns, too, and the counts of the
        field, the chips and the status line agree.
        """
        await self.show()
        for query in ("mouse", "/m.use/"):
            await self.search(query)
            before = await self.kept()
            await self.add("INFO a mouse", "INFO a cat", "ERROR the mouse ate it")
            found = (before // 3 + 1) * 2
            total = before + 3
            await self.becomes(f"{found} of {total}", "return text('#found')")
            await self.becomes(found, "return heads().length")
            shown = await self.run_("return text('#shown')")
            self.assertTrue(shown.startswith(f"{found} of {total} events match, since "), shown)

    async def test_nothing(self) -> None:
        """
        If nothing matches, the page reports this with the number of searched events, and a button
        clears the search, the level and the types.
        """
        await self.show(backlog=KNOWN)
        await self.search("nowhere")
        await self.press("2")
        await self.becomes(
            ["No events match", f"{ALL} events searched. New ones appear here when they match."],
            "return [text('#empty h2'), text('#empty p')]",
        )
        self.assertTrue(await self.run_("return !one('#empty').hidden"))
        await self.click("#empty button")
        await self.becomes(ALL, "return heads().length")
        self.assertEqual(
            await self.run_("return [one('#empty').hidden, one('#search').value, location.hash]"),
            [True, "", await self.run_("return location.hash")],
        )
        await self.becomes("", "return location.hash")

    async def test_levels(self) -> None:
        """
        The chips count the events of each level, exactly one is pressed, and it is combined with
        the search by AND.
        """
        await self.show(backlog=KNOWN)
        counts = (
            "return Object.entries(chips()).map(([name, chip]) =>"
            "[name, chip.querySelector('.count').textContent, chip.title])"
        )
        await self.becomes(
            [
                ["All", "9", "Everything"],
                ["Error", "3", "Only errors"],
                ["Warn+", "4", "Warnings and errors"],
                ["Info+", "7", "Everything but debug and trace"],
            ],
            counts,
        )
        pressed = (
            "return Object.entries(chips()).filter(([, chip]) => chip.ariaPressed === 'true')"
            ".map(([name]) => name)"
        )
        for name, rows in (("Error", 3), ("Warn+", 4), ("Info+", 7), ("All", 9)):
            await self.run_("chips()[arguments[0]].click()", name)
            await self.becomes(rows, "return heads().length")
            self.assertEqual(await self.run_(pressed), [name])
        await self.run_("chips()['Error'].click()")
        await self.search("timeout")
        await self.becomes(f"1 of {ALL}", "return text('#found')")
        await self.becomes(1, "return heads().length")

    async def test_types(self) -> None:
        """
        From the first event with another type on there are chips of types, which filter, and a
        column with the type.
        """
        await self.show("--format=events")
        await self.add('{"data": "plain"}')
        self.assertEqual(await self.run_("return all('#list .type').length"), 0)
        await self.add('{"data": "paid", "event": "order.paid"}', '{"data": "x", "event": "tick"}')
        await self.becomes(
            ["", "order.paid", "tick"], "return all('#list .type').map((each) => each.textContent)"
        )
        await self.run_("chips()['order.paid'].click()")
        await self.becomes(["paid"], "return messages()")
        await self.becomes("#type=order.paid", "return location.hash")
        await self.run_("chips()['tick'].click()")
        await self.becomes(["paid", "x"], "return messages()")
        await self.run_("chips()['tick'].click(); chips()['order.paid'].click()")
        await self.becomes(["plain", "paid", "x"], "return messages()")
        await self.search("type:tick")
        await self.becomes(["x"], "return messages()")

    async def test_searchOnPhone(self) -> None:
        """
        On a phone the field is a third row of the header while it is open or not empty, and its
        text is large enough that the browser does not zoom.
        """
        await self.show(backlog=KNOWN, size=PHONE)
        height = "return Math.round(one('header').getBoundingClientRect().height)"
        self.assertLessEqual(await self.run_(height), 92)
        self.assertEqual(await self.run_("return one('#find').checkVisibility()"), False)
        await self.click("#find-button")
        await self.becomes("search", "return document.activeElement.id")
        self.assertLessEqual(await self.run_(height), 132)
        self.assertEqual(
            await self.run_("return getComputedStyle(one('#search')).fontSize"), "16px"
        )
        await deferToThread(self.browser.switch_to.active_element.send_keys, "timeout")
        await self.becomes(f"3 of {ALL}", "return text('#found')")
        self.assertEqual(await self.run_("return document.documentElement.scrollWidth"), 390)
        await self.press("Escape")
        await self.becomes("", "return text('#found')")
        self.assertEqual(await self.run_("return document.activeElement.id"), "search")
        await self.press("Escape")
        await self.becomes(False, "return one('#find').checkVisibility()")
        await self.becomes("LI", "return document.activeElement.closest('li')?.tagName")


#: The parts of the address, in order, and their visible effects.
VIEWS: tuple[tuple[str, str, Any], ...] = (
    ("q=status:%3E=500", "return text('#found')", f"2 of {ALL}"),
    ("level=warn", "return chips()['Warn+'].ariaPressed", "true"),
    ("order=newest", "return document.documentElement.classList.contains('newest')", True),
    ("wrap=1", "return one('#list').classList.contains('wrap')", True),
    ("raw=1", "return messages().some((each) => each.startsWith('2026-11-29'))", True),
    ("time=utc", "return text('#zone')", "Times in UTC"),
    (
        "cols=status,user",
        "return all('#columns bdi').map((each) => each.textContent)",
        ["status", "user"],
    ),
)


@needs("network", "browser")
class AddressTests(Paging):
    """
    Tests for the view in the address.
    """

    async def test_reload(self) -> None:
        """
        Opening the address again shows the same, for each part alone and for all together; the
        default has no fragment, and a change of the fragment takes effect.
        """
        await self.show(backlog=KNOWN)
        self.assertEqual(await self.run_("return location.href.includes('#')"), False)
        for fragment, script, expected in VIEWS:
            await self.run_("location.hash = arguments[0]", fragment)
            await self.becomes(expected, script)
            await deferToThread(self.browser.refresh)
            await self.until("return isIdle()")
            await self.becomes(expected, script)
            self.assertEqual(await self.run_("return location.hash"), f"#{fragment}")
        await self.run_("location.hash = arguments[0]", "&".join(each for each, _, _ in VIEWS[1:]))
        for _, script, expected in VIEWS[1:]:
            await self.becomes(expected, script)
        await self.run_("location.hash = ''")
        await self.becomes(ALL, "return heads().length")
        self.assertEqual(
            await self.run_("return all('#list.wrap, #columns:not([hidden])').length"), 0
        )

    async def test_written(self) -> None:
        """
        Each choice appears in the address a moment later, in a fixed order, and disappears when it
        is undone, without new entries in the history of the browser.
        """
        await self.show(backlog=KNOWN)
        length = await self.run_("return history.length")
        await self.press("t", "r", "w", "n", "3")
        await self.search("a b")
        await self.becomes(
            "#q=a%20b&level=warn&order=newest&wrap=1&raw=1&time=utc", "return location.hash"
        )
        await self.press("t", "r", "w", "n", "1")
        await self.search("")
        await self.becomes("", "return location.hash")
        self.assertFalse(await self.run_("return location.href.includes('#')"))
        self.assertEqual(await self.run_("return history.length"), length)
