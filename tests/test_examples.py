"""
Tests for the examples, in memory.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from hashlib import sha256
from unittest import mock
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.support.channels import received
from tests.support.documents import DOCS, read
from tests.support.examples import ACCEPT, EXAMPLES, FORM, HELLO, example
from twisted_sse import Channel, EventStreamResource, MessageEvent
from twisted_sse.store import NotStored
from twisted_sse.testing import MemoryClient, MemoryStream


class MemoryTests(SynchronousTestCase):
    """
    Tests for the examples, in memory.
    """

    def test_helloResource(self) -> None:
        """
        A client that requests events gets C{hello} every two seconds, and any other gets C{ok}.
        """
        client = MemoryClient(example("hello_resource").resource)
        stream = client.get("/", headers=ACCEPT)
        client.clock.advance(4)
        self.assertEqual(received(stream), [HELLO, HELLO])
        self.assertEqual(client.get("/").text, "ok\n")
        stream.disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_helloKlein(self) -> None:
        """
        One route ticks forever, and the other counts and ends.
        """
        client = MemoryClient(example("hello_klein").app.resource())
        hello, count = client.get("/hello"), client.get("/count/3")
        client.clock.advance(2)
        self.assertEqual(received(hello), [HELLO])
        self.assertEqual([event.data for event in received(count)], ["1", "2", "3"])
        self.assertTrue(count.complete)
        hello.disconnect()

    def test_countdown(self) -> None:
        """
        The countdown ends with an C{end} event, and a client that reconnects gets a 204.
        """
        client = MemoryClient(example("countdown").resource)
        stream = client.get("/")
        client.clock.advance(5)
        data = [event.data for event in received(stream)]
        self.assertEqual(data, ["5", "4", "3", "2", "1", "lift-off", "{}"])
        self.assertEqual(received(stream)[-1], MessageEvent("end", "{}", "end"))
        self.assertTrue(stream.complete)
        again = client.get("/", headers={"Last-Event-ID": received(stream)[-1].lastEventID})
        self.assertEqual(again.status, 204)

    def test_countdownResumed(self) -> None:
        """
        A client that reconnects gets the rest of the countdown.
        """
        client = MemoryClient(example("countdown").resource)
        stream = client.get("/", headers={"Last-Event-ID": "3"})
        self.assertEqual([event.data for event in received(stream)], ["2"])
        stream.disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_tickerSource(self) -> None:
        """
        The ticker starts at one, or after the client's last event ID.
        """
        resource = EventStreamResource(example("ticker_source").connected)
        client = MemoryClient(resource)
        for lastEventID, first in ("", "tick 1"), ("41", "tick 42"):
            stream = client.get("/", headers={"Last-Event-ID": lastEventID})
            self.assertEqual([event.data for event in received(stream)], [first])
            stream.disconnect()

    def test_uploadProgress(self) -> None:
        """
        Clients that watch an upload get its progress and its result, and nothing about others.
        """
        upload = example("upload_progress")
        self.patch(upload, "deferToThread", lambda work, *given: succeed(work(*given)))
        client = MemoryClient(upload.app.resource())
        client.site.requestFactory = upload.Upload
        mine, other = client.get("/uploads/mine"), client.get("/uploads/other")
        answer = client.post("/files", {"Upload-ID": "mine"}, b"hello")
        digest = sha256(b"hello").hexdigest()
        self.assertEqual(answer.text, digest)
        done = {"received": 5, "total": 5, "state": "received"}
        self.assertEqual(
            [(event.type, event.json()) for event in received(mine)],
            [("progress", done), ("result", {"sha256": digest})],
        )
        client.post("/files", body=b"without a name")
        self.assertEqual(received(other), [])
        client.close()

    def test_chat(self) -> None:
        """
        A line posted to a room reaches its current, reconnecting and later clients, and an invalid
        line is refused.
        """
        client = MemoryClient(example("chat_klein").app.resource())
        lobby, kitchen = client.get("/rooms/lobby"), client.get("/rooms/kitchen")
        said = client.post("/rooms/lobby", FORM, "name=Ada&text=%3Cb%3E hello%00")
        self.assertEqual(said.status, 204)
        line = {"name": "Ada", "text": "<b> hello\0"}
        self.assertEqual([event.json() for event in received(lobby)], [line])
        self.assertEqual(received(kitchen), [])
        lobby.disconnect()
        client.post("/rooms/lobby", FORM, "name=Ada&text=2")
        lastEventID = received(lobby)[-1].lastEventID
        again = client.get("/rooms/lobby", headers={"Last-Event-ID": lastEventID})
        self.assertEqual([event.json()["text"] for event in received(again)], ["2"])
        self.assertEqual(len(received(client.get("/rooms/lobby"))), 2)
        for form in "", "name=Ada", "text=2", "name=%20&text=%20":
            self.assertEqual(client.post("/rooms/lobby", FORM, form).status, 400)
        client.close()

    def test_chatRedis(self) -> None:
        """
        A line reaches the clients of its room, once for each key; the response is 503 if Redis does
        not accept the line, and 422 for another line with the same key.
        """
        chat = example("chat_redis")
        self.patch(chat, "channel", Channel(name="chat"))
        client = MemoryClient(chat.app.resource())
        self.assertIn('EventSource("rooms/lobby")', client.get("/").text)
        lobby, kitchen = client.get("/rooms/lobby"), client.get("/rooms/kitchen")
        for headers in FORM, {**FORM, "Idempotency-Key": "k"}, {**FORM, "Idempotency-Key": "k"}:
            said = client.post("/rooms/lobby", headers, "name=Ada&text=hello")
            self.assertEqual(said.status, 204)
        line = {"name": "Ada", "text": "hello"}
        self.assertEqual([event.json() for event in received(lobby)], [line, line])
        self.assertEqual(received(kitchen), [])
        self.assertEqual(client.post("/rooms/lobby", FORM, "name=Ada").status, 400)
        reused = client.post("/rooms/lobby", {**FORM, "Idempotency-Key": "k"}, "name=Ada&text=bye")
        self.assertEqual(reused.status, 422)
        failing = mock.Mock(return_value=fail(NotStored(True, "it does not answer")))
        self.patch(chat.channel, "publishAndWait", failing)
        said = client.post("/rooms/lobby", FORM, "name=Ada&text=hello")
        self.assertEqual((said.status, "it does not answer" in said.text), (503, True))
        client.close()

    def test_dashboard(self) -> None:
        """
        A client gets all values and then each at its rate; a client that does not read gets the
        newest values and a C{stream-gap}.
        """
        dashboard = example("dashboard")
        client = MemoryClient(dashboard.resource)
        dashboard.begin(client.clock)
        stream = client.get("/", headers=ACCEPT)
        types = [event.type for event in received(stream)]
        self.assertEqual(sorted(types), sorted(dashboard.gauges))
        client.clock.advance(10)
        counts = Counter(event.type for event in received(stream))
        self.assertEqual(counts["cpu"], 3)
        self.assertGreater(counts["uptime"], 90)
        stream.stopReading(kernelBuffer=0)
        # More than the transport holds.
        dashboard.show("uptime", lambda: 100_000 * "x")
        client.clock.advance(50)
        stream.resumeReading()
        types = [event.type for event in received(stream)]
        gap = types.index("stream-gap")
        self.assertGreater(received(stream)[gap].json()["dropped"], 300)
        self.assertEqual(types[gap - 1], "uptime")
        self.assertLess(len(types[gap:]), 150)
        self.assertIn(
            "text/html",
            client.get("/", headers={"Accept": "text/html"}).headers.get("Content-Type") or "",
        )
        client.close()

    def test_notifications(self) -> None:
        """
        Each user gets their own notifications while the session lasts.
        """
        notifications = example("notifications")
        client = MemoryClient(notifications.app.resource())

        def logIn(user: str) -> dict[str, str]:
            answer = client.post("/login", FORM, f"user={user}")
            cookie, _, attributes = (answer.headers.get("Set-Cookie") or "").partition(";")
            self.assertEqual(bool(cookie), "HttpOnly" in attributes)
            return {"Cookie": cookie}

        ada, eve, nobody = map(logIn, ["ada", "eve", "nobody"])
        statuses = [client.get("/events", headers).status for headers in (ada, eve, nobody, {})]
        self.assertEqual(statuses, [200, 403, 401, 401])
        stream, others = client.get("/events", ada), client.get("/events", logIn("grace"))
        notifications.channel.publish("for ada", topics=["user:ada"])
        self.assertEqual(received(stream)[-1].data, "for ada")
        self.assertEqual(received(others)[-1].data, "grace is here")
        self.assertEqual(client.post("/logout", ada).status, 302)
        self.assertEqual((stream.complete, others.ended), (True, False))
        self.assertEqual(client.get("/events", ada).status, 401)
        client.close()

    def test_progress(self) -> None:
        """
        New and reconnecting clients get the progress of the job and its result, even after it is
        done.
        """
        client = MemoryClient(example("progress").root)
        started = client.post("/jobs")
        self.assertEqual(started.status, 201)
        path = started.headers["Location"]
        stream = client.get(path)
        client.clock.advance(0.5)
        self.assertEqual([event.data for event in received(stream)], ["0", "2", "4"])
        stream.disconnect()
        client.clock.advance(0.4)
        lastEventID = received(stream)[-1].lastEventID
        again = client.get(path, headers={"Last-Event-ID": lastEventID})
        new = client.get(path)
        self.assertEqual([event.data for event in received(again)], ["6", "8"])
        self.assertEqual([event.data for event in received(new)], ["8"])
        client.clock.advance(60)
        later = client.get(path)
        for each in again, new, later:
            self.assertEqual(
                [event.type for event in received(each)[-2:]], ["result", "end"], received(each)
            )
            self.assertTrue(each.complete)
        self.assertEqual(received(later)[0].data, "It is done.")
        back = client.get(path, headers={"Last-Event-ID": lastEventID})
        self.assertEqual([event.data for event in received(back)[-3:]], ["98", "It is done.", "{}"])
        self.assertEqual(client.get(path, headers={"Last-Event-ID": "end"}).status, 204)
        client.clock.advance(3600)
        self.assertEqual(client.get(path).status, 404)

    def test_progressFails(self) -> None:
        """
        The failure of a job is logged.
        """
        progress = example("progress")
        client = MemoryClient(progress.root)
        self.patch(progress, "deferLater", mock.Mock(side_effect=[ZeroDivisionError, Deferred()]))
        client.post("/jobs")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class HubTests(SynchronousTestCase):
    """
    Tests for the examples with a hub, in memory.
    """

    HUB = "/.well-known/mercure"

    def cookie(self, stream: MemoryStream) -> dict[str, str]:
        """
        @return: the cookie that a response sets, for the hub alone, and hidden from scripts.
        """
        cookie, _, attributes = (stream.headers.get("Set-Cookie") or "").partition(";")
        for each in f"Path={self.HUB}", "HttpOnly", "SameSite=strict":
            self.assertIn(each, attributes)
        return {"Cookie": cookie}

    def test_orders(self) -> None:
        """
        A customer receives each state of their own orders and of no others, whatever name the
        request gives; without a token, no events are sent.
        """
        client = MemoryClient(example("orders_hub").app.resource())
        ordered = client.post("/orders", FORM, "customer=ada&article=tea")
        self.assertEqual((ordered.status, ordered.text), (201, "1\n"))
        ada = self.cookie(ordered)
        eve = self.cookie(client.post("/orders", FORM, "customer=eve&article=milk"))
        path = f"{self.HUB}?topic=*&lastEventID=earliest"
        streams = [client.get(path, headers) for headers in (ada, eve)]
        client.clock.advance(2)
        client.clock.advance(2)
        told = [[event.json() for event in stream.events] for stream in streams]
        states = ["ordered", "packed", "shipped"]
        expected = [{"number": 1, "article": "tea", "state": state} for state in states]
        self.assertEqual(told[0], expected)
        self.assertEqual({each["number"] for each in told[1]}, {2})
        self.assertEqual(client.get(path).status, 401)
        for name in ("", "Ada", "{id}", "*", "ada/orders/1", "ad\n"):
            form = urlencode({"customer": name, "article": "x"})
            self.assertEqual(client.post("/orders", FORM, form).status, 400, name)
        client.close()

    def test_presence(self) -> None:
        """
        A member of a room receives its lines, and a notice when others join and leave; other
        clients receive neither.
        """
        client = MemoryClient(example("presence_chat").app.resource())
        ada, eve = (
            self.cookie(client.post(f"/rooms/{room}/enter", FORM, f"name={name}"))
            for room, name in (("lobby", "Ada"), ("kitchen", "Eve"))
        )
        there = f"{self.HUB}/subscriptions/lobby"
        path = f"{self.HUB}?topic=lobby&topic={there}/{{subscriber}}&lastEventID=earliest"
        stream, other = client.get(path, ada), client.get(path, eve)
        said = client.post("/rooms/lobby/say", FORM, "name=Ada&text=%3Cb%3E")
        self.assertEqual(said.status, 204)
        bob = self.cookie(client.post("/rooms/lobby/enter", FORM, "name=Bob"))
        client.get(path, bob).disconnect()
        client.clock.settle()
        line, *presence = [event.json() for event in stream.events]
        self.assertEqual(line, {"name": "Ada", "text": "<b>"})
        self.assertEqual(
            [(each["payload"]["name"], each["active"]) for each in presence],
            [("Bob", True), ("Bob", False)],
        )
        self.assertEqual(other.events, [])
        answers = [client.get(there, headers) for headers in (ada, eve, {})]
        self.assertEqual([answer.status for answer in answers], [200, 403, 401])
        listed = json.loads(answers[0].text)["subscriptions"]
        # A client that subscribes without a key is not in the room.
        self.assertEqual([each["payload"] for each in listed], [{"name": "Ada"}])
        for room, form in (
            ("lobby", "name=%20"),
            ("lob-by", "name=Ada"),
            ("%7Broom%7D", "name=Ada"),
            ("lobby%0A", "name=Ada"),
        ):
            for what in "enter", "say":
                answer = client.post(f"/rooms/{room}/{what}", FORM, f"{form}&text=x")
                self.assertEqual(answer.status, 400, room)
        client.close()


class GalleryTests(SynchronousTestCase):
    """
    Tests that the gallery is complete.
    """

    def test_examples(self) -> None:
        """
        Each example is in the gallery once, and everything there exists.
        """
        linked = re.findall(r"\]\(\.\./examples/([\w./-]+)\)", read("gallery.md"))
        actual = [path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"]
        self.assertEqual(sorted(linked), sorted(actual))

    def test_pictures(self) -> None:
        """
        Each picture is shown once, and belongs to an example.
        """
        shown = re.findall(r"\]\(gallery/(\w+)\.png\)", read("gallery.md"))
        made = [path.stem for path in (DOCS / "gallery").iterdir()]
        self.assertEqual(sorted(shown), sorted(made))
        self.assertLessEqual(set(made), {path.stem for path in EXAMPLES.iterdir()})
