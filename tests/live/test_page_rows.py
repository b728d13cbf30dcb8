"""
Tests for the rows of the live page, in Chromium: levels, times, groups, JSON, columns, types, open
rows, and the markers between them.
"""

from __future__ import annotations

import json

from tests.support.pages import KEPT, PHONE, Paging
from tests.support.requirements import needs

#: Tracebacks and the lines before and after; each of the inner lists is one event.
CHAINED = [
    ["2026-11-29 02:00:00.000Z INFO before"],
    [
        "2026-11-29 02:00:01.000Z ERROR [shop.pay] Payment failed",
        "Traceback (most recent call last):",
        '  File "pay.py", line 88, in charge',
        "    raise GatewayTimeout(order)",
        "GatewayTimeout: order 17",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        '  File "shop.py", line 7, in checkout',
        "    charge()",
        "CheckoutError: order 17",
    ],
    ["2026-11-29 02:00:02.000Z INFO between"],
    [
        '2026-11-29 02:00:03.000Z Exception in thread "main" java.lang.IllegalStateException: no',
        "\tat shop.Cart.add(Cart.java:42)",
        "\tat shop.Main.main(Main.java:7)",
        "Caused by: java.io.IOException: disk full",
        "\tat shop.Disk.write(Disk.java:3)",
        "\t... 2 more",
    ],
    ["2026-11-29 02:00:04.000Z INFO after"],
]

