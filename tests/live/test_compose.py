"""
Tests for C{examples/deploy/compose.yaml} without containers: its commands, its health checks and its
nginx, with two daemons and a Redis server.
"""

from __future__ import annotations

import http.client
import signal
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from tests.support.daemons import FOREGROUND_TWIST, PATIENCE, until
from tests.support.many import Ended, ManyMixin
from tests.support.options import OptionsMixin
from tests.support.ports import freePort
from tests.support.proxies import startNginx
from tests.support.requirements import ROOT, needs
from twisted_sse import MessageEvent
from twisted_sse.daemon import makeService

try:
    import yaml
except ImportError:  # needed for all these tests
    yaml = None

DEPLOY = ROOT / "examples" / "deploy"
SERVERS = ("events-1", "events-2")


def compose() -> Any:
    """
    @return: the content of the file.
    """
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


class FileTests(OptionsMixin):
    """
    Tests of the file without starting any service.
    """

    if yaml is None:
        skip = "PyYAML not found: pip install pyyaml"

    def test_references(self) -> None:
        """
        References within the file are valid: services, volumes, secrets, files.
        """
        file = compose()
        services = file["services"]
        for name, service in services.items():
            for other, how in service.get("depends_on", {}).items():
                self.assertEqual(how, {"condition": "service_healthy"}, name)
                self.assertIn("healthcheck", services[other])
            for secret in service.get("secrets", ()):
                self.assertIn(secret, file["secrets"])
            for volume in service.get("volumes", ()):
                source, *_ = volume.split(":")
                if source.startswith("."):
                    self.assertTrue((DEPLOY / source).is_file(), source)
                else:
                    self.assertIn(source, file["volumes"])
            if "build" in service:
                context = DEPLOY / service["build"]["context"]
                self.assertTrue((context / service["build"]["dockerfile"]).is_file())
                self.assertTrue((context / "setup.py").is_file())

    def test_servers(self) -> None:
        """
        The daemon accepts the options; the ports, the store, the token and the proxy match the
        other services; the stop timeout exceeds the daemon's.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        token = Path(temporary.name, "token")
        token.write_text("s3cret")
        file = compose()
        services = file["services"]
        [network] = file["networks"]["default"]["ipam"]["config"]
        upstream = (DEPLOY / "nginx-many.conf").read_text(encoding="utf-8")
        for name in SERVERS:
            service = services[name]
            [secret] = service["secrets"]
            arguments = [
                each.replace(f"file:/run/secrets/{secret}", f"file:{token}")
                for each in service["command"]
            ]
            options = self.options(*arguments)
            makeService(options, MemoryReactorClock())
            self.assertEqual(options["store"], "redis://redis")
            self.assertIn("redis", services)
            self.assertIn(f"server {name}:{options['listen'][0].partition(':')[2]} ", upstream)
            self.assertIn(f"--trusted-proxy={network['subnet']}", arguments)
            self.assertGreater(int(service["stop_grace_period"].strip("s")), options["drain"])
            [*_, check] = service["healthcheck"]["test"]
            self.assertIn(f"http://localhost:{options['admin'].partition(':')[2]}/readyz", check)
        [port] = services["nginx"]["ports"]
        self.assertIn(f"listen {port.partition(':')[2]};", upstream)
        [*_, url] = services["nginx"]["healthcheck"]["test"]
        self.assertEqual(url, f"http://localhost:{port.partition(':')[2]}/")
        extras = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
        self.assertIn("/src[metrics,redis]", extras)


@needs("network", "deploy", "redis")
class RunningTests(ManyMixin):
    """
    Tests for the services as processes on this machine.
    """

    def setUp(self) -> None:
        """
        Start the services of the file.
        """
        super().setUp()
        self.received: list[MessageEvent] = []
        self.ends = 0
        self.services = compose()["services"]
        program, *options = self.services["redis"]["command"]
        self.assertEqual(program, "redis-server")
        self.redis = self.startRedis(*options)
        (self.directory / "token").write_text("s3cret")
        self.ports = {name: freePort() for name in SERVERS}
        self.admins = {name: freePort() for name in SERVERS}
        self.daemons = {name: self.begin(name) for name in SERVERS}
        until(lambda: all(map(self.isReady, self.admins.values())))
        self.nginxPort = freePort()

    def redirect(self, patience: str = "40s") -> None:
        """
        Start nginx.

        @param patience: its timeout for a silent server.
        """
        text = (DEPLOY / "nginx-many.conf").read_text(encoding="utf-8")
        text = self.replaced(text, "proxy_read_timeout 40s;", f"proxy_read_timeout {patience};")
        text = self.replaced(text, "listen 8000;", f"listen 127.0.0.1:{self.nginxPort};")
        for name in SERVERS:
            text = self.replaced(
                text, f"server {name}:8080", f"server 127.0.0.1:{self.ports[name]}"
            )
        startNginx(self, self.directory, text, self.nginxPort)

    def replaced(self, text: str, before: str, after: str) -> str:
        """
        Replace a text that must be present.
        """
        self.assertIn(before, text)
        return text.replace(before, after)

    def begin(self, name: str) -> subprocess.Popen[str]:
        """
        Start a server.
        """
        self.port = self.ports[name]
        command = "\0".join(self.services[name]["command"])
        for before, after in (
            ("--listen=tcp:8080", f"--listen=tcp:{self.port}:interface=127.0.0.1"),
            ("--admin=tcp:9090", f"--admin=tcp:{self.admins[name]}:interface=127.0.0.1"),
            ("redis://redis", self.redisURL),
            ("/run/secrets/token", "token"),
            ("10.89.17.0/24", "127.0.0.1"),
        ):
            command = self.replaced(command, before, after)
        # As the entry point of the Containerfile does.
        return self.start(*FOREGROUND_TWIST, "sse", *command.split("\0"), listens=True)

    def isHealthy(self, name: str) -> bool:
        """
        Run the health check of a service.
        """
        command = "\0".join(self.services[name]["healthcheck"]["test"][1:])
        if name in SERVERS:
            command = self.replaced(command, ":9090/", f":{self.admins[name]}/")
        elif name == "nginx":
            command = self.replaced(command, "localhost:8000", f"127.0.0.1:{self.nginxPort}")
        else:
            command = self.replaced(command, "redis-cli", f"redis-cli\0-p\0{self.redis.port}")
        self.environment["no_proxy"] = "localhost,127.0.0.1"
        return self.run_(*command.split("\0")).returncode == 0

    def publish(self, data: str) -> None:
        """
        Publish through nginx, with as many retries as needed.
        """
        headers = {
            "Authorization": "Bearer s3cret",
            "Content-Type": "text/plain",
            "Idempotency-Key": data,
        }

        def isPublished() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", self.nginxPort, timeout=PATIENCE)
            with closing(connection):
                connection.request("POST", "/", data.encode(), headers)
                status = connection.getresponse().status
            # The server may have just died, or the other may have been unreachable a moment ago.
            self.assertIn(status, (200, 503))
            return status == 200

        until(isPublished)

    def test_healthy(self) -> None:
        """
        The health checks succeed; only that of a server that has ended fails.
        """
        self.redirect()
        self.assertEqual([name for name in self.services if not self.isHealthy(name)], [])
        self.daemons["events-1"].kill()
        self.assertEqual([name for name in self.services if not self.isHealthy(name)], ["events-1"])
        self.daemons["events-2"].kill()
        self.assertFalse(self.isHealthy("nginx"))

    def test_withoutRedis(self) -> None:
        """
        Servers that can no longer reach Redis remain healthy: they serve what they have.  A server
        that has not reached it yet is unhealthy.
        """
        self.redirect()
        self.redis.kill()
        self.assertTrue(self.isHealthy("events-1"))
        self.assertFalse(self.isHealthy("redis"))
        self.daemons["events-1"].kill()
        self.begin("events-1")
        self.assertFalse(self.isHealthy("events-1"))
        self.assertTrue(self.isHealthy("events-2"))

    def follow(self, numbers: Iterable[int]) -> None:
        """
        Assert that a client that reconnects whenever its stream ends has received these numbers,
        once each and in order.
        """
        expected = [str(number) for number in numbers]

        def hasAll() -> bool:
            try:
                self.subscriber.until(expected[-1])
            except Ended:
                self.ends += 1
                self.received += self.subscriber.events
                position = self.subscriber.position
                self.subscriber = self.subscribe(self.nginxPort, lastEventID=position)
                return False
            return True

        until(hasAll)
        received = [event.data for event in (*self.received, *self.subscriber.events)]
        self.assertEqual(received, expected)

    def test_killed(self) -> None:
        """
        A client behind nginx gets each event once when each of the servers is killed in turn and
        restarted, while events are published.
        """
        self.redirect()
        self.subscriber = self.subscribe(self.nginxPort)
        count = 0
        for name in SERVERS:
            for number in range(count, count + 10):
                if number == count + 5:
                    # Some events may not have arrived yet.
                    self.daemons[name].kill()
                    self.daemons[name].wait()
                self.publish(str(number))
            count += 10
            self.follow(range(count))
            self.daemons[name] = self.begin(name)
        self.assertGreaterEqual(self.ends, 1)

    def test_hangs(self) -> None:
        """
        The same holds when each of the servers hangs in turn: nginx gives up on it.
        """
        self.redirect(patience="1s")
        self.subscriber = self.subscribe(self.nginxPort)
        count = 0
        for name in SERVERS:
            self.daemons[name].send_signal(signal.SIGSTOP)
            for number in range(count, count + 5):
                self.publish(str(number))
            count += 5
            self.follow(range(count))
            self.daemons[name].send_signal(signal.SIGCONT)
        self.assertGreaterEqual(self.ends, 1)

    def test_stopped(self) -> None:
        """
        When a server is stopped, its clients receive a C{retry}, and miss nothing.
        """
        self.redirect()
        subscribers = [self.subscribe(self.nginxPort) for _ in range(4)]
        self.publish("before")
        for subscriber in subscribers:
            subscriber.until("before")
        self.daemons["events-1"].terminate()
        self.finish(self.daemons["events-1"])
        self.publish("after")
        again = 0
        for subscriber in subscribers:
            try:
                subscriber.until("after")
            except Ended:
                again += 1
                later = self.subscribe(self.nginxPort, lastEventID=subscriber.position)
                self.assertEqual(later.until("after"), [])
        # Each server had the same number.
        self.assertEqual(again, 2)
