"""
Tests for the pages about migrating from other servers: the old and the new server, each in its own
process, send the same events to the same client.
"""

from __future__ import annotations

import http.client
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin, until
from tests.support.documents import blocks
from tests.support.many import ManyMixin, Subscriber
from tests.support.ports import freePort
from tests.support.proxies import startNginx
from tests.support.requirements import ROOT, needs
from twisted_sse import MessageEvent

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

ORDERED = ("ordered", '{"item":"tea"}')


def brief(events: list[MessageEvent]) -> list[tuple[str, str]]:
    """
    @return: the types and the data of events, without the optional blanks of JSON.
    """
    return [(event.type, event.data.replace(": ", ":")) for event in events]


class MigrationMixin(DaemonMixin):
    """
    Runs the servers of a page.
    """

    def write(self, name: str, code: str) -> None:
        """
        Write a file.
        """
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")

    def listening(self, *command: str) -> int:
        """
        Run a server, with C{PORT} replaced, and wait until it listens.

        @return: the port.
        """
        self.port = freePort()
        log = self.directory / f"{self.port}.log"
        process = self.process = self.spawn(
            "sh",
            "-c",
            'exec "$@" >"$0" 2>&1',
            str(log),
            *(each.replace("PORT", str(self.port)) for each in command),
        )

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            return self.isListening()

        until(listens)
        return self.port

    def ask(self, port: int, path: str = "/orders", body: str | None = "item=tea") -> int:
        """
        @return: the status of the response to a request.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET" if body is None else "POST", path, body, FORM)
            return connection.getresponse().status

    def follow(self, port: int, path: str, lastEventID: str = "") -> Subscriber:
        """
        Follow a stream.
        """
        subscriber = Subscriber(port, path, lastEventID)
        self.addCleanup(subscriber.close)
        return subscriber

    def get(self, subscriber: Subscriber, count: int = 1) -> list[MessageEvent]:
        """
        @return: the next events.
        """
        subscriber.readUntil(lambda: len(subscriber.events) >= count)
        got, subscriber.events = subscriber.events[:count], subscriber.events[count:]
        return got


@needs("network")
class SSEStarletteTests(MigrationMixin):
    """
    Tests for the page about migrating from sse-starlette.
    """

    def test_same(self) -> None:
        """
        Both send the same ticks with the same IDs, at the beginning and to a client that reconnects.
        """
        [theirs] = blocks("howto-sse-starlette.md", "py")
        [ours] = blocks("howto-sse-starlette.md", "python")
        self.write("ticks.py", theirs)
        uvicorn = [sys.executable, "-m", "uvicorn", "ticks:app", "--port", "PORT"]
        ports = [self.listening(*uvicorn)]
        self.write("ours.py", ours.replace("8080", "int(__import__('sys').argv[1])"))
        ports.append(self.listening(sys.executable, "ours.py", "PORT"))
        for lastEventID, numbers in ("", (1, 2, 3)), ("2", (3,)):
            expected = [MessageEvent("tick", f"tick {each}", str(each)) for each in numbers]
            for port in ports:
                got = self.follow(port, "/ticks", lastEventID).toEnd()
                self.assertEqual(got, expected)


#: The settings of both sites.
DJANGO = """
import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    LOGGING_CONFIG=None,
    ROOT_URLCONF="urls",
)
django.setup()
"""

URLS = """
from django.urls import path
from views import order