RECORD = (
    '{"time": "2026-11-29T02:00:04.5Z", "level": "warn", "msg": "slow request", "status": 503,'
    ' "ok": false, "path": "/a b", "user": {"name": "ada"}, "tags": [1, 2, 3], "none": null}'
)

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@needs("network", "browser")
class RowTests(Paging):
    """
    Tests for the conversion of lines to rows.
    """

    async def looks(self, row: str, selector: str, *properties: str) -> list[str]:
        """
        Return computed properties of an element in the row with a text.
        """
        found: list[str] = await self.run_(
            "const row = found(arguments[0]);"
            "const element = arguments[1] === '' ? row : row.querySelector(arguments[1]);"
            "const style = getComputedStyle(element);"
            "return arguments[2].map((name) => style[name])",
            row,
            selector,
            properties,
        )
        return found

    async def test_levels(self) -> None:
        """
        Errors have a bar, a bold word and a tint, warnings a bar and a bold word, debug lines a soft
        message, and a line without a level an empty cell; in both themes.
        """
        colours = {
            "light": (
                "rgb(179, 32, 44)",
                "rgb(253, 240, 240)",
                "rgb(138, 82, 0)",
                "rgb(90, 99, 111)",
            ),
            "dark": (
                "rgb(255, 144, 144)",
                "rgb(42, 21, 23)",
                "rgb(240, 180, 96)",
                "rgb(152, 163, 176)",
            ),
        }
        names = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")
        lines = [f"2026-11-29 02:00:0{n}Z {name} as {name}" for n, name in enumerate(names)]
        await self.show(backlog=[*lines, "without one"])
        none = "rgba(0, 0, 0, 0)"
        for theme, (error, tint, warn, soft) in colours.items():
            feature = {"name": "prefers-color-scheme", "value": theme}
            await self.devtools("Emulation.setEmulatedMedia", features=[feature])
            await self.frames()
            for name in ("FATAL", "ERROR"):
                seen = await self.looks(f"as {name}", "", "borderLeftColor", "backgroundColor")
                self.assertEqual(seen, [error, tint], (theme, name))
                seen = await self.looks(f"as {name}", ".level", "color", "fontWeight")
                self.assertEqual(seen, [error, "700"], (theme, name))
            seen = await self.looks("as WARN", "", "borderLeftColor", "backgroundColor")
            self.assertEqual(seen, [warn, none], theme)
            self.assertEqual(
                await self.looks("as WARN", ".level", "color", "fontWeight"), [warn, "700"]
            )
            for name in ("INFO", "DEBUG", "TRACE"):
                seen = await self.looks(f"as {name}", "", "borderLeftColor", "backgroundColor")
                self.assertEqual(seen, [none, none], (theme, name))
                self.assertEqual(await self.looks(f"as {name}", ".level", "color"), [soft])
            [message] = await self.looks("as INFO", ".message", "color")
            self.assertNotEqual(message, soft)
            for name in ("DEBUG", "TRACE"):
                self.assertEqual(await self.looks(f"as {name}", ".message", "color"), [soft])
        self.assertEqual(
            await self.run_("return all('#list .level').map((each) => each.textContent)"),
            [*names, ""],
        )

    async def test_grid(self) -> None:
        """
        Rows are 24 pixels high with the widths of the columns, and times and levels are in cells.
        """
        await self.show(backlog=["2026-11-29 02:00:00.250Z [ERROR] shop: it broke"])
        await self.run_("location.hash = 'time=utc'")
        await self.becomes("02:00:00.250", "return text('#list .time')")
        self.assertEqual(
            await self.run_(
                "const [row] = heads(); const left = (each) => row.querySelector(each)"
                ".getBoundingClientRect().left;"
                "return [row.getBoundingClientRect().height, left('.level') - left('.time'),"
                "left('.message') - left('.level'), message(row),"
                "getComputedStyle(row).borderLeftWidth]"
            ),
            [24, 112, 56, "shop: it broke", "3px"],
        )

    async def test_groups(self) -> None:
        """
        A traceback, a chained one and one of Java are one event each, whose lines are in order from
        top to bottom, with one level, and count, open, copy and filter as one.
        """
        lines = [line for group in CHAINED for line in group]
        await self.show(backlog=lines)
        await self.becomes(5, "return heads().length")
        groups = await self.run_(
            """
            const groups = [];
            for (const row of all("#list > .row")) {
              if (row.classList.contains("head")) {
                groups.push([]);
              }
              groups.at(-1).push(message(row));
            }
            return groups;
            """
        )
        self.assertEqual([len(group) for group in groups], [len(group) for group in CHAINED])
        self.assertEqual(groups[1][1:], CHAINED[1][1:])
        self.assertEqual(groups[3][1:], CHAINED[3][1:])
        self.assertEqual(
            await self.run_("return heads().map((row) => row.querySelector('.level').textContent)"),
            ["INFO", "ERROR", "INFO", "ERROR", "INFO"],
        )
        self.assertEqual(
            await self.run_(
                "return [...new Set(all('#list > .line').map((row) => ["
                "row.dataset.level, row.classList.contains('tinted'),"
                "row.querySelectorAll('.time, .level, button').length].join()))]"
            ),
            ["error,false,0"],
        )
        [margin] = await self.run_(
            "return [getComputedStyle(found('between').previousSibling).marginBottom]"
        )
        self.assertEqual(margin, "4px")
        await self.becomes(5, f"return {KEPT}")
        await self.press("2")
        await self.becomes(2, "return heads().length")
        await self.run_("found('Payment').querySelector('.time').click()")
        self.assertEqual(
            await self.run_("return [text('.opened button'), text('.opened .text')]"),
            ["Copy all 12 lines", "\n".join(CHAINED[1])],
        )
        # Opened, the lines are below their head only once.
        self.assertEqual(
            await self.run_(
                "return all('#list > .line').filter((row) => row.checkVisibility()).length"
            ),
            5,
        )

    async def test_levelOfWorstLine(self) -> None:
        """
        A head without a level gets that of its most severe line, even if that arrives later, and
        drawn rows are updated.
        """
        await self.show()
        # A line belongs to the one before for a second, which a busy machine may need to draw it.
        await self.run_("const now = Date.now(); Date.now = () => now")
        await self.add("something began")
        self.assertEqual(await self.run_("return text('#list .level')"), "")
        self.write("  and went on", "  [ERROR] it failed")
        await self.becomes("ERROR", "return text('#list .level')")
        await self.becomes("1", "return chips().Error.querySelector('.count').textContent")
        self.assertTrue(await self.run_("return heads()[0].classList.contains('tinted')"))

    async def test_otherFirst(self) -> None:
        """
        With the newest first, the lines inside a group keep their order.
        """
        lines = [line for group in CHAINED for line in group]
        await self.show(backlog=lines, fragment="#order=newest")
        rows = await self.until(
            "const rows = all('#list > .row').map(message); return rows.length === arguments[0] && rows",
            len(lines),
        )
        self.assertEqual(rows[0], "after")
        self.assertEqual(rows[-1], "before")
        at = rows.index("Traceback (most recent call last):")
        self.assertEqual(rows[at : at + 11], CHAINED[1][1:])

    async def test_json(self) -> None:
        """
        A JSON object is its message, then its keys and values in order, without those that have
        their own cell.
        """
        await self.show(backlog=[RECORD])
        expected = 'slow request  status=503 ok=false path="/a b" user={…} tags=[3] none=null'
        await self.becomes([expected], "return messages()")
        self.assertEqual(await self.run_("return text('#list .level')"), "WARN")
        self.assertEqual(
            await self.run_("return all('#list .number').map((each) => each.textContent)"),
            ["503", "false"],
        )
        await self.press("r")
        await self.becomes([RECORD], "return messages()")

    async def test_openedJSON(self) -> None:
        """
        An open row of JSON lists its keys and values; their buttons search for the value, hide it,
        and make a column, whose name has a button to remove it.
        """
        await self.show(backlog=[RECORD, RECORD.replace("503", "200"), "plain"])
        await self.run_("heads()[0].querySelector('.time').click()")
        pairs = await self.run_(
            "return all('.opened dt').map((key) => [key.textContent, key.nextSibling.textContent])"
        )
        self.assertEqual(
            dict(pairs),
            {
                "time": "2026-11-29T02:00:04.5Z",
                "level": "warn",
                "msg": "slow request",
                "status": "503",
                "ok": "false",
                "path": "/a b",
                "user": '{\n  "name": "ada"\n}',
                "tags": "[\n  1,\n  2,\n  3\n]",
                "none": "null",
            },
        )
        facts = await self.run_("return text('.opened .facts')")
        self.assertRegex(facts, r"^ID \S+ · arrived \d\d:\d\d:\d\d\.\d{3}$")
        button = "all('.opened button').find((each) => each.ariaLabel === arguments[0]).click()"
        await self.run_(button, "Column: status")
        await self.becomes(["status"], "return all('#columns bdi').map((each) => each.textContent)")
        self.assertEqual(
            await self.run_("return all('#list .column').map((each) => each.textContent)"),
            ["503", "200", ""],
        )
        self.assertFalse(await self.run_("return messages()[0].includes('status')"))
        self.assertEqual(await self.run_("return all('.opened').length"), 1)
        self.assertEqual(
            await self.run_(
                "const line = one('#columns');"
                "const middle = (each) => each.getBoundingClientRect().left;"
                "return [line.getBoundingClientRect().height, getComputedStyle(line).fontSize"
                " === getComputedStyle(heads()[0]).fontSize,"
                "Math.abs(middle(line.querySelector('.name')) - middle(one('#list .column'))) < 1]"
            ),
            [26, True, True],
        )
        await self.becomes("#cols=status", "return location.hash")
        await self.run_("one('#columns button').click()")
        await self.becomes(
            [True, 0], "return [one('#columns').hidden, all('#list .column').length]"
        )
        await self.run_(button, "Only: status")
        await self.becomes("1 of 3", "return text('#found')")
        self.assertEqual(await self.run_("return one('#search').value"), "status:503")
        # Open rows stay open.
        self.assertEqual(await self.run_("return all('.opened').length"), 1)
        await self.run_(button, "Hide: path")
        await self.becomes("0 of 3", "return text('#found')")
        self.assertEqual(await self.run_("return one('#search').value"), 'status:503 -path:"/a b"')

    async def test_openedText(self) -> None:
        """
        An open row has at most 10,000 characters and a button for the rest; selecting text neither
        opens nor closes.
        """
        await self.show(backlog=["x" * 62113, "select me"])
        await self.run_("heads()[0].querySelector('.time').click()")
        shown = "return text('.opened .text')"
        self.assertEqual(
            await self.run_(shown), "x" * 10000 + "… and 52,113 more characters Show all"
        )
        await self.run_("one('.opened .more button').click()")
        self.assertEqual(await self.run_(shown), "x" * 62113)
        await self.run_(
            "getSelection().selectAllChildren(found('select').querySelector('.message'));"
            "found('select').querySelector('.message').click()"
        )
        await self.frames()
        self.assertEqual(await self.run_("return all('.opened').length"), 1)
        await self.run_("getSelection().removeAllRanges()")
        await self.run_("found('select').querySelector('.message').click()")
        self.assertEqual(await self.run_("return all('.opened').length"), 2)
        self.assertEqual(
            await self.run_("return found('select').querySelector('.time').ariaExpanded"), "true"
        )

    async def test_openedStays(self) -> None:
        """
        An open row stays open when its appearance changes, and when it leaves the window and
        returns.
        """
        await self.show(backlog=[f"2026-11-29 02:00:00Z INFO line {n}" for n in range(900)])
        await self.run_("found('line 890').querySelector('.time').click()")
        is_open = "return (found('line 890')?.querySelector('.opened') ?? null) !== null"
        for key in ("w", "r", "t", "r", "w"):
            await self.press(key)
            await self.frames()
            self.assertTrue(await self.run_(is_open), key)
        await self.search('"line 89"')
        await self.becomes("11 of 900", "return text('#found')")
        self.assertTrue(await self.run_(is_open))
        await self.search('"line 1"')
        await self.until("return found('line 890') === undefined")
        await self.search("")
        await self.press("G")
        await self.until(is_open)

    async def test_texts(self) -> None:
        """
        Terminal escapes in a line take effect, and misleading characters are made visible.
        """
        await self.show(
            backlog=[
                "\x1b[1mworker\x1b[0m done",
                "bell\x07",
                "a\u202eb",
                "\x1b]8;;http://example.com\x07link\x1b]8;;\x07",
                "\x1b[38;2;250;250;250mpale\x1b[0m",
                HOSTILE,
            ]
        )
        await self.becomes(
            ["worker done", "bell\u2407", "a\\u202eb", "link", "pale", HOSTILE], "return messages()"
        )
        self.assertEqual(await self.looks("worker", ".bold", "fontWeight"), ["700"])
        self.assertEqual(await self.looks("worker", ".message", "unicodeBidi"), ["isolate"])
        self.assertNotEqual(
            await self.looks("pale", "span:last-child", "color"), ["rgb(250, 250, 250)"]
        )
        self.assertEqual(
            await self.run_("return document.images.length + all('main a, script').length"), 1
        )
        await self.assertClean()

    async def test_hostile(self) -> None:
        """
        Markup in data, keys of JSON, types and IDs is text, even in an open row, a column or a
        chip.
        """
        await self.show("--format=events", fragment="#cols=__proto__,constructor")
        record = {HOSTILE: HOSTILE, "__proto__": 1, "constructor": "c", "msg": HOSTILE}
        await self.add(
            json.dumps({"data": record, "event": HOSTILE, "id": HOSTILE}),
            json.dumps({"data": '{"__proto__": {"x": 1}, "constructor": 2, "msg": "m"}'}),
        )
        await self.until("return heads().length === 2")
        await self.run_("heads().forEach((row) => row.querySelector('.time').click())")
        self.assertEqual(
            await self.run_("return document.querySelectorAll('img, #list script').length"), 0
        )
        self.assertNotIn(await self.run_("return document.title"), ("1", "2"))
        self.assertEqual(
            await self.run_(
                "return all('#list *').map((each) => each.localName)"
                ".filter((name, i, names) => names.indexOf(name) === i).sort()"
            ),
            sorted({"bdi", "button", "dd", "div", "dl", "dt", "li", "p", "span"}),
        )
        await self.assertClean()

    async def test_lineBreaks(self) -> None:
        """
        Line breaks inside an event are symbols in its row, and breaks when it is open.
        """
        await self.show("--format=events")
        await self.add('{"data": "one\\ntwo"}')
        await self.becomes(["one ⏎ two"], "return messages()")
        await self.run_("heads()[0].querySelector('.time').click()")
        self.assertEqual(await self.run_("return text('.opened .text')"), "one\ntwo")

    async def test_times(self) -> None:
        """
        The time of a line is shown in its cell; a time of arrival is in italics, and none is
        invented for a line from before; the tooltips name the kind.
        """
        await self.show(backlog=["2026-11-29T02:25:25Z with", "without"], fragment="#time=utc")
        await self.add("arrived")
        times = await self.run_(
            "return heads().map((row) => row.querySelector('.time').textContent)"
        )
        self.assertEqual(times[:2], ["02:25:25", "—"])
        self.assertRegex(times[2], r"^\d\d:\d\d:\d\d\.\d{3}$")
        self.assertEqual(
            await self.run_(
                "return heads().map((row) => getComputedStyle(row.querySelector('.time')).fontStyle)"
            ),
            ["normal", "normal", "italic"],
        )
        titles = await self.run_(
            "return heads().map((row) => { const time = row.querySelector('.time');"
            "time.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));"
            "return time.title })"
        )
        self.assertTrue(titles[0].startswith("Sunday 29 November 2026 at 02:25:25\nArrived "))
        self.assertEqual(
            titles[1], "Was there before this page opened; no time was found in the line"
        )
        self.assertRegex(titles[2], r"^Arrived \w+day .* — no time was found in the line$")

    async def test_phone(self) -> None:
        """
        On a phone rows are flowing text that fits into the window, and long ones are clamped to
        four lines.
        """
        await self.show(backlog=["2026-11-29 02:00:00Z ERROR " + "word" * 200, RECORD], size=PHONE)
        await self.becomes(390, "return document.documentElement.scrollWidth")
        height = await self.run_("return heads()[0].getBoundingClientRect().height")
        self.assertLessEqual(height, 4 * 20 + 8)
        await self.run_("heads()[0].querySelector('.time').click()")
        await self.until("return heads()[0].getBoundingClientRect().height > 200")
        self.assertEqual(await self.run_("return scroller.scrollWidth"), 390)
        await self.run_("heads()[1].querySelector('.time').click()")
        self.assertEqual(await self.run_("return scroller.scrollWidth"), 390)
        self.assertLessEqual(
            await self.run_("return Math.round(one('header').getBoundingClientRect().height)"), 92
        )


