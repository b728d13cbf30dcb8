"""
Tests for the page about applications that run beside the event streams: each with its real framework, in
its own process.
"""

from __future__ import annotations

import ast
import http.client
import signal
import sys
from contextlib import closing
from threading import Thread

from tests.support.browsers import startChromium, webdriver
from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin, until
from tests.support.documents import blocks
from tests.support.examples import EXAMPLES
from tests.support.many import Subscriber
from tests.support.ports import freePort
from tests.support.proxies import startNginx
from tests.support.requirements import needs, nothingMayBeLeftOut

PAGE = "howto-wsgi.md"
ONE = "## Run Django or Flask in the same process"
ASIDE = "## Run FastAPI beside the daemon"
OTHERS = "## Publish from other processes"

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ORDERED = ("ordered", '{"item":"tea"}')

#: More views of the Flask application.
VIEWS = """
import os
import time


@app.get("/wrong")
def wrong():
    from live import channel

    try:
        channel.publish("x")
    except RuntimeError as e:
        return str(e)


@app.get("/slow/<name>")
def slow(name):
    open(name, "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    return "done"
"""

DJANGO = """
import sys

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["shop"],
    LOGGING_CONFIG=None,
    ROOT_URLCONF="mysite.wsgi",
)
django.setup()

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path

from shop.views import order

urlpatterns = [path("orders", order)]
call_command("migrate", run_syncdb=True, verbosity=0)
application = get_wsgi_application()
"""

MODELS = """
from django.db import models


class Order(models.Model):
    item = models.TextField()
"""


class BesideMixin(DaemonMixin):
    """
    Runs the applications of the page.
    """

    def write(self, name: str, code: str) -> None:
        """
        Write a file of the application.
        """
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")

    def ask(self, path: str, body: str | None = None, port: int = 0) -> tuple[int, str]:
        """
        Make a request to the application.

        @return: the status and the body of the response.
        """
        where = port or self.port
        with closing(
            http.client.HTTPConnection("127.0.0.1", where, timeout=PATIENCE)
        ) as connection:
            connection.request("GET" if body is None else "POST", path, body, FORM)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def subscribe(self, path: str = "/events", port: int = 0) -> Subscriber:
        """
        Follow a stream.
        """
        subscriber = Subscriber(port or self.port, path)
        self.addCleanup(subscriber.close)
        return subscriber

    def next(self, subscriber: Subscriber) -> tuple[str, str]:
        """
        @return: the type and the data of the next event.
        """
        subscriber.readUntil(lambda: subscriber.events)
        event = subscriber.events.pop(0)
        return event.type, event.data

    def serveSite(self, site: str, ready: str = "starting on") -> None:
        """
        Run C{site.tac}.
        """
        self.assertEqual(site.count("tcp:8080"), 1)
        self.write("site.tac", site.replace("tcp:8080", f"tcp:{self.port}"))
        self.environment["PYTHONPATH"] += f":{self.directory}"
        self.process = self.spawn(*FOREGROUND, "-oy", "site.tac")
        self.waitFor(self.process, ready)
        until(self.isListening)


@needs("network")
class OneProcessTests(BesideMixin):
    """
    Tests for an application and its streams in one process.
    """

    def setUp(self) -> None:
        """
        Write the common files of Django and Flask.
        """
        super().setUp()
        self.live, self.flask, self.django, self.site = blocks(PAGE, "py", ONE)
        self.write("live.py", self.live)

    def serveFlask(self, more: str = "") -> None:
        """
        Run the Flask application.

        @param more: the rest of C{site.tac}.
        """
        self.write("shop.py", self.flask + VIEWS)
        self.serveSite(self.site + more)

    def test_flask(self) -> None:
        """
        A request to the Flask application is an event for all subscribers.
        """
        self.serveFlask()
        subscribers = [self.subscribe() for _ in range(2)]
        self.assertEqual(self.ask("/orders", "item=tea"), (201, ""))
        for subscriber in subscribers:
            self.assertEqual(self.next(subscriber), ORDERED)

    def test_streamsTakeNoThreads(self) -> None:
        """
        With more streams than threads, the application still responds.
        """
        self.site = self.site.replace("ThreadPool(0, 20)", "ThreadPool(0, 1)")
        self.serveFlask()
        subscribers = [self.subscribe() for _ in range(5)]
        self.assertEqual(self.ask("/orders", "item=tea"), (201, ""))
        self.assertEqual([self.next(each) for each in subscribers], [ORDERED] * 5)

    def test_wrongThread(self) -> None:
        """
        A view that publishes directly gets an error that names the function to call.
        """
        self.serveFlask()
        status, said = self.ask("/wrong")
        self.assertEqual(status, 200)
        self.assertIn("reactor.callFromThread(channel.publish, ...)", said)

    def test_stops(self) -> None:
        """
        A signal ends the streams and waits for a running request, which is answered.
        """
        self.serveFlask()
        subscriber = self.subscribe()
        answers: list[tuple[int, str]] = []
        asking = Thread(target=lambda: answers.append(self.ask("/slow/running")))
        asking.start()
        self.addCleanup(asking.join)
        until((self.directory / "running").exists)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(subscriber.toEnd(), [])
        self.waitFor(self.process, f"(TCP Port {self.port} Closed)")
        self.write("go", "")
        output, _ = self.process.communicate(timeout=PATIENCE)
        # twistd then ends by the signal.
        self.assertEqual(self.process.returncode, -signal.SIGTERM, output)
        self.assertNotIn("Traceback", output)
        asking.join(PATIENCE)
        self.assertEqual(answers, [(200, "done")])

    def test_django(self) -> None:
        """
        A request to the Django application is an event when its transaction is committed.
        """
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", MODELS)
        self.write("shop/views.py", self.django)
        self.write("mysite/wsgi.py", DJANGO)
        line = "from shop import app  # with Django: "
        self.assertIn(line, self.site)
        self.serveSite(self.site.replace(line, ""))
        subscriber = self.subscribe()
        self.assertEqual(self.ask("/orders", "item=tea"), (201, '{"order": 1}'))
        self.assertEqual(self.next(subscriber), ("ordered", '{"order":1}'))

    def test_otherProcesses(self) -> None:
        """
        Another process publishes over HTTP, with the token.
        """
        self.environment["EVENTS_TOKEN"] = "s3cret"
        [more] = blocks(PAGE, "py", OTHERS)
        self.serveFlask(more)
        subscriber = self.subscribe()
        self.assertEqual(self.ask("/events", "hello")[0], 401)
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            headers = {"Authorization": "Bearer s3cret", **FORM}
            connection.request("POST", "/events?event=greeting", "hello", headers)
            self.assertEqual(connection.getresponse().status, 200)
        self.assertEqual(self.next(subscriber), ("greeting", "hello"))
        self.ask("/orders", "item=tea")
        self.assertEqual(self.next(subscriber), ORDERED)


