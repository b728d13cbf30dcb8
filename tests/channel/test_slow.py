"""
Tests for L{twisted_sse.channel.channel}, in memory: clients that do not read.
"""

from __future__ import annotations

from tests.support.channels import ChannelTestCase, data, heads, lastEventID, received
from tests.support.streams import BIG
from twisted_sse import CloseReason, SlowReader


class SlowReaderTests(ChannelTestCase):
    """
    Tests for clients that do not read the published events.
    """

    def test_disconnect(self) -> None:
        """
        A client that is too slow is disconnected, and loses nothing when it reconnects.
        """
        channel = self.serve(maxPending=50_000)
        browser, witness = self.connect(), self.connect()
        browser.stopReading(kernelBuffer=30_000)
        sent = [str(number).ljust(2000, "-") for number in range(200)]
        for each in sent:
            channel.publish(each)
            self.turn()
        self.assertIs(self.reason(self.streams[0]), CloseReason.SLOW)
        browser.resumeReading()
        first = data(browser)
        self.assertLess(len(first), 100)
        again = self.connect(lastEventID(browser))
        self.assertEqual(heads(first + data(again)), heads(sent))
        self.assertEqual(heads(data(witness)), heads(sent))

    def test_dropOldest(self) -> None:
        """
        With C{DROP_OLDEST} the client receives the number of dropped events, at the place where
        they are missing.
        """
        channel = self.serve(maxPending=1000, slow=SlowReader.DROP_OLDEST)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(100):
            channel.publish(str(number))
            self.turn()
        browser.resumeReading()
        self.assertEqual(received(browser)[0].data, BIG)
        self.assertEqual(received(browser)[1].type, "stream-gap")
        dropped = received(browser)[1].json()["dropped"]
        self.assertGreater(dropped, 50)
        self.assertEqual(data(browser)[2:], [str(number) for number in range(dropped, 100)])

    def test_dropOldestAtOnce(self) -> None:
        """
        With C{DROP_OLDEST} the client is notified of dropped events even if all were published in
        one turn.
        """
        channel = self.serve(maxPending=1000, slow=SlowReader.DROP_OLDEST)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        for number in range(100):
            channel.publish(str(number))
        self.clock.settle()
        browser.resumeReading()
        self.assertEqual(received(browser)[1].type, "stream-gap")
        dropped = received(browser)[1].json()["dropped"]
        self.assertEqual(data(browser)[2:], [str(number) for number in range(dropped, 100)])

    def test_latest(self) -> None:
        """
        With C{LATEST} the client gets the newest event of each type.
        """
        channel = self.serve(maxPending=500, slow=SlowReader.LATEST)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(100):
            channel.publish(str(number), event=f"type{number % 3}")
            self.turn()
        browser.resumeReading()
        self.assertEqual(received(browser)[1].type, "stream-gap")
        kept = received(browser)[2:]
        self.assertEqual(len(kept) + received(browser)[1].json()["dropped"], 100)
        self.assertEqual({event.data for event in kept} & {"97", "98", "99"}, {"97", "98", "99"})

    def test_gapThenResume(self) -> None:
        """
        A client disconnected before its C{stream-gap} gets the dropped events when it reconnects.
        """
        channel = self.serve(maxPending=500, slow=SlowReader.DROP_OLDEST)
        browser = self.connect()
        channel.publish("first")
        self.clock.settle()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(100):
            channel.publish(str(number))
            self.turn()
        browser.disconnect()
        again = self.connect(lastEventID(browser))
        self.assertEqual(data(again), [BIG, *(str(number) for number in range(100))])

    def test_oneLarger(self) -> None:
        """
        A single event larger than C{maxPending} does not disconnect a client.
        """
        channel = self.serve(maxPending=1000)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish("x" * 500_000)
        self.clock.advance(1)
        browser.resumeReading()
        self.assertEqual(data(browser), ["x" * 500_000])

    def test_burst(self) -> None:
        """
        A burst much larger than C{maxPending} in one turn does not disconnect a client that reads.
        """
        channel = self.serve(maxPending=200_000)
        browsers = [
            self.connect(),
            self.connect(topics=["t"]),
            self.connect(where=lambda event: True),
            self.connect(topics=["t"], where=lambda event: True),
        ]
        sent = [str(number).ljust(50_000, "-") for number in range(40)]
        for each in sent:
            channel.publish(each, topics=["t"])
        for browser in browsers:
            self.assertEqual(heads(data(browser)), heads(sent))