urlpatterns = [path("orders", order)]
"""


@needs("network", "deploy")
class ChannelsTests(MigrationMixin):
    """
    Tests for the page about migrating from Django Channels.
    """

    def site(self, folder: str, asgi: str, views: str, **others: str) -> list[str]:
        """
        Write a site.

        @return: the command that runs it.
        """
        self.write(f"{folder}/asgi.py", DJANGO + asgi)
        self.write(f"{folder}/views.py", views)
        self.write(f"{folder}/urls.py", URLS)
        for name, code in others.items():
            self.write(f"{folder}/{name}.py", code)
        path = f"{ROOT}:{self.directory / folder}"
        return [
            "env",
            f"PYTHONPATH={path}",
            sys.executable,
            "-m",
            "daphne",
            "-p",
            "PORT",
            "asgi:application",
        ]

    def test_same(self) -> None:
        """
        An order is the same event in both, in the same process as the view, and behind the same URL.
        """
        asgi, view, live, ourAsgi, ourView = blocks("howto-django-channels.md", "py")
        theirs = self.listening(*self.site("theirs", asgi, view))
        follower = self.follow(theirs, "/events")
        self.assertEqual(self.ask(theirs), 201)
        self.assertEqual(brief(self.get(follower)), [ORDERED])

        events = freePort()
        live = live.replace("listenTCP(8001", f"listenTCP({events}")
        application = self.listening(*self.site("ours", ourAsgi, ourView, live=live))
        front = freePort()
        [locations] = blocks("howto-django-channels.md", "nginx")
        for shown, here in (8001, events), (8000, application):
            self.assertIn(f"127.0.0.1:{shown}", locations)
            locations = locations.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{here}")
        text = f"server {{ listen 127.0.0.1:{front};\n{locations}}}"
        startNginx(self, self.directory, text, front)
        follower = self.follow(front, "/events")
        self.assertEqual(self.ask(front), 201)
        [event] = self.get(follower)
        self.assertEqual(brief([event]), [ORDERED])
        # The old server cannot do this.
        self.ask(front)
        again = self.follow(front, "/events", event.lastEventID)
        self.assertEqual(brief(self.get(again)), [ORDERED])
        # daphne's signal ends the streams completely.
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(brief(again.toEnd()), [])
        self.process.wait(PATIENCE)


@needs("network", "redis", "deploy")
class FlaskSSETests(MigrationMixin, ManyMixin):
    """
    Tests for the page about migrating from Flask-SSE.
    """

    def test_same(self) -> None:
        """
        An order is the same event in both, for subscribers of its channel, and events of old
        publishers arrive.
        """
        theirs, ours, bridge = (
            code.replace("localhost:6379", f"127.0.0.1:{self.redis.port}")
            for code in blocks("howto-flask-sse.md", "py")
        )
        flask = [sys.executable, "-m", "flask", "--app", "NAME", "run", "--port", "PORT"]

        def serve(name: str) -> int:
            return self.listening(*(each.replace("NAME", name) for each in flask))

        self.write("theirs.py", theirs)
        old = serve("theirs")
        with ThreadPoolExecutor(1) as pool:
            # Nothing is sent, not even headers, before the first event.
            following = pool.submit(self.follow, old, "/stream?channel=orders")
            self.untilSubscribed("orders", 1)
            self.assertEqual(self.ask(old), 201)
            follower = following.result()
        self.assertEqual(brief(self.get(follower)), [ORDERED])

        self.write("shop.py", ours)
        application = serve("shop")
        (self.directory / "token").write_text("s3cret")
        _, events = self.daemon("--publish-token", "file:token")
        [text] = blocks("howto-flask-sse.md", "nginx")
        front = freePort()
        for shown, here in (
            ("8080", front),
            ("127.0.0.1:8001", events),
            ("127.0.0.1:8000", application),
        ):
            self.assertEqual(text.count(shown), 1)
            text = text.replace(shown, f"127.0.0.1:{here}")
        startNginx(self, self.directory, text, front)
        orders = self.follow(front, "/stream?channel=orders")
        default = self.follow(front, "/stream")
        self.assertEqual(self.ask(front), 201)
        [event] = self.get(orders)
        self.assertEqual(brief([event]), [ORDERED])
        self.assertEqual(default.events, [])
        self.assertEqual(self.ask(front, "/stream", "x=y"), 401)

        self.write("bridge.py", bridge)
        self.spawn(sys.executable, "bridge.py")
        # The old stream, and the bridge.
        self.untilSubscribed("orders", 2)
        self.assertEqual(self.ask(old), 201)
        self.assertEqual(brief(self.get(orders)), [ORDERED])
        # The old server cannot do this.
        again = self.follow(front, "/stream?channel=orders", event.lastEventID)
        self.assertEqual(brief(self.get(again)), [ORDERED])

    def untilSubscribed(self, channel: str, count: int) -> None:
        """
        Wait until a channel of Redis has a number of subscribers.
        """
        until(lambda: self.redis.cli("PUBSUB", "NUMSUB", channel).split()[-1] == str(count))


@needs("network", "node")
class BetterSSETests(MigrationMixin):
    """
    Tests for the page about migrating from better-sse.
    """

    def test_same(self) -> None:
        """
        Both greet each client, and send each order to all.
        """
        theirs, _ = blocks("howto-better-sse.md", "js")
        [ours] = blocks("howto-better-sse.md", "python")
        self.nodeModules()
        self.write("theirs.mjs", theirs.replace("8080", "process.argv[2]"))
        self.write("ours.py", ours.replace("8080", "int(__import__('sys').argv[1])"))
        for command in ["node", "theirs.mjs"], [sys.executable, "ours.py"]:
            port = self.listening(*command, "PORT")
            followers = [self.follow(port, "/") for _ in range(2)]
            for follower in followers:
                self.assertEqual(brief(self.get(follower)), [("greeting", '"hello"')])
            self.assertEqual(self.ask(port, "/"), 201)
            for follower in followers:
                [event] = self.get(follower)
                self.assertEqual(brief([event]), [ORDERED])
                self.assertNotEqual(event.lastEventID, "")

    def nodeModules(self) -> None:
        """
        Let Node find the packages.
        """
        (self.directory / "node_modules").symlink_to(ROOT / "node_modules")

    def test_node(self) -> None:
        """
        An application that stays on Node publishes to the daemon.
        """
        _, code = blocks("howto-better-sse.md", "js")
        [session] = blocks("howto-better-sse.md", "console")
        self.assertIn("twisted-sse serve post --port 8001 --publish-token file:token", session)
        self.write("token", "s3cret")
        self.start(*FOREGROUND, "sse", "post", "--publish-token=file:token")
        events = self.port
        self.environment |= {
            "EVENTS_TOKEN": "s3cret",
            "EVENTS_URL": f"http://127.0.0.1:{events}/",
        }
        self.write("shop.mjs", code.replace("8080", "process.argv[2]"))
        shop = self.listening("node", "shop.mjs", "PORT")
        follower = self.follow(events, "/?topic=orders")
        self.assertEqual(self.ask(shop, "/"), 201)
        self.assertEqual(brief(self.get(follower)), [ORDERED])