@needs("network", "deploy")
class AsideTests(BesideMixin):
    """
    Tests for FastAPI beside the daemon, with nginx in front.
    """

    def test_fastAPI(self) -> None:
        """
        A request to the application is an event for the subscribers of its topic, after the
        response.
        """
        self.write("token", "s3cret")
        session, *_ = blocks(PAGE, "console", ASIDE)
        options = "post --port 8001 --publish-token file:token"
        self.assertIn(f"twisted-sse serve {options}", session)
        options = options.replace("8001", str(self.port)).replace("--port ", "--port=")
        self.start(*FOREGROUND, "sse", *options.split(), listens=True)
        [code] = blocks(PAGE, "py", ASIDE)
        self.write("shop.py", code)
        self.environment |= {
            "EVENTS_TOKEN": "s3cret",
            "EVENTS_URL": f"http://127.0.0.1:{self.port}/",
            "NO_PROXY": "*",
        }
        application, front = freePort(), freePort()
        self.assertIn("uvicorn shop:app --port 8000", session)
        server = self.spawn(sys.executable, "-m", "uvicorn", "shop:app", "--port", str(application))
        self.waitFor(server, "Uvicorn running")
        [locations] = blocks(PAGE, "nginx", ASIDE)
        for shown, here in ("8001", self.port), ("8000", application):
            locations = locations.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{here}")
        text = f"server {{ listen 127.0.0.1:{front};\n{locations}}}"
        startNginx(self, self.directory, text, front)
        subscriber, other = (
            self.subscribe(f"/events?topic={topic}", front) for topic in ("orders", "others")
        )
        self.assertEqual(self.ask("/orders?item=tea", "", front), (201, '{"item":"tea"}'))
        self.assertEqual(self.next(subscriber), ORDERED)
        self.assertEqual(other.events, [])
        # Visitors may not publish.
        self.assertEqual(self.ask("/events?event=x", "x", front)[0], 401)
        server.send_signal(signal.SIGINT)
        self.finish(server)


@needs("network", "browser")
class ExampleTests(BesideMixin):
    """
    Tests for the pages of the examples, started as their docstrings say.
    """

    if webdriver is None and not nothingMayBeLeftOut():
        skip = "browser (selenium is not installed: pip install selenium)"

    def order(self, port: int) -> None:
        """
        Order in one window, and assert that both show it.
        """
        profile = self.directory / "profile"
        browser = startChromium(str(profile))
        self.addCleanup(browser.quit)
        browser.get(f"http://127.0.0.1:{port}/")
        first = browser.current_window_handle
        browser.switch_to.new_window("window")
        browser.get(f"http://127.0.0.1:{port}/")
        until(lambda: browser.execute_script("return source.readyState") == 1)
        second = browser.current_window_handle
        browser.switch_to.window(first)
        until(lambda: browser.execute_script("return source.readyState") == 1)
        browser.find_element("name", "item").send_keys("<b>tea")
        browser.find_element("tag name", "button").click()
        shown = 'return Array.from(document.querySelectorAll("li"), (each) => each.textContent)'
        for window in first, second:
            browser.switch_to.window(window)
            until(lambda: browser.execute_script(shown) == ["<b>tea"])

    def test_flask(self) -> None:
        """
        An order in one window of the Flask application appears in both.
        """
        port = freePort()
        process = self.spawn(sys.executable, str(EXAMPLES / "flask_beside.py"), str(port))
        self.waitFor(process, f"http://127.0.0.1:{port}/")
        self.order(port)

    def test_fastAPI(self) -> None:
        """
        An order in one window of the FastAPI application appears in both.
        """
        documentation = ast.get_docstring(ast.parse((EXAMPLES / "fastapi_beside.py").read_text()))
        command = (
            "serve post --port 8001 --publish-token file:token --origin http://127.0.0.1:8080\n"
        )
        self.assertIn(command, documentation or "")
        self.write("token", "s3cret")
        application = freePort()
        options = ("--publish-token", "file:token", "--origin", f"http://127.0.0.1:{application}")
        self.start(*FOREGROUND, "sse", "post", *options)
        self.environment |= {
            "EVENTS_TOKEN": "s3cret",
            "EVENTS_URL": f"http://127.0.0.1:{self.port}/",
            "NO_PROXY": "*",
        }
        program = str(EXAMPLES / "fastapi_beside.py")
        self.waitFor(self.spawn(sys.executable, program, str(application)), "Uvicorn running")
        self.order(application)
