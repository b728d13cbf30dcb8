"""
Tests for several daemons with one Redis server: the claims of the page about many processes and
machines, and a browser whose server is killed.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing
from tests.support.daemons import FOREGROUND, PATIENCE, SERVE, until
from tests.support.documents import blocks, read
from tests.support.examples import EXAMPLES
from tests.support.live import reactor
from tests.support.many import ManyMixin, Subscriber
from tests.support.ports import freePort
from tests.support.proxies import startNginx
from tests.support.requirements import ROOT, needs

PAGE = "howto-redis.md"


class AskMixin(ManyMixin):
    """
    Sends requests to daemons.
    """

    def ask(self, port: int, path: str, data: str | None = None) -> tuple[int, str]:
        """
        Make a request.

        @param data: the data to publish; L{None} to publish nothing.
        @return: the status, and the body of the response.
        """
        with closing(http.client.HTTPConnection("localhost", port, timeout=PATIENCE)) as connection:
            method, body = ("GET", None) if data is None else ("POST", data.encode())
            connection.request(method, path, body, {"Content-Type": "text/plain"})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def figure(self, port: int, name: str) -> float:
        """
        @return: the value of a metric.
        """
        _, text = self.ask(port, "/metrics")
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        self.assertIsNotNone(found, name)
        assert found is not None
        return float(found[1])

    def pair(self, *options: str) -> tuple[int, int]:
        """
        @return: the ports of two daemons.
        """
        (_, here), (_, there) = self.daemon(*options), self.daemon(*options)
        return here, there

    def data(self, subscriber: Subscriber) -> list[str]:
        """
        @return: the events of publishers that a subscriber has received.
        """
        return [event.data for event in subscriber.events if event.type == "message"]

    def types(self, subscriber: Subscriber) -> list[str]:
        """
        @return: the types of the events that a subscriber has received.
        """
        return [event.type for event in subscriber.events]


@needs("network", "redis")
class PageTests(AskMixin):
    """
    Tests for the code on the page.
    """

    def test_daemons(self) -> None:
        """
        Two daemons, started as on the page in one directory, deliver events published through
        either of them, and entries added to Redis.
        """
        shown = "".join(blocks(PAGE, "console", "## With the daemon"))
        commands = re.findall(r"^\$ twisted-sse serve (.*)$", shown, re.MULTILINE)
        self.assertEqual(len(commands), 2)
        subscribers = []
        for command in commands:
            self.port = freePort()
            words = command.replace("redis://localhost", self.redisURL).split()
            words[words.index("--port") + 1] = str(self.port)
            self.spawn(*SERVE, *words)
            until(self.isListening)
            until(lambda: self.isReady(self.port))
            subscribers.append(self.subscribe(self.port))
        self.assertEqual(self.ask(self.port, "/", "hello")[0], 200)
        [add] = re.findall(r"^\$ (redis-cli .*)$", shown, re.MULTILINE)
        add = add.replace("redis-cli", f"redis-cli -p {self.redis.port}").replace("hello", "bye")
        self.assertEqual(self.run_("sh", "-c", add).returncode, 0)
        for subscriber in subscribers:
            self.assertEqual([event.data for event in subscriber.until("bye")], ["hello"])

    def test_processes(self) -> None:
        """
        The command on the page starts several processes, which deliver events published through any
        of them, and stops them all.
        """
        [command] = re.findall(r"`twisted-sse serve (.* --processes .*?)`", read(PAGE))
        self.port = freePort()
        words = command.replace("redis://localhost", self.redisURL).split()
        process = self.spawn(*SERVE, *words, "--port", str(self.port))
        until(self.isListening)
        # Not all processes may be ready, but from this position on no client misses anything.
        place = self.redis.cli("XADD", "sse:/", "*", "data", "begin")
        subscribers = [self.subscribe(self.port, lastEventID=place) for _ in range(20)]
        for number in range(5):
            # Each over its own connection, which any of them may accept.
            self.post(self.port, str(number))
        for subscriber in subscribers:
            events = subscriber.until("4")
            self.assertEqual([event.data for event in events], ["0", "1", "2", "3"])
        process.terminate()
        self.finish(process)
        self.assertFalse(self.isListening())

    def test_application(self) -> None:
        """
        The program on the page delivers entries added to the stream of its channel.
        """
        program = blocks(PAGE, "python", "## In your own application")[0]
        self.port = freePort()
        for shown, here in ("redis://localhost:6379/0", self.redisURL), ("8081", str(self.port)):
            self.assertEqual(program.count(shown), 1)
            program = program.replace(shown, here)
        self.spawn(sys.executable, "-c", program)
        until(self.isListening)
        # From its opening on it has a position in the stream.
        until(lambda: self.redis.cli("EXISTS", "sse:news") == "1")
        self.redis.cli("XADD", "sse:news", "*", "data", "first")
        subscriber = self.subscribe(self.port, lastEventID="1-1")
        subscriber.until("first")
        self.redis.cli("XADD", "sse:news", "*", "data", "hello")
        self.assertEqual([event.data for event in subscriber.until("hello")], ["{}", "first"])

    def test_contract(self) -> None:
        """
        An entry that any program has added as documented is an event; other entries are skipped and
        counted; clients can resume from the ID of an entry, and from C{<} with the ID.
        """
        [command] = re.findall(r"^`(XADD .*)`$", read("ref-stores.md"), re.MULTILINE)
        _, port = self.daemon()
        staff = self.subscribe(port, "/?topic=staff")
        everything = self.subscribe(port)
        words = command.replace("sse:news", "sse:/").split()
        identifier = self.redis.cli(*words)
        for fields in (
            ("other", "x"),
            ("data", "x", "event", "two\nlines"),
            ("data", "x", "data", "y"),
            ("data", "x", "retry", "soon"),
        ):
            self.redis.cli("XADD", "sse:/", "*", *fields)
        self.redis.cli(
            "XADD", "sse:/", "*", "comment", "c", "data", "1\n2", "retry", "7000", "mine", "?"
        )
        self.assertEqual([event.data for event in everything.until("1\n2")], ["hello"])
        [event] = everything.events[:1]
        self.assertEqual((event.type, event.lastEventID), ("greeting", identifier))
        staff.until("hello")
        self.assertEqual(self.figure(port, "sse_store_skipped_total"), 4)
        after = self.subscribe(port, lastEventID=identifier)
        self.assertEqual(after.until("1\n2"), [])
        before = self.subscribe(port, lastEventID=f"<{identifier}")
        self.assertEqual([event.data for event in before.until("1\n2")], ["hello"])
        [_, first, *_] = json.loads(
            self.redis.cli("--json", "XRANGE", "sse:/", "-", "+", "COUNT", "1")
        )[0]
        self.assertEqual(first[:2], ["sse", "begin"])

    def test_rights(self) -> None:
        """
        The users on the page have exactly the rights they need; without the optional ones,
        everything still works.
        """
        [shown] = blocks(PAGE, "text", "## Restrict access to Redis")
        users = {line.split()[2]: line.split()[3:] for line in shown.splitlines()}
        self.assertEqual(list(users), ["server", "shop"])
        for name, rights in users.items():
            self.redis.cli("ACL", "SETUSER", name, *rights)
        dispensable = {"+client|id", "+client|setname", "+client|unblock", "+info", "+script|load"}
        few = [right for right in users["server"] if right not in dispensable]
        self.assertEqual(len(few), len(users["server"]) - 5)
        self.redis.cli("ACL", "SETUSER", "few", *few)
        as_ = ("--user", "shop", "--pass", "t0ps3cret", "--no-auth-warning")
        subscribers = []
        for name in "server", "few":
            url = self.redisURL.replace("redis://", f"redis://{name}:s3cret@")
            _, port = self.daemon("--store", url, "--store-age", "60")
            subscribers.append(self.subscribe(port))
            for _ in range(2):
                self.post(port, name, **{"Idempotency-Key": name})
            batch = {"Content-Type": "application/x-ndjson"}
            with closing(http.client.HTTPConnection("localhost", port)) as connection:
                connection.request("POST", "/", b'{"data":"1"}\n{"data":"2"}\n', batch)
                self.assertEqual(connection.getresponse().status, 200)
        self.redis.cli(*as_, "XADD", "sse:/", "*", "data", "from the shop")
        self.assertIn("NOPERM", self.redis.cli(*as_, "XRANGE", "sse:/", "-", "+"))
        self.assertIn("NOPERM", self.redis.cli(*as_, "XADD", "sse:/other", "*", "data", "x"))
        everything = ["server", "1", "2", "few", "1", "2"]
        for subscriber, expected in zip(subscribers, (everything, everything[3:]), strict=True):
            events = subscriber.until("from the shop")
            self.assertEqual([event.data for event in events], expected)
        refused = re.findall(r"^username\n(\w+)", self.redis.cli("ACL", "LOG"), re.MULTILINE)
        self.assertNotIn("server", refused)


@needs("network", "redis")
class FailureTests(AskMixin):
    """
    Tests for the table of guarantees in each failure.
    """

    def test_restarted(self) -> None:
        """
        While a Redis server that keeps its data is unreachable, streams stay open, publishing
        fails, the health check reports it, and clients are served from memory; afterwards
        everything continues without a gap.
        """
        self.redis = self.startRedis("--appendonly", "yes")
        here, there = self.pair()
        subscribers = [self.subscribe(port) for port in (here, there)]
        self.post(here, "one")
        self.post(there, "two")
        for subscriber in subscribers:
            subscriber.until("two")
        first = subscribers[0].events[0].lastEventID
        self.redis.kill()
        status, answer = self.ask(here, "/", "lost")
        self.assertEqual((status, json.loads(answer)["maybe"]), (503, False))
        status, answer = self.ask(here, "/readyz")
        self.assertEqual((status, answer.startswith("degraded: redis://")), (200, True))
        self.subscribe(there, lastEventID=first).until("two")
        waiting = self.subscribe(there, lastEventID="1-1")
        self.redis.begin()
        until(lambda: self.ask(here, "/readyz") == (200, "ok"))
        self.post(there, "three")
        for subscriber in subscribers:
            subscriber.until("three")
            self.assertEqual(self.data(subscriber), ["one", "two", "three"])
            self.assertEqual(set(self.types(subscriber)), {"message"})
        waiting.until("three")
        self.assertEqual(self.types(waiting)[0], "stream-reset")
        self.assertEqual(self.figure(here, "sse_store_resets_total"), 0)

    def test_hangs(self) -> None:
        """
        A Redis server that hangs is noticed after five seconds.  An event published meanwhile may
        be delivered; if it is published again with the same key, it is delivered once.
        """
        here, there = self.pair()
        subscriber = self.subscribe(there)
        self.redis.stop()
        headers = {"Idempotency-Key": "k", "Content-Type": "text/plain"}
        begin = time.monotonic()
        with closing(http.client.HTTPConnection("localhost", here, timeout=30)) as connection:
            connection.request("POST", "/", b"once", headers)
            response = connection.getresponse()
            self.assertEqual((response.status, json.loads(response.read())["maybe"]), (503, True))
        took = time.monotonic() - begin
        self.assertTrue(4 < took < 15, took)
        self.assertIn("degraded", self.ask(here, "/readyz")[1])
        self.redis.goOn()
        self.post(here, "once", **headers)
        self.post(here, "last")
        self.assertEqual([event.data for event in subscriber.until("last")], ["once"])

    def test_emptied(self) -> None:
        """
        When Redis is emptied, every subscriber is notified soon, and so is each client that
        reconnects with an older ID; IDs continue to increase.
        """
        here, there = self.pair()
        subscribers = [self.subscribe(port) for port in (here, there)]
        self.post(here, "one")
        for subscriber in subscribers:
            subscriber.until("one")
        self.redis.cli("FLUSHALL")
        for subscriber in subscribers:
            subscriber.readUntil(lambda subscriber=subscriber: len(subscriber.events) > 1)
            self.assertEqual(self.types(subscriber), ["message", "stream-reset"])
        self.post(there, "two")
        for subscriber in subscribers:
            subscriber.until("two")
            ids = [tuple(map(int, event.lastEventID.split("-"))) for event in subscriber.events]
            self.assertEqual(ids, sorted(set(ids)))
        late = self.subscribe(there, lastEventID=subscribers[0].events[0].lastEventID)
        late.until("two")
        self.assertEqual(self.types(late), ["stream-reset", "message"])
        for port in here, there:
            self.assertGreaterEqual(self.figure(port, "sse_store_resets_total"), 1)

    def test_clock(self) -> None:
        """
        When the clock of Redis is behind its newest ID, as after it was set back, IDs continue to
        increase, even after Redis was emptied.
        """
        here, there = self.pair()
        subscriber = self.subscribe(there)
        hour = 3_600_000
        ahead = f"{int(time.time() * 1000) + hour}-0"
        self.redis.cli("XADD", "sse:/", ahead, "data", "ahead")
        self.post(here, "one")
        self.post(there, "two")
        subscriber.until("two")
        self.assertEqual(self.data(subscriber), ["ahead", "one", "two"])
        late = self.subscribe(here, lastEventID=ahead)
        self.assertEqual([event.data for event in late.until("two")], ["one"])
        self.redis.cli("FLUSHALL")
        subscriber.readUntil(lambda: self.types(subscriber)[-1] == "stream-reset")
        until(lambda: self.figure(here, "sse_store_resets_total"))
        self.post(here, "three")
        subscriber.until("three")
        ids = [tuple(map(int, event.lastEventID.split("-"))) for event in subscriber.events]
        self.assertEqual(ids, sorted(set(ids)))

    def test_full(self) -> None:
        """
        When Redis' memory is full, publishers are notified immediately, the health check reports
        it, and clients can still resume; afterwards publishing continues.
        """
        here, there = self.pair()
        subscriber = self.subscribe(there)
        self.post(here, "one")
        self.post(here, "two")
        subscriber.until("two")
        self.redis.cli("CONFIG", "SET", "maxmemory", "1")
        begin = time.monotonic()
        status, answer = self.ask(here, "/", "lost")
        self.assertLess(time.monotonic() - begin, 4)
        self.assertEqual((status, json.loads(answer)["maybe"]), (503, False))
        self.assertIn("memory is full", answer)
        self.assertIn("degraded: events are not stored", self.ask(here, "/readyz")[1])
        late = self.subscribe(there, lastEventID=subscriber.events[0].lastEventID)
        self.assertEqual(late.until("two"), [])
        self.redis.cli("CONFIG", "SET", "maxmemory", "0")
        self.post(here, "three")
        subscriber.until("three")
        self.assertEqual(self.data(subscriber), ["one", "two", "three"])
        self.assertEqual(self.ask(here, "/readyz"), (200, "ok"))

    def test_lostTail(self) -> None:
        """
        When a replica that lacks the newest events takes over, subscribers are notified, and so are
        clients that have seen lost events; a client that was disconnected before resumes.
        """
        # The address of the daemons' server, like a name that is then assigned to another machine.
        name = self.directory / "redis.sock"
        name.symlink_to(self.redis.path)
        follows = ("--replicaof", "127.0.0.1", str(self.redis.port))
        self.redis.cli("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        replica = self.startRedis(*follows)
        here, there = self.pair("--store", f"unix://{name}")
        subscriber = self.subscribe(here)
        for number in "12":
            self.post(there, number)
        subscriber.until("2")
        first, second = [event.lastEventID for event in subscriber.events]
        until(lambda: replica.cli("XRANGE", "sse:/", second, second))
        replica.cli("REPLICAOF", "127.0.0.1", "1")
        self.post(there, "lost")
        subscriber.until("lost")
        lost = subscriber.position
        replica.cli("REPLICAOF", "NO", "ONE")
        name.unlink()
        name.symlink_to(replica.path)
        self.redis.kill()
        subscriber.readUntil(lambda: self.types(subscriber)[-1] == "stream-reset")
        until(lambda: self.ask(there, "/readyz") == (200, "ok"))
        self.post(there, "3")
        subscriber.until("3")
        self.assertEqual(self.types(subscriber), 3 * ["message"] + ["stream-reset", "message"])
        seen = self.subscribe(there, lastEventID=lost)
        seen.until("3")
        self.assertEqual(self.types(seen)[0], "stream-reset")
        away = self.subscribe(there, lastEventID=first)
        away.until("3")
        self.assertEqual((self.data(away), set(self.types(away))), (["2", "3"], {"message"}))

    def test_noStream(self) -> None:
        """
        A key of another type ends the daemon with the status for wrong options.
        """
        self.redis.cli("SET", "sse:/", "x")
        self.port = freePort()
        done = self.run_(
            *FOREGROUND, "sse", "post", "--store", self.redisURL, "--port", str(self.port)
        )
        self.assertEqual(done.returncode, 64)
        self.assertIn("the key is not a stream", done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_wrongPassword(self) -> None:
        """
        With a wrong password the daemon is not ready, and becomes so when the password is right.
        """
        self.redis.cli("CONFIG", "SET", "requirepass", "right")
        self.port = freePort()
        url = self.redisURL.replace("redis://", "redis://:later@")
        process = self.spawn(*FOREGROUND, "sse", "post", "--store", url, "--port", str(self.port))
        self.waitFor(process, "the user or the password is wrong")
        status, said = self.ask(self.port, "/readyz")
        self.assertEqual(status, 503)
        self.assertNotIn("later", said)
        self.redis.cli("-a", "right", "--no-auth-warning", "CONFIG", "SET", "requirepass", "later")
        until(lambda: self.ask(self.port, "/readyz") == (200, "ok"))


@needs("network", "browser", "deploy", "redis")
class BrowserTests(Browsing, AskMixin):
    """
    Tests for the daemon's page in Chromium.
    """

    timeout = 3 * PATIENCE

    def balance(self, ports: Iterable[int]) -> int:
        """
        Start nginx in front of servers.

        @return: its port.
        """
        front = freePort()
        text = (ROOT / "examples" / "deploy" / "nginx-many.conf").read_text("utf-8")
        text = text.replace("listen 8000;", f"listen 127.0.0.1:{front};")
        for number, port in enumerate(ports, 1):
            text = text.replace(f"events-{number}:8080", f"127.0.0.1:{port}")
        startNginx(self, self.directory, text, front)
        return front

    async def rows(self, browser: Any, last: str, selector: str) -> list[str]:
        """
        Wait until one of some elements has this text.

        @return: the texts of all.
        """
        script = f"return [...document.querySelectorAll('{selector}')].map((row) => row.innerText)"
        deadline = reactor.seconds() + PATIENCE
        while True:
            found: list[str] = await deferToThread(browser.execute_script, script)
            if any(last in each for each in found):
                return found
            self.assertLess(reactor.seconds(), deadline, f"{found}")
            await deferLater(reactor, 0.05)

    async def test_killed(self) -> None:
        """
        A browser follows one of two daemons through nginx, and the other publishes.  When the
        daemon it follows is killed, it reconnects to the other, and no event is missing or
        duplicated.
        """
        daemons = dict(self.daemon() for _ in range(2))
        ports = {port: daemon for daemon, port in daemons.items()}
        front = self.balance(ports)
        browser = await self.browse()
        await deferToThread(browser.get, f"http://127.0.0.1:{front}/")

        def follows(port: int) -> bool:
            return 'sse_open_streams{resource="/"} 1.0' in self.ask(port, "/metrics")[1]

        until(lambda: any(map(follows, ports)))
        [followed] = filter(follows, ports)
        [other] = set(ports) - {followed}
        for number in range(10):
            self.post(other, f"number {number}")
        await self.rows(browser, "number 9", "#list > li")
        for number in range(10, 15):
            self.post(other, f"number {number}")
        # Perhaps before it has the last ones.
        ports[followed].kill()
        for number in range(15, 20):
            self.post(other, f"number {number}")
        rows = await self.rows(browser, "number 19", "#list > li")
        numbers = [int(found[1]) for row in rows if (found := re.search(r"number (\d+)", row))]
        self.assertEqual(numbers, list(range(20)))
        self.assertEqual([row for row in rows if "missing" in row], [])
        self.assertTrue(follows(other))

    async def test_chat(self) -> None:
        """
        A line posted to the chat with Redis appears on the page once, even if each of the processes
        is killed in turn, without a notice to nginx.
        """
        processes = {}
        self.environment["REDIS_URL"] = self.redisURL
        for port in (freePort(), freePort()):
            processes[port] = self.spawn(sys.executable, str(EXAMPLES / "chat_redis.py"), str(port))
            self.port = port
            until(self.isListening)
        front = self.balance(processes)
        browser = await self.browse()
        await deferToThread(browser.get, f"http://127.0.0.1:{front}/")
        say = (
            "const form = document.querySelector('form'); form.name.value = 'Ada';"
            "form.text.value = arguments[0]; form.requestSubmit();"
        )
        texts = []
        for port in [None, *processes]:
            if port is not None:
                processes[port].kill()
                processes[port].wait()
            texts.append(f"after {port}")
            await deferToThread(browser.execute_script, say, texts[-1])
            lines = await self.rows(browser, texts[-1], "li")
            self.assertEqual(lines, [f"Ada: {text}" for text in texts])
            if port is not None:
                processes[port] = self.spawn(
                    sys.executable, str(EXAMPLES / "chat_redis.py"), str(port)
                )
                self.port = port
                until(self.isListening)
