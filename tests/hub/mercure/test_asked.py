"""
Tests for L{twisted_sse.hub.mercure.asked}.
"""

from __future__ import annotations

import itertools
from unittest import mock

from tests.support.hubs import EVERYTHING, FORM, PATH, HubCase, token
from twisted_sse.hub.mercure import asked
from twisted_sse.hub.mercure.selectors import compiledSize
from twisted_sse.hub.mercure.templates import Template


class LimitTests(HubCase):
    """
    Tests for subscribers that request too much.
    """

    def test_longID(self) -> None:
        """
        A last event ID that is longer than those that publishers may set is unknown, wherever it is
        sent: any status but 200 would make a browser give up permanently.
        """
        self.serve()
        long = "x" * 15_000
        for method, query, headers, body in (
            ("GET", "?match=a", {"Last-Event-ID": long}, ""),
            ("GET", f"?match=a&last_event_id={long}", {}, ""),
            ("HEAD", f"?match=a&last_event_id={long}", {}, ""),
            ("QUERY", "", FORM, f"match=a&last_event_id={long * 10}"),
        ):
            answer = self.client.request(method, PATH + query, headers, body.encode())
            self.assertEqual(answer.status, 200, method)
            self.assertEqual(answer.headers["Last-Event-ID"], "earliest")

    def test_memory(self) -> None:
        """
        When the patterns of all subscribers together take too much memory, subscribers get no new
        ones; existing patterns, everything else, and the patterns of tokens still work.
        """
        self.serve()
        known = "match_urlpattern=/known/:x"
        streams = [self.get(known)]
        self.patch(asked, "MOST_MEMORY", compiledSize() + 200_000)
        streams += [self.get(f"match_urlpattern=/memory{number}/:x") for number in range(10)]
        refused = [each for each in streams if each.ended]
        self.assertIn(streams[-1], refused)
        self.assertToldToComeBack(*refused)
        self.assertEqual(self.hub.subscribers, len(streams) - len(refused))
        self.assertGreater(self.hub.subscribers, 0)
        self.patch(asked, "MOST_MEMORY", 1)
        for query in (known, "topic=known&topic=*", "match=known"):
            self.assertFalse(self.get(query).ended, query)
        for query in ("topic=memory/{x}", "match_urlpattern=/memory9/:x") * 2:
            self.assertToldToComeBack(self.get(query))
        head = self.get("topic=memory/{x}", method="HEAD")
        self.assertEqual(head.status, 503)
        self.assertGreater(head.headers["Retry-After"], "0")
        granted = token({"mercure": {"publish": ["memory/{y}"]}})
        headers = {"Authorization": f"Bearer {granted}", **FORM}
        answer = self.client.request("POST", PATH, headers, b"topic=memory/1")
        self.assertEqual(answer.status, 200)

    def test_patterns(self) -> None:
        """
        However many patterns subscribers have selected, others are served while a topic is compared
        with them.
        """
        self.serve()
        streams = [
            self.get("&".join(f"topic={{{name}}}/{number}" for number in range(100)))
            for name in "abcdefgh"
        ]
        fits, counts = Template.fits, list[int]()
        count = 0

        def slow(template: Template, topic: str) -> bool:
            nonlocal count
            count += 1
            self.clock.rightNow += 0.001
            return fits(template, topic)

        def other() -> None:
            counts.append(count)
            self.clock.callLater(0, other)

        self.clock.callLater(0, other)
        with mock.patch.object(Template, "fits", slow):
            answer = self.client.request(
                "POST",
                PATH,
                {"Authorization": f"Bearer {token(EVERYTHING)}", **FORM},
                b"topic=x/99",
            )
            self.clock.pump([0.001] * 50)
        self.assertEqual(answer.status, 200)
        self.assertEqual([len(stream.events) for stream in streams], [1] * len(streams))
        self.assertEqual(count, 800)
        between = [after - before for before, after in itertools.pairwise([0, *counts])]
        self.assertLessEqual(max(between), 64 + 20)
