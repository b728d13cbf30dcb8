"""
Tests for the code of the page about publishing from applications: each framework in its own process,
with a daemon, a Redis server and a subscriber.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from tests.support.daemons import PATIENCE, until
from tests.support.documents import blocks
from tests.support.many import ManyMixin
from tests.support.requirements import needs

PAGE = "howto-applications.md"
TOKEN = "s3cret"

#: The ways to publish: the headings with the module for each.
WAYS = ("## `events.py` for HTTP", "## `events.py` for Redis")

#: A project with the minimal settings of Django.
DJANGO = """
import sys
import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["shop"],
    LOGGING_CONFIG=None,
    ROOT_URLCONF=__name__,
)
django.setup()

from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import path

{imports}

call_command("migrate", run_syncdb=True, verbosity=0)
{does}
"""

MODELS = """
from django.db import models


class Order(models.Model):
    item = models.TextField()
"""

VIEW = 'from shop.views import order; urlpatterns = [path("orders", order)]'

#: Places an order through the view.
POSTS = """
answer = Client().post("/orders", {"item": "tea"})
assert (answer.status_code, answer.json()) == (201, {"order": 1}), answer
"""

#: Makes an order, changes it, and makes one in a transaction that is rolled back.
SAVES = """
from shop.models import Order
with transaction.atomic():
    order = Order.objects.create(item="tea")
    order.item = "coffee"
    order.save()
try:
    with transaction.atomic():
        Order.objects.create(item="milk")
        raise KeyError
except KeyError:
    pass
"""

FLASK = """
from shop import app

answer = app.test_client().post("/orders", data={"item": "tea"})
assert answer.status_code == 201, answer
"""

#: Fails three times.
FAILING = """
import requests

keys = []


def publish(value, key, **more):
    keys.append(key)
    if len(keys) < 4:
        raise requests.ConnectionError
"""

#: Runs a task here, with its retries.
TRIES = """
import events
import tasks

