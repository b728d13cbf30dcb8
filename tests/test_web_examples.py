"""
Tests for the examples that update pages with third-party scripts, in memory, and for the pages of
the documentation about them.
"""

from __future__ import annotations

import json
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support.channels import received
from tests.support.documents import blocks
from tests.support.examples import EXAMPLES, FORM, example
from tests.support.requirements import nothingMayBeLeftOut
from twisted_sse.testing import MemoryClient

try:
    import datastar_py
except ImportError:
    datastar_py = None  # type: ignore[assignment]

#: The pages, and the files whose code they show.
SHOWN = {
    "howto-datastar.md": ["datastar_poll.py"],
    "howto-htmx.md": ["htmx_board.py"],
    "howto-react.md": ["react/app.jsx", "react/events.js"],
    "howto-turbo.md": ["turbo_kitchen.py"],
}

#: The languages of code that runs in a browser.
LANGUAGES = ["html", "js", "jsx"]


class ShownTests(SynchronousTestCase):
    """
    Tests that the documentation shows the code of the examples.
    """

    def test_shown(self) -> None:
        """
        Each line of HTML and JavaScript on a page is in its example, which runs in a browser.
        """
        for page, names in SHOWN.items():
            lines = set()
            for name in names:
                text = (EXAMPLES / name).read_text(encoding="utf-8")
                lines |= {line.strip() for line in text.splitlines()}
            shown = [block for each in LANGUAGES for block in blocks(page, each)]
            self.assertNotEqual(shown, [], page)
            strange = [
                line
                for block in shown
                for line in map(str.strip, block.splitlines())
                if line and line not in lines
            ]
            self.assertEqual(strange, [], page)


class HtmxTests(SynchronousTestCase):
    """
    Tests for the board with htmx.
    """

    def test_board(self) -> None:
        """
        An update is a fragment and a state for all clients; an update without a text is refused,
        and so is every update after the board is closed, which ends the streams.
        """
        board = example("htmx_board")
        client = MemoryClient(board.app.resource())
        stream = client.get("/events")
        update = "state=Monitoring&text=%3Ci%3E"
        self.assertEqual(client.post("/updates", FORM, update).status, 204)
        for form in "", "state=Monitoring&text=+", "state=Unknown&text=x":
            self.assertEqual(client.post("/updates", FORM, form).status, 400)
        events = received(stream)
        self.assertEqual([event.type for event in events], ["message", "status"])
        self.assertRegex(events[0].data, r"^<li>\n  <b data-state=\"Monitoring\">[^§]*&lt;i&gt;")
        for _ in range(2):
            self.assertEqual(client.post("/close").status, 204)
        self.assertEqual(client.post("/updates", FORM, update).status, 409)
        self.assertEqual([event.data for event in received(stream)[2:]], ["Closed", "{}"])
        self.assertTrue(stream.complete)
        for path, script in ("/", "htmx.org@2"), ("/4", "htmx.org@4"):
            self.assertIn(script, client.get(path).text)
        client.close()


class DatastarTests(SynchronousTestCase):
    """
    Tests for the poll with Datastar.
    """

    if datastar_py is None and not nothingMayBeLeftOut():
        skip = "datastar-py is not installed: pip install datastar-py"

    def test_poll(self) -> None:
        """
        A new page gets the whole state, each page gets the changes, and an invalid vote is refused.
        """
        poll = example("datastar_poll")
        client = MemoryClient(poll.app.resource())
        poll.cast("Ada", "Pizza")
        stream = client.get("/updates")
        self.assertIn("Ada", received(stream)[0].data)
        voted = client.post("/votes", body=json.dumps({"name": " <i> ", "choice": "Salad"}))
        self.assertEqual(
            [event.type for event in received(voted)], ["datastar-patch-signals", "end"]
        )
        types = [event.type for event in received(stream)]
        self.assertEqual(types, 3 * ["datastar-patch-elements"])
        self.assertEqual(
            received(stream)[-1].data,
            "mode prepend\nselector #votes\nelements <li><b>&lt;i&gt;</b> wants Salad</li>",
        )
        for body in "", "[]", "{", '{"name": "x"}', '{"name": " ", "choice": "Salad"}':
            self.assertEqual(client.post("/votes", body=body).status, 400, body)
        stream.disconnect()
        poll.cast("Bob", "Salad")
        for lastEventID, count in (stream.events[-1].lastEventID, 2), ("unknown", 1):
            again = client.get("/updates", headers={"Last-Event-ID": lastEventID})
            self.assertEqual(len(received(again)), count, lastEventID)
            self.assertIn("Bob", received(again)[-1].data)
        self.assertIn("datastar@v1.", client.get("/").text)
        client.close()