@needs("network", "browser")
class MarkerTests(Paging):
    """
    Tests for the markers between rows.
    """

    async def test_live(self) -> None:
        """
        A marker separates events from before and new ones, if there were any before.
        """
        await self.show(backlog=["old"])
        await self.add("new")
        self.assertEqual(
            await self.run_("return all('#list > li').map((row) => row.textContent.slice(-14))"),
            [
                (await self.run_("return heads()[0].textContent"))[-14:],
                "Live from here",
                (await self.run_("return heads()[1].textContent"))[-14:],
            ],
        )
        marker = await self.run_(
            "const row = one('.marker'); const style = getComputedStyle(row);"
            "return [row.className, style.fontSize, getComputedStyle(row, '::before').borderTopStyle]"
        )
        self.assertEqual(marker, ["marker ok", "12px", "solid"])

    async def test_noneBefore(self) -> None:
        """
        Without events from before, there is no marker.
        """
        await self.show()
        await self.becomes(
            ["Waiting for the first line", "Lines appear here as they are written to app.log."],
            "return [text('#empty h2'), text('#empty p')]",
        )
        await self.add("first")
        self.assertEqual(await self.run_("return markers()"), [])
        self.assertTrue(await self.run_("return one('#empty').hidden"))

    async def test_days(self) -> None:
        """
        The date appears between two events of different days, with any filter, and in the reverse
        order, too.
        """
        await self.show(
            backlog=[
                "2026-11-28 12:00:00Z INFO a",
                "2026-11-28 13:00:00Z ERROR b",
                "2026-11-29 12:00:00Z INFO c",
                "2026-11-29 13:00:00Z ERROR d",
            ],
            fragment="#time=utc",
        )
        rows = (
            "return all('#list > li:not(.ok)').map((row) => row.classList.contains('head') ?"
            "message(row) : row.textContent)"
        )
        day, before = "Sunday 29 November 2026", "Saturday 28 November 2026"
        await self.becomes(["a", "b", day, "c", "d"], rows)
        await self.press("2")
        await self.becomes(["b", day, "d"], rows)
        await self.press("n")
        await self.becomes(["d", before, "b"], rows)
        await self.press("1")
        await self.becomes(["d", "c", before, "b", "a"], rows)
        self.assertIn("soft", await self.run_("return one('.marker:not(.ok)').className"))

    async def test_restart(self) -> None:
        """
        After a restart of the daemon the page reports whether events were lost, and shows each
        event once; the marker separates groups.
        """
        await self.show("--history=3")
        await self.add("one", "two")
        await self.child.stop()
        await self.until("return one('#state').dataset.state !== 'ok'")
        self.write("three")
        self.child = self.daemon("--history=3")
        await self.until("return found('three') !== undefined")
        self.assertEqual(await self.run_("return messages()"), ["one", "two", "three"])
        # Replayed events are separated from new ones, too.
        await self.becomes("Live from here", "return markers()[1]")
        self.assertRegex(
            await self.run_("return markers()[0]"),
            r"^Reconnected after \d+ s\. No events were lost\.$",
        )
        await self.child.stop()
        self.write(*"456789")
        self.child = self.daemon("--history=3")
        await self.until("return found('9') !== undefined")
        self.assertEqual(await self.run_("return messages()"), ["one", "two", "three", *"789"])
        self.assertEqual(
            await self.run_("return [markers()[2], all('.marker')[2].className]"),
            ["Events are missing here: the server no longer had them.", "marker error dashed"],
        )
