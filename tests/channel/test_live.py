"""
Tests for the comment of L{twisted_sse.Channel} that marks for a client where new events begin.
"""

from __future__ import annotations

from tests.support.channels import ChannelTestCase, data, lastEventID
from tests.support.store_case import StoreTestCase
from twisted_sse import Channel, History
from twisted_sse.testing import MemoryStream

LIVE = ": live\n"


def around(browser: MemoryStream) -> list[list[str]]:
    """
    @return: the data of the events before the comment, and of those after it.
    """
    parts = browser.text.split(LIVE)
    return [
        [line[6:] for line in part.split("\n") if line.startswith("data: ") and line[6:] != "{}"]
        for part in parts
    ]


class LiveTests(ChannelTestCase):
    """
    Tests for a channel in memory.
    """

    def marked(self, history: History | None = None) -> Channel:
        """
        Serve a channel with the comment.
        """
        return self.serve(Channel(history or History(), liveComment="live"))

    def test_nothingReplayed(self) -> None:
        """
        A new client receives the comment immediately, after its position and without an extra blank
        line, and events published later follow it.
        """
        channel = self.marked()
        browser = self.connect()
        self.assertRegex(
            browser.text,
            r"\A:\nretry: 3000\nevent: stream-position\nid: .*\ndata: {}\n\n: live\n\Z",
        )
        channel.publish("new")
        self.turn()
        self.assertEqual(around(browser), [[], ["new"]])
        self.assertEqual(data(browser), ["new"])

    def test_nothingMissed(self) -> None:
        """
        A client that has missed nothing receives the comment, too.
        """
        channel = self.marked()
        seen = channel.publish("seen").id or ""
        self.assertEqual(self.connect(seen).text, f":\nretry: 3000\n{LIVE}")

    def filled(self) -> str:
        """
        Serve a channel with five events.

        @return: the ID of the first.
        """
        channel = self.marked()
        first, *_ = [channel.publish(str(number)).id or "" for number in range(5)]
        return first

    def test_replayed(self) -> None:
        """
        The comment follows the replayed events in the same write, whichever ID the client connected
        with.
        """
        for identifier, last, before in (
            (self.filled(), 0, ["1", "2", "3", "4"]),
            ("", 2, ["3", "4"]),
            ("unknown", 0, ["0", "1", "2", "3", "4"]),
        ):
            browser = self.connect(identifier, last=last)
            writes = len(self.told("sent"))
            self.channel.publish("new")
            self.turn()
            self.assertEqual(around(browser), [before, ["new"]])
            self.assertEqual(writes, 0)
            self.filled()

    def test_pieces(self) -> None:
        """
        After a replay of several pieces it is sent once, at the end, and events published meanwhile
        no longer count as new.
        """
        self.marked()
        channel = self.channel
        seen = channel.publish("first").id or ""
        sent = [str(number).ljust(1000, "-") for number in range(100)]
        for each in sent:
            channel.publish(each)
        settle, self.clock.settle = self.clock.settle, lambda: None  # type: ignore[method-assign]
        browser = self.connect(seen)
        self.turn()
        self.assertNotIn(LIVE, browser.text)
        channel.publish("meanwhile")
        self.clock.settle = settle  # type: ignore[method-assign]
        for _ in range(10):
            self.turn()
        channel.publish("new")
        self.turn()
        self.assertEqual(around(browser), [[*sent, "meanwhile"], ["new"]])

    def test_again(self) -> None:
        """
        A stream that subscribes again does not receive the comment again, but does get its missed
        events.
        """
        channel = self.marked()
        browser = self.connect()
        (stream,) = self.streams
        channel.unsubscribe(stream)
        channel.publish("missed")
        channel.subscribe(stream)
        self.turn()
        self.assertEqual(around(browser), [[], ["missed"]])

    def test_notAsked(self) -> None:
        """
        A channel sends the comment only if the option is set, which needs a history.
        """
        self.serve()
        self.assertNotIn("live", self.connect().text)
        self.assertRaises(ValueError, Channel, None, liveComment="live")
        self.assertRaises(TypeError, Channel, liveComment=5)


class StoredLiveTests(StoreTestCase):
    """
    Tests for a channel with a store.
    """

    def test_older(self) -> None:
        """
        The comment follows the events that only the store had, and precedes those published after
        the client has caught up.
        """
        self.start(window=3, liveComment="live")
        (first, *_) = self.publish(*range(20))
        browser = self.connect(first.id or "")
        self.settle()
        self.publish(99)
        self.assertEqual(around(browser), [[str(each) for each in range(1, 20)], ["99"]])
        browser = self.connect(lastEventID(browser))
        self.publish(100)
        self.assertEqual(around(browser), [[], ["100"]])

    def test_parked(self) -> None:
        """
        A client that connected before the store was open receives the comment once the store is
        open.
        """
        self.start(liveComment="live")
        self.publish(1)
        self.start(open=False, liveComment="live")
        browser = self.connect(last=5)
        self.assertNotIn(LIVE, browser.text)
        self.settle()
        self.publish(2)
        self.assertEqual(around(browser), [["1"], ["2"]])