class TurboTests(SynchronousTestCase):
    """
    Tests for the kitchen with Turbo Streams.
    """

    def test_kitchen(self) -> None:
        """
        A new page gets the whole state, each page gets the changes, and an invalid order is
        refused.
        """
        kitchen = example("turbo_kitchen")
        client = MemoryClient(kitchen.app.resource())
        kitchen.add("Soup")
        stream = client.get("/events")
        self.assertIn("Soup", received(stream)[0].data)
        answers = [
            client.post(path, FORM, form).status
            for path, form in (
                ("/orders", "text=%3Ci%3E"),
                ("/orders", "text=+"),
                ("/orders/1", ""),
                ("/orders/1", ""),
                ("/orders/1", ""),
            )
        ]
        self.assertEqual(answers, [204, 400, 204, 204, 404])
        changes = [event.data for event in received(stream)[1:]]
        actions = [re.findall(r'action="(\w+)" target="([\w-]+)"', each)[0] for each in changes]
        expected = [("append", "orders"), ("replace", "order-1"), ("remove", "order-1")]
        self.assertEqual(actions, expected)
        self.assertIn("&lt;i&gt;", changes[0])
        stream.disconnect()
        kitchen.add("Tea")
        for lastEventID, action in (stream.events[-1].lastEventID, "append"), ("", "update"):
            again = client.get("/events", headers={"Last-Event-ID": lastEventID})
            [event] = received(again)
            self.assertIn(f'action="{action}"', event.data)
            self.assertIn("Tea", event.data)
        self.assertIn("@hotwired/turbo@8", client.get("/").text)
        client.close()


class ReactTests(SynchronousTestCase):
    """
    Tests for the answers for a React application.
    """

    def test_answer(self) -> None:
        """
        An answer has an end, continues after the words that a client has, and needs a header and a
        question; all followers of the news get each question once, and their own number.
        """
        answers = example("react_answers")
        client = MemoryClient(answers.app.resource())
        news, other = client.get("/news"), client.get("/news")
        other.disconnect()
        headers = {"Authorization": "Bearer secret"}
        body = json.dumps({"question": "why?"})
        self.assertEqual(client.post("/answers", {}, body).status, 401)
        for wrong in "", "[]", "{}", "{":
            self.assertEqual(client.post("/answers", headers, wrong).status, 400, wrong)
        stream = client.post("/answers", headers, body)
        client.clock.advance(0.5)
        self.assertEqual([event.data for event in received(stream)], ["You", "asked:", "why?"])
        stream.disconnect()
        again = client.post("/answers", {**headers, "Last-Event-ID": "3"}, body)
        client.clock.advance(10)
        words = [event.data for event in received(again)]
        self.assertEqual((words[0], words[-2:]), ("That", ["others.", "{}"]))
        self.assertTrue(again.complete)
        self.assertEqual(
            [(event.type, event.data) for event in received(news)],
            [("readers", "1"), ("readers", "2"), ("readers", "1"), ("question", "why?")],
        )
        self.assertIn("<main>", client.get("/").text)
        client.close()


class DeviceTests(SynchronousTestCase):
    """
    Tests for the device.
    """

    def test_device(self) -> None:
        """
        A new consumer gets a ping and all states, each consumer then gets the changes, with pings
        between, and no event has an ID.
        """
        device = example("device_events")
        client = MemoryClient(device.app.resource())
        device.begin(client.clock)
        stream = client.get("/events")
        first = [(event.type, event.lastEventID) for event in stream.events]
        self.assertEqual(first, [("ping", ""), ("state", ""), ("state", "")])
        again = client.get("/events", headers={"Last-Event-ID": "1"})
        self.assertEqual([(event.type, event.lastEventID) for event in again.events], first)
        self.assertEqual(client.post("/switch/lamp/toggle").status, 200)
        lamp = {"id": "switch-lamp", "state": "ON", "value": True}
        self.assertEqual(stream.events[3].json(), lamp)
        client.clock.advance(10)
        types = [event.type for event in stream.events[5:]]
        self.assertEqual((types.count("state"), types.count("ping")), (5, 1))
        self.assertRegex(stream.events[5].json()["state"], r"^\d+\.\d °C$")
        self.assertIn('EventSource("events")', client.get("/").text)
        client.close()