assert tasks.announce.apply((1,)).successful()
assert events.keys == 4 * ["order-1"], events.keys
"""

ORDERED = ("ordered", '{"order":1}')


class ApplicationMixin(ManyMixin):
    """
    Has a project of an application that publishes.
    """

    def setUp(self) -> None:
        """
        Start a daemon.
        """
        super().setUp()
        (self.directory / "token").write_text(TOKEN)
        _, self.port = self.daemon("--publish-token", "file:token")
        self.environment |= {
            "EVENTS_URL": f"http://localhost:{self.port}/",
            "EVENTS_TOKEN": TOKEN,
            "EVENTS_REDIS": self.redisURL,
            "NO_PROXY": "localhost",
        }

    def write(self, name: str, code: str) -> None:
        """
        Write a file of the project.
        """
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        for shown, here in (
            ("localhost:6379", f"127.0.0.1:{self.redis.port}"),
            ('connect(6379, "localhost"', f'connect({self.redis.port}, "127.0.0.1"'),
            ("redis-cli", f"redis-cli -p {self.redis.port}"),
        ):
            code = code.replace(shown, here)
        path.write_text(code, encoding="utf-8")

    def code(self, heading: str, language: str = "py", index: int = 0) -> str:
        """
        @return: a code block of a section.
        """
        return blocks(PAGE, language, heading)[index]

    def program(self) -> None:
        """
        Run the program in Python.
        """
        self.runs(sys.executable, "program.py")

    def runs(self, *command: str) -> None:
        """
        Run a program that prints nothing, and succeeds.
        """
        done = self.run_(*command)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def assertPublishes(
        self, topic: str, *expected: tuple[str, str], by: Callable[[], object]
    ) -> None:
        """
        Assert that a function publishes exactly these events, and that subscribers of the topic get
        them as well.

        @param expected: their types and their data, without blanks.
        @param by: the function that publishes.
        """
        subscribers = [self.subscribe(self.port, path) for path in ("/", f"/?topic={topic}")]
        by()
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        self.post(self.port, "that is all", f"?topic={topic}", **bearer)
        for subscriber in subscribers:
            events = subscriber.until("that is all")
            brief = [(event.type, event.data.replace(": ", ":")) for event in events]
            self.assertEqual(brief, list(expected))
            subscriber.close()


@needs("network", "redis")
class FrameworkTests(ApplicationMixin):
    """
    Tests for frameworks in Python.
    """

    def django(self, name: str, code: str, imports: str, does: str) -> None:
        """
        Make a Django project with one application.

        @param name: a file of the application.
        @param code: its content.
        @param imports: how the project imports it.
        @param does: the actions of the project.
        """
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", MODELS)
        self.write(f"shop/{name}", code)
        self.write("program.py", DJANGO.format(imports=imports, does=does))

    def test_django(self) -> None:
        """
        A Django view publishes when its transaction is committed.
        """
        self.django("views.py", self.code("## Django"), VIEW, POSTS)
        for way in WAYS:
            self.write("events.py", self.code(way))
            (self.directory / "shop.db").unlink(missing_ok=True)
            self.assertPublishes("orders", ORDERED, by=self.program)

    def test_djangoFails(self) -> None:
        """
        An order is made, and the view responds, even if publishing fails.
        """
        self.django("views.py", self.code("## Django"), VIEW, POSTS)
        self.write("events.py", "def publish(*given, **more):\n    raise OSError('nobody there')\n")
        done = self.run_(sys.executable, "program.py")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nobody there", done.stderr)

    def test_signals(self) -> None:
        """
        Every committed order is announced by a Django signal.
        """
        signals = self.code("## Django", index=1)
        self.django("signals.py", signals, "import shop.signals; urlpatterns = []", SAVES)
        for way in WAYS:
            self.write("events.py", self.code(way))
            (self.directory / "shop.db").unlink(missing_ok=True)
            changed = ("changed", '{"order":1}')
            self.assertPublishes("orders", ORDERED, changed, by=self.program)

    def test_flask(self) -> None:
        """
        A Flask route publishes.
        """
        self.write("shop.py", self.code("## Flask"))
        self.write("program.py", FLASK)
        for way in WAYS:
            self.write("events.py", self.code(way))
            tea = ("ordered", '{"item":"tea"}')
            self.assertPublishes("orders", tea, by=self.program)

    def test_celery(self) -> None:
        """
        A Celery worker runs the task.  If it runs again, as after a worker has died before
        acknowledging it, nothing is published twice.
        """
        self.write("events.py", self.code(WAYS[0]))
        self.write("tasks.py", self.code("## Celery"))
        log = self.directory / "worker.log"
        with log.open("w") as output:
            worker = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool=solo"),
                    *("--loglevel=INFO", "--without-mingle", "--without-gossip"),
                ],
                cwd=self.directory,
                env={**self.environment, "C_FORCE_ROOT": "1"},
                stdout=output,
                stderr=output,
            )
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)

        def announce() -> None:
            for _ in range(2):
                self.runs(sys.executable, "-c", "from tasks import announce; announce.delay(1)")
            until(lambda: log.read_text().count(" succeeded in ") == 2)

        self.assertPublishes("orders", ORDERED, by=announce)
        worker.terminate()
        self.assertEqual(worker.wait(PATIENCE), 0)

    def test_celeryAgain(self) -> None:
        """
        A task that cannot publish is retried with the same key.
        """
        self.write("events.py", FAILING)
        self.write("tasks.py", self.code("## Celery"))
        self.write("program.py", TRIES)
        self.program()


@needs("network", "redis")
class RedisTests(ApplicationMixin):
    """
    Tests for programs that add to Redis.
    """

    def test_xadd(self) -> None:
        """
        redis-py's own method publishes.
        """
        self.write("program.py", self.code("## `events.py` for Redis", index=1))
        self.assertPublishes("user:7", ("greeting", "hello"), by=self.program)

    def test_several(self) -> None:
        """
        An event may have several topics.
        """
        self.write("events.py", self.code(WAYS[1]))
        self.write("program.py", "from events import publish\npublish('x', topics=['a', 'b'])\n")
        self.assertPublishes("b", ("message", '"x"'), by=self.program)

    def test_shell(self) -> None:
        """
        The shell script publishes.
        """
        self.write("script", self.code("## A shell, through Redis", "sh"))
        backup = ("backup", "the backup is done")
        self.assertPublishes("operations", backup, by=lambda: self.runs("sh", "script"))

    @needs("node")
    def test_node(self) -> None:
        """
        The program in JavaScript publishes.
        """
        self.write("program.mjs", self.code("## Node, through Redis", "js"))
        price = ("price", '{"price":17.5}')
        self.assertPublishes("user:7", price, by=lambda: self.runs("node", "program.mjs"))

    @needs("php")
    def test_php(self) -> None:
        """
        The program in PHP publishes.
        """
        self.write("program.php", self.code("## PHP, through Redis", "php"))
        price = ("price", '{"price":17.5}')
        self.assertPublishes("user:7", price, by=lambda: self.runs("php", "program.php"))

    @needs("node", "php")
    def test_refused(self) -> None:
        """
        Programs in all languages fail, with the reason, if Redis refuses the event.
        """
        self.redis.cli("CONFIG", "SET", "maxmemory", "1")
        for heading, language, command in (
            ("## `events.py` for Redis", "py", [sys.executable, "program"]),
            ("## A shell, through Redis", "sh", ["sh", "program"]),
            ("## Node, through Redis", "js", ["node", "--input-type=module"]),
            ("## PHP, through Redis", "php", ["php", "program"]),
        ):
            self.write("program", self.code(heading, language, index=int(language == "py")))
            with (self.directory / "program").open() as program:
                done = self.run_(*command, stdin=program)
            self.assertNotEqual(done.returncode, 0, command)
            self.assertIn("command not allowed", done.stdout + done.stderr)
