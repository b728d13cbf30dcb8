"""
Tests for C{examples/deploy}: the files fit the daemon, and work as documented.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from tests.support.daemons import DaemonMixin
from tests.support.options import OptionsMixin
from tests.support.requirements import needs
from tests.support.units import DEPLOY, NAME, documentedOptions, readUnit, serviceOptions
from twisted_sse.daemon import Options, makeService
from twisted_sse.daemon.metrics import countSources
from twisted_sse.daemon.processes.supervisor import LONGEST_CLOSE
from twisted_sse.metrics import PrometheusObserver

try:
    import yaml
except ImportError:  # needed for one class
    yaml = None


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


class FilesTests(OptionsMixin):
    """
    Tests of the files without starting any service.
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
        The daemon answers to the name of the proxies, which is not a loopback name.
        """
        for arguments in serviceOptions(), documentedOptions():
            self.assertEqual(self.alone(*arguments)["allow-host"], [NAME])
        for name, pattern in (
            ("nginx.conf", r"^ *server_name (\S+);"),
            ("Caddyfile", r"^(\S+) \{"),
            ("traefik.yaml", r"Host\(`(.+)`\)"),
        ):
            text = (DEPLOY / name).read_text(encoding="utf-8")
            self.assertEqual(re.findall(pattern, text, re.MULTILINE), [NAME], name)

    def test_traefik(self) -> None:
        """
        Traefik's router leads to its service, which leads to the socket, without middlewares.
        """
        text = (DEPLOY / "traefik.yaml").read_text(encoding="utf-8")
        http = yaml.safe_load(text).pop("http")
        self.assertEqual(set(http), {"routers", "services"})
        [router] = http["routers"].values()
        self.assertEqual(set(router), {"rule", "entryPoints", "service"})
        self.assertIn(f"entryPoints: {{{router['entryPoints'][0]}: ", text)
        address = readUnit("twisted-sse.socket")["Socket"]["ListenStream"]
        servers = {"servers": [{"url": f"http://{address}"}]}
        self.assertEqual(http["services"], {router["service"]: {"loadBalancer": servers}})

    def test_heartbeat(self) -> None:
        """
        The daemon's heartbeat interval is shorter than HAProxy's timeout.
        """
        heartbeat = self.alone(*serviceOptions())["heartbeat"]
        text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
        timeouts = dict(re.findall(r"^ +timeout (\w+) (\d+)s$", text, re.MULTILINE))
        self.assertEqual(set(timeouts), {"client", "connect", "server"})
        for side in "client", "server":
            self.assertGreater(int(timeouts[side]), 2 * heartbeat)

    def alone(self, *arguments: str) -> Options:
        """
        @return: the options, for one process, since others cannot be started in memory.
        """
        return self.options(*arguments, "--processes=1")

    def test_kubernetes(self) -> None:
        """
        The probes use the daemon's ports and paths, and the grace period exceeds its shutdown.
        """
        deployment, service = kubernetes()
        pod = deployment["spec"]["template"]
        (container,) = [each for each in pod["spec"]["containers"] if each["name"] == "events"]
        # The volume, as the container has it.
        logs = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, logs)
        arguments = [each.replace("file:/logs/", f"file:{logs}/") for each in container["args"]]
        options = self.options(*arguments)
        self.assertEqual(options["processes"], 2)
        makeService(self.alone(*arguments), MemoryReactorClock())
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


@needs("deploy")
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
