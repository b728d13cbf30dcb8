"""
Tests for C{examples/deploy}: the files fit the daemon, and do what the documentation says.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import h11
from twisted.internet.testing import MemoryReactorClock

from tests.support.daemons import FOREGROUND, PATIENCE, Client, DaemonMixin, freePort, until
from tests.support.nginx import startNginx
from tests.support.options import OptionsMixin
from tests.support.requirements import ROOT, needs
from tests.support.several import childrenOf
from twisted_sse import EventStreamParser
from twisted_sse.daemon import Options, makeService
from twisted_sse.daemon.metrics import countSources
from twisted_sse.daemon.processes.supervisor import LONGEST_CLOSE
from twisted_sse.metrics import PrometheusObserver

try:
    import yaml
except ImportError:  # needed for one class
    yaml = None

DEPLOY = ROOT / "examples" / "deploy"

#: What a service manager does to pass a listening socket to a service (sd_listen_fds(3)).
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="sse.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


def serviceOptions() -> list[str]:
    """
    @return: the options of C{twistd sse} in systemd's unit.
    """
    unit = (DEPLOY / "twisted-sse.service").read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(r"^ExecStart=(\S+) -n --pidfile= sse (.*)$", unit, re.MULTILINE)
    assert found is not None
    return shlex.split(found[2])


def containerOptions() -> list[str]:
    """
    @return: the default options of C{twist sse} in the container.
    """
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    found = re.search(r'^ENTRYPOINT \["twist", .*"sse"\]\nCMD (.*)$', text, re.MULTILINE)
    assert found is not None
    options: list[str] = json.loads(found[1])
    return options


def kubernetes() -> Any:
    """
    @return: the deployment and the service.
    """
    return yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))


def documentedOptions() -> list[str]:
    """
    @return: the documented options for the daemon behind nginx.
    """
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    found = re.search(r"^\$ twistd -n sse (.*--trusted-proxy.*)$", text, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])


class FilesTests(OptionsMixin):
    """
    Tests of the files without starting anything.
    """

    if yaml is None:
        skip = "PyYAML not found: pip install pyyaml"

    def test_options(self) -> None:
        """
        The daemon accepts the options, and needs no others.
        """
        unit = [each.replace("systemd:domain=INET:index=0", "tcp:0") for each in serviceOptions()]
        # This replacement also listens for other machines.
        for arguments in [*unit, "--public"], containerOptions():
            makeService(self.alone(*arguments), MemoryReactorClock())

    def test_names(self) -> None:
        """
        The daemon answers under the name of nginx's server, which is not one of loopback's.
        """
        text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
        names = re.findall(r"^ *server_name (\S+);", text, re.MULTILINE)
        self.assertEqual(len(names), 1)
        for arguments in serviceOptions(), documentedOptions():
            self.assertEqual(self.alone(*arguments)["allow-host"], names)

    def alone(self, *arguments: str) -> Options:
        """
        @return: the options, for one process: others cannot be started in memory.
        """
        return self.options(*arguments, "--processes=1")

    def test_kubernetes(self) -> None:
        """
        The probes use the daemon's ports and paths, and the grace period exceeds its shutdown.
        """
        deployment, service = kubernetes()
        pod = deployment["spec"]["template"]
        (container,) = [each for each in pod["spec"]["containers"] if each["name"] == "events"]
        options = self.options(*container["args"])
        self.assertEqual(options["processes"], 2)
        makeService(self.alone(*container["args"]), MemoryReactorClock())
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        self.assertEqual(options["listen"], [f"tcp:{ports['events']}"])
        self.assertEqual(options["admin"], f"tcp:{ports['admin']}")
        self.assertEqual(pod["metadata"]["annotations"]["prometheus.io/port"], str(ports["admin"]))
        for probe, path in ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"):
            self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "admin"})
        self.assertGreater(
            pod["spec"]["terminationGracePeriodSeconds"],
            options["drain"] + options["drain-delay"] + LONGEST_CLOSE,
        )
        (port,) = service["spec"]["ports"]
        self.assertIn(port["targetPort"], ports)
        self.assertEqual(service["spec"]["selector"], pod["metadata"]["labels"])

    def test_dashboard(self) -> None:
        """
        The dashboard uses existing metrics and labels, and every metric of ours.
        """
        from prometheus_client import CollectorRegistry, ProcessCollector

        registry = CollectorRegistry()
        PrometheusObserver(registry)
        ProcessCollector(registry=registry)
        countSources(registry, {})
        # By the names that queries use.
        known: dict[str, set[str]] = {}
        for metric in registry.collect():
            labels = {*getattr(metric, "_labelnames", ()), "job", "instance"}
            if metric.type == "histogram":
                known[f"{metric.name}_bucket"] = {*labels, "le"}
            else:
                known[metric.name + ("_total" if metric.type == "counter" else "")] = labels
        dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
        asked = set()
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                expression = target["expr"]
                (name,) = re.findall(r"\b(?:sse|process)_\w+", expression)
                self.assertIn(name, known, panel["title"])
                asked.add(name)
                labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                for part in re.findall(r"by \((\w+)\)", expression):
                    labels.add(part)
                self.assertLessEqual(labels, known[name], panel["title"])
        self.assertEqual({name for name in known if name.startswith("sse_")} - asked, set())
        identifiers = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(identifiers), len(set(identifiers)))


@needs("network", "deploy")
class UnitsTests(DaemonMixin):
    """
    Tests for systemd's units.
    """

    def test_verified(self) -> None:
        """
        systemd accepts the units.
        """
        for name in "twisted-sse.service", "twisted-sse.socket":
            text = (DEPLOY / name).read_text(encoding="utf-8")
            # systemd checks that the command exists.
            text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
            (self.directory / name).write_text(text, encoding="utf-8")
        done = self.run_("systemd-analyze", "verify", *map(str, self.directory.glob("*.s*")))
        said = [line for line in done.stderr.splitlines() if "twisted-sse" in line]
        self.assertEqual((said, done.returncode), ([], 0))

    def activated(self, listening: socket.socket, log: Path) -> subprocess.Popen[str]:
        """
        Start the daemon as the units do.
        """
        options = [each.replace("/var/log/app.log", str(log)) for each in serviceOptions()]
        return self.start(
            *(sys.executable, "-c", ACTIVATE, str(listening.fileno()), *FOREGROUND, "sse"),
            *options,
            listens=True,
            pass_fds=(listening.fileno(),),
        )

    def test_restart(self) -> None:
        """
        No connection is refused during a restart of the daemon: new clients wait.
        """
        log = self.directory / "app.log"
        log.write_text("one\n")
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.addCleanup(listening.close)
        self.port = listening.getsockname()[1]
        daemon = self.activated(listening, log)
        before = self.client()
        before.readUntil(b"data: one\n")
        self.assertEqual(len(childrenOf(daemon.pid)), 2)
        # As systemctl reload does.
        daemon.send_signal(signal.SIGUSR2)
        self.waitFor(daemon, "The processes were replaced")
        self.client().readUntil(b"data: one\n")
        self.assertIn(b"retry: ", before.readAll())
        before = self.client()
        before.readUntil(b"data: one\n")
        daemon.terminate()
        self.finish(daemon)
        self.assertIn(b"retry: ", before.readAll())
        meanwhile = [self.client() for _ in range(50)]
        daemon = self.activated(listening, log)
        for client in meanwhile:
            client.readUntil(b"data: one\n")
        daemon.terminate()
        self.finish(daemon)


@needs("network", "deploy")
class NginxTests(DaemonMixin):
    """
    Tests for nginx in front of the daemon.
    """

    def setUp(self) -> None:
        """
        Start nginx, without the daemon.
        """
        super().setUp()
        self.daemonPort, self.port = self.port, freePort()
        text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
        for before, after in (
            ("server 127.0.0.1:8080;", f"server 127.0.0.1:{self.daemonPort};"),
            ("listen 8000;", f"listen 127.0.0.1:{self.port};"),
        ):
            self.assertEqual(text.count(before), 1)
            text = text.replace(before, after)
        startNginx(self, self.directory, text, self.port)
        self.log = self.directory / "app.log"
        self.log.write_text("one\n")

    def serve(self) -> subprocess.Popen[str]:
        """
        Start the daemon as documented.
        """
        options = [each.replace("/var/log/app.log", str(self.log)) for each in documentedOptions()]
        options[options.index("--listen") + 1] = f"tcp:{self.daemonPort}:interface=127.0.0.1"
        port, self.port = self.port, self.daemonPort
        try:
            return self.start(
                *(*FOREGROUND, "sse", *options, "--tail", "10"),
                *("--access-log", str(self.directory / "access.log")),
                listens=True,
            )
        finally:
            self.port = port

    def ask(self, accept: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """
        Make a request, and read the whole response.
        """
        http = h11.Connection(h11.CLIENT)
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            fields = {"Host": "sse.example.com", "Accept": accept, **headers}
            request = h11.Request(method="GET", target="/", headers=list(fields.items()))
            connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
            body = b""
            status, received = 0, {}
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(connection.recv(2**16))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    received = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    return status, received, body

    def via(self, source: str = "127.0.0.1", more: bytes = b"") -> Client:
        """
        @param source: the address of the client.
        @return: a client of nginx.
        """
        connection = socket.create_connection(
            ("127.0.0.1", self.port), PATIENCE, source_address=(source, 0)
        )
        self.addCleanup(connection.close)
        return Client(connection, b"Host: sse.example.com\r\n" + more)

    def test_down(self) -> None:
        """
        While the daemon is down, an event source gets a C{retry} and reconnects, and other clients
        get a 503.
        """
        status, headers, body = self.ask("text/event-stream")
        self.assertEqual((status, headers["content-type"]), (200, "text/event-stream"))
        parser = EventStreamParser()
        self.assertEqual(parser.feed(body), [])
        self.assertEqual(parser.retry, 2000)
        self.assertEqual(self.ask("text/html")[0], 503)

    def test_stream(self) -> None:
        """
        Events arrive at once, and the end arrives with a C{retry}.
        """
        daemon = self.serve()
        client = self.via()
        client.readUntil(b"data: one\n")
        for line in "two", "three":
            with self.log.open("a") as file:
                file.write(f"{line}\n")
            client.readUntil(f"data: {line}\n".encode())
        self.assertIn(b"text/event-stream", client.received)
        daemon.terminate()
        client.readUntil(b"\r\n0\r\n\r\n")
        self.assertIn(b"retry: ", client.received)
        self.finish(daemon)
        self.assertEqual(self.ask("text/event-stream")[0], 200)

    def test_gone(self) -> None:
        """
        The daemon notices that a client has disconnected, and has its address from nginx, whatever
        the client sends.
        """
        daemon = self.serve()
        client = self.via("127.0.0.2", b"X-Forwarded-For: 203.0.113.9\r\n")
        client.readUntil(b"data: one\n")
        client.socket.close()
        access = self.directory / "access.log"
        until(access.read_text)
        self.assertEqual(access.read_text().split()[0], "127.0.0.2")
        daemon.terminate()
        self.finish(daemon)
