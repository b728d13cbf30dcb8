"""
Tests for channels on real sockets: disconnected clients leave nothing behind.
"""

from __future__ import annotations

import random
from typing import Any

from tests.support.leaks import LeakTestCase
from tests.support.live import Client, openDescriptors, reactor, until
from tests.support.live_channels import ChannelTestCase, Progress, accept, portOf, told, turns
from tests.support.live_streams import NARROW, SMALL
from tests.support.requirements import needs
from twisted_sse import EventStream, History


class ChannelLeakTestCase(ChannelTestCase, LeakTestCase):
    """
    Counts what exists before and after.
    """

    async def begin(self, history: History | None = None, **options: Any) -> None:
        """
        Serve a channel, and let one client connect and disconnect, to create objects that are
        created only once.
        """
        self.makeChannel(history)
        self.server = self.serve(self.choose, **{"heartbeat": None, **options})
        await self.watch(self.server)
        await self.join(self.server, 1)
        self.publish()
        self.forget()
        await until(lambda: not self.channel.streams, "its stream is closed")
        self.opened = openDescriptors()

    def choose(self, stream: EventStream) -> None:
        """
        Subscribe a stream to the topics that its client requests.
        """
        assert stream.request is not None
        choices: dict[bytes, dict[str, Any]] = {
            b"/": {},
            b"/topics": {"topics": ["even", "prime"]},
            b"/where": {"where": lambda event: True},
        }
        self.channel.subscribe(stream, **choices[stream.request.uri])

    async def assertGone(self) -> None:
        """
        Assert that clients have left nothing behind.
        """
        await until(lambda: not self.channel.streams, "all streams are closed")
        await turns()
        await self.assertNothingLeft()
        self.assertEqual(openDescriptors(), self.opened)


@needs("network")
class LeakTests(ChannelLeakTestCase):
    """
    Tests that disconnected clients leave nothing behind.
    """

    async def test_comeAndGo(self) -> None:
        """
        300 clients that end in every way while events are published leave no stream, delayed call
        or file descriptor, with the garbage collector off.
        """
        await self.begin(
            History(maxEvents=50), maxPending=2**14, stallTimeout=30, heartbeat=15, site=NARROW
        )
        choose = random.Random(7)
        options: dict[str, Any] = {"receiveBuffer": SMALL}
        here: list[Client] = []
        come, ids = 0, [""]
        while come < 300 or here:
            if come < 300:
                for _ in range(choose.randrange(10)):
                    headers = accept(choose.choice(ids))
                    path = choose.choice(["/", "/topics", "/where"])
                    client = self.server.get(path, headers, **options)[0]
                    come += 1
                    if choose.random() < 0.3:
                        client.stopReading()
                    here.append(client)
            topics = choose.choice([[], ["even"], ["odd", "prime"]])
            self.publish(choose.randrange(3), size=choose.randrange(5000), topics=topics)
            ids.append(self.published[-1].id or "")
            await turns(choose.randrange(4))
            choose.shuffle(here)
            for _ in range(min(len(here), choose.randrange(12))):
                client = here.pop()
                how = choose.choice(["close", "reset", "abort", "end", "unsubscribe"])
                if how in ("close", "reset"):
                    getattr(client, how)()
                    continue
                port = client.socket.getsockname()[1]
                for stream in self.channel.streams:
                    if portOf(stream) == port and how == "unsubscribe":
                        self.channel.unsubscribe(stream)
                    elif portOf(stream) == port:
                        getattr(stream, how)()
                    del stream
                # Some of these clients do not read, so that their stream would never end.
                client.close()
            # The variable would keep the last client.
            client = None
        self.assertGreater(len(self.reasons.closedFor), 200)
        await self.assertGone()

    async def test_reconnecting(self) -> None:
        """
        A client that reconnects as fast as it can gets each event once, and delayed calls, streams
        and file descriptors do not accumulate.
        """
        await self.begin(heartbeat=15)
        progress = Progress(self.published, next=1)
        last = self.published[0].id or ""
        sizes: list[tuple[int, int, int]] = []
        for _ in range(300):
            client, response = self.server.get(headers=accept(last))
            self.publish()
            await until(lambda response=response: response.events, "it is served")
            progress.follow(response)
            last = told(response)
            choice = len(sizes) % 3
            if choice:
                client.close()
            else:
                client.reset()
            self.server.clients.remove(client)
            del client, response
            await turns(1)
            calls = [each for each in reactor.getDelayedCalls() if each.active()]
            sizes.append((len(calls), len(self.channel.streams), openDescriptors()))
        self.assertEqual(progress.last, len(self.published) - 1)
        self.assertEqual(progress.seen, {"message": 300})
        for kind in range(3):
            early = max(size[kind] for size in sizes[:30])
            late = max(size[kind] for size in sizes[-30:])
            self.assertLessEqual(late, early + 3)
        await self.assertGone()
