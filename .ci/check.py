"""
C{make check}: checks beyond the tests with this machine's Python.

Style, types, documentation; the package as users install it; the tests with every other available
Python and with the oldest Twisted we declare.  Arguments choose steps by the beginning of their
names.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent

#: The versions we promise, and those that are tried where they exist.
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
NEWER = ["3.14", "3.15"]

#: The version that runs this: `make test` runs all tests with it.
OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"

#: The oldest Twisted of setup.py, and the pyOpenSSL of its year: since 26.2 it refuses to change a
#: context in use, which Twisted did before 26.4.
OLDEST = ["Twisted==24.3.0", "pyOpenSSL<24.3"]

#: Tests that only `make test` runs: their results are the same with every Python, or they take
#: minutes.
MARKERS = (
    "not browser and not curl and not deploy and not docs and not faketime and not firefox"
    " and not go and not node and not packages and not php and not processes and not redis"
    " and not root"
)

#: The same, and a few seconds of Redis: the contract of a store, over real connections.
LIVE = MARKERS.replace(" and not redis", "")
STORES = ["tests/live/test_redis.py"]

#: Tests that read the project's own files: `make test` has run them.
FILES = ["tests/test_house.py", "tests/test_tests.py"]

#: For the Pythons between the ends: the tests that need nothing from the machine.
IN_MEMORY = ["--in-memory"]

#: For the newest Python, of the tests over sockets: those that depend on its own modules for TLS,
#: asyncio, processes and signals.  The others have the same results as with ours.
PYTHONS_OWN = [
    f"tests/live/test_{name}.py"
    for name in (
        "client",
        "client_asyncio",
        "daemon",
        "get_process",
        "http2",
        "hub_http2",
        "jwks",
        "keeper",
        "publish",
        "transport",
    )
]

#: Simultaneous commands: the tests with different Pythons, the installs.
JOBS = 2

#: Seconds for a server to start and answer.
PATIENCE = 60

#: Characters of a failed step's output that are shown again at the end.
LAST = 4000


class Failed(Exception):
    """
    A step gave a wrong result.
    """


class LeftOut(Exception):
    """
    A step could not be run here.
    """


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """
    Run a command that must succeed.

    @return: its output.
    @raise Failed: with its output.
    """
    # pip in a new environment must not use ours.
    unset = {"PYTHONPATH", "VIRTUAL_ENV", "SSE_REQUIRE", "SSE_LEFT_OUT"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"$ {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def lastLine(text: str) -> str:
    """
    @return: the conclusion of a tool.
    """
    return text.strip().splitlines()[-1] if text.strip() else "nothing to say"


def tool(*arguments: str) -> str:
    """
    Run a module of the environment of C{make}.
    """
    return lastLine(run(sys.executable, "-m", *arguments))


def documentation() -> str:
    """
    Build the documentation; a warning is an error.
    """
    if not (ROOT / "docs" / "conf.py").exists():
        raise LeftOut("no docs/conf.py")
    with TemporaryDirectory() as built:
        run(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", built)
        pages = len(list(Path(built).rglob("*.html")))
    return f"{pages} pages, no warnings"


class Package:
    """
    The distributions, built once, and the contents of each.
    """

    def __init__(self, work: Path) -> None:
        self.work = work

    @property
    def wheel(self) -> Path:
        """
        The wheel, which was built from the sdist.
        """
        return self._only("*.whl")

    @property
    def sdist(self) -> Path:
        """
        The source distribution.
        """
        return self._only("*.tar.gz")

    def _only(self, pattern: str) -> Path:
        found = list((self.work / "dist").glob(pattern))
        if len(found) != 1:
            raise Failed(f"{pattern} was not built")
        return found[0]

    def build(self) -> str:
        """
        Build both, and check the content of the wheel.
        """
        run(sys.executable, "-m", "build", "--outdir", self.work / "dist", ROOT)
        with zipfile.ZipFile(self.wheel) as archive:
            names = archive.namelist()
        # Anything else would be installed into another package, "tests" or Twisted itself.
        ours = re.compile(
            r"twisted_sse/|twisted_sse-[^/]+\.dist-info/|twisted/plugins/twisted_sse_plugin\.py$"
        )
        foreign = [name for name in names if not ours.match(name)]
        if foreign:
            raise Failed(f"the wheel has files that are not ours: {foreign}")
        for needed in "twisted_sse/py.typed", "twisted/plugins/twisted_sse_plugin.py":
            if needed not in names:
                raise Failed(f"the wheel lacks {needed}")
        return f"{self.wheel.name} and {self.sdist.name}"

    def unpack(self, name: str) -> Path:
        """
        Unpack the sdist, which includes the tests.

        @param name: the name of its folder.
        """
        with tarfile.open(self.sdist) as archive:
            archive.extractall(self.work / name, filter="data")
        [folder] = (self.work / name).iterdir()
        return folder

    def install(self, how: str) -> str:
        """
        Install in a fresh environment, check the commands, and uninstall.

        @param how: C{wheel}, C{sdist}, C{editable} or C{read-only}.
        """
        environment = self.work / f"install-{how}"
        bin_ = newEnvironment(environment, Path(sys.executable))
        source = {"sdist": self.sdist, "editable": ROOT}.get(how, self.wheel)
        editable = ["--editable"] if how == "editable" else []
        run(bin_ / "pip", "install", "--quiet", *editable, source, cwd=self.work)

        prefix: list[str | Path] = []
        if how == "read-only":
            run("chmod", "-R", "a-w", environment)
            # Permissions do not restrict root, unless it gives up the capability to ignore them.
            if os.getuid() == 0:
                prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
        # The first of these finds no plugin cache: when Twisted loads the plugin itself.
        asyncio = run(*prefix, bin_ / "twistd", "--reactor=asyncio", "sse", "--help", cwd=self.work)
        if "--port" not in asyncio:
            raise Failed(f"twistd --reactor=asyncio sse --help says:\n{asyncio}")
        for command in "twistd", "twist":
            shown = run(*prefix, bin_ / command, "--help", cwd=self.work)
            if not re.search(r"^ +sse +Push events", shown, re.MULTILINE):
                raise Failed(f"{command} --help does not list sse:\n{shown}")
        shown = run(*prefix, bin_ / "twisted-sse", "--help", cwd=self.work)
        if not re.search(r"^ +get +follow ", shown, re.MULTILINE):
            raise Failed(f"twisted-sse --help does not list get:\n{shown}")
        if how == "read-only":
            if list(environment.rglob("dropin.cache")):
                raise Failed("the environment was not read-only")
            run("chmod", "-R", "u+w", environment)

        run(bin_ / "pip", "uninstall", "--quiet", "--yes", "twisted-sse", cwd=self.work)
        run(bin_ / "python", "-c", "import twisted.web.server, twisted.plugins", cwd=self.work)
        if re.search(r"^ +sse ", run(bin_ / "twistd", "--help", cwd=self.work), re.MULTILINE):
            raise Failed("twistd --help lists sse after uninstalling")
        return "twistd and twist list sse; uninstalling leaves Twisted"

    def release(self) -> str:
        """
        Release to an index on this machine, install from it by name, and serve.
        """
        files = [self.sdist, self.wheel]
        run(sys.executable, "-m", "twine", "check", "--strict", *files)
        version = self.sdist.name.removeprefix("twisted_sse-").removesuffix(".tar.gz")
        heading = f"## {version} ("
        if heading not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
            raise Failed(f"CHANGELOG.md has no section {heading!r}...: make news")
        index = self.work / "index"
        index.mkdir()
        port = freePort()
        address = f"http://127.0.0.1:{port}"
        # Without a password, and without redirecting pip to another index.
        options = ["--authenticate", ".", "--passwords", ".", "--disable-fallback"]
        server = [sys.executable, "-m", "pypiserver", "run", "-p", str(port), "-i", "127.0.0.1"]
        with running(*server, *options, index):
            fetch(f"{address}/simple/", "Simple Index")
            upload = [sys.executable, "-m", "twine", "upload", "--disable-progress-bar"]
            login = ["--username", "anyone", "--password", "anything"]
            run(*upload, "--repository-url", f"{address}/", *login, *files)
            bin_ = newEnvironment(self.work / "released", Path(sys.executable))
            named = f"twisted-sse=={version}"
            pip: list[str | Path] = [bin_ / "pip", "install", "--quiet"]
            run(*pip, "--no-deps", "--index-url", f"{address}/simple/", named, cwd=self.work)
        run(*pip, named, cwd=self.work)  # its dependencies
        port = freePort()
        served: list[str | Path] = [bin_ / "twistd", "-n", "--pidfile=", "sse", "--port", str(port)]
        with running(*served):
            fetch(f"http://127.0.0.1:{port}/", "data: hello")
        return f"{named}, from an index to an event"

    def test(self, python: Path, name: str, chosen: list[str], live: list[str], *pins: str) -> str:
        """
        Run the tests from the unpacked sdist.

        @param python: the interpreter.
        @param name: the name of the folders.
        @param chosen: the tests, as pytest's options.
        @param live: files with more tests.
        @param pins: other requirements than the newest of everything.
        """
        bin_ = newEnvironment(self.work / f"{name}-environment", python)
        run(bin_ / "pip", "install", "--quiet", f"{self.wheel}[test]", *pins, cwd=self.work)
        twisted = run(bin_ / "python", "-c", "import twisted; print(twisted.__version__)").strip()
        folder = self.unpack(name)
        ignored = [f"--ignore={file}" for file in FILES]
        output = run(bin_ / "python", "-m", "pytest", "-q", *chosen, *ignored, cwd=folder)
        more = ""
        if live:
            more = run(bin_ / "python", "-m", "pytest", "-q", "-m", LIVE, *live, cwd=folder)
            more = f"; live: {lastLine(more)}"
        return f"Twisted {twisted}: {lastLine(output)}{more}"


def freePort() -> int:
    """
    @return: a port that is free now.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def running(*command: str | Path) -> Iterator[None]:
    """
    Run a server, and stop it.

    @raise Failed: with its output, if something fails meanwhile.
    """
    with TemporaryDirectory() as folder, Path(folder, "output").open("w+") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield
        except Failed as failure:
            output.seek(0)
            raise Failed(f"{failure}\n$ {' '.join(map(str, command))}\n{output.read()}") from None
        finally:
            server.terminate()
            server.wait()


def fetch(url: str, wanted: str) -> None:
    """
    Request a text from a server that may still be starting; an event stream may send it later.

    @raise Failed: if it does not arrive in time.
    """
    request = Request(url, headers={"Accept": "text/event-stream, text/html;q=0.5"})
    until = time.monotonic() + PATIENCE
    problem: object = "the response ended without it"
    while time.monotonic() < until:
        try:
            with urlopen(request, timeout=PATIENCE) as response:
                if any(wanted in line.decode() for line in response):
                    return
        except OSError as error:
            problem = error
        time.sleep(0.2)
    raise Failed(f"{url} did not send {wanted!r}: {problem}")


def newEnvironment(folder: Path, python: Path) -> Path:
    """
    Make a virtual environment.

    @return: the folder of its commands.
    """
    run(python, "-m", "venv", folder)
    return folder / "bin"


def findPython(version: str) -> Path | None:
    """
    Look for a Python that can make environments: on the path, then in pyenv's folder of versions.

    @param version: as C{3.12}.
    """
    candidates = [shutil.which(f"python{version}")]
    versions = Path.home() / ".pyenv" / "versions"
    candidates += [str(path) for path in sorted(versions.glob(f"{version}.*/bin/python3"))]
    for candidate in candidates:
        if candidate is None:
            continue
        try:
            run(candidate, "-c", "import ensurepip, ssl, venv")
        except (Failed, OSError):
            continue
        return Path(candidate)
    return None


Step = tuple[str, Callable[[], str]]


def stepsFor(package: Package) -> Iterator[list[Step]]:
    """
    List the steps: those of a group need the groups before it, but not each other.
    """
    yield [
        ("ruff check", partial(tool, "ruff", "check", "--no-cache")),
        ("ruff format", partial(tool, "ruff", "format", "--check", "--no-cache")),
        ("build", package.build),
    ]

    def notFound(version: str) -> str:
        raise LeftOut(f"no python{version} here")

    found = {
        version: python
        for version in PYTHONS + NEWER
        if (python := findPython(version)) is not None
    }
    # The oldest Twisted, with all tests; the newest Python; and the versions between them, with the
    # tests in memory.  The longest begin first.
    ends: list[Step] = []
    between: list[Step] = []
    if found:
        python = next(iter(found.values()))
        oldest = partial(package.test, python, "oldest", ["-m", MARKERS], STORES, *OLDEST)
        ends.append((f"tests with {OLDEST[0]}", oldest))
    for version in PYTHONS + NEWER:
        name = f"tests with Python {version}"
        if version not in found:
            if version in PYTHONS:
                between.append((name, partial(notFound, version)))
        elif version == list(found)[-1] != OURS:
            live = [*STORES, *PYTHONS_OWN]
            ends.append((name, partial(package.test, found[version], version, IN_MEMORY, live)))
        elif version != OURS:
            between.append((name, partial(package.test, found[version], version, IN_MEMORY, [])))
    installs = ["wheel", "sdist", "editable", "read-only"]
    yield [
        *ends,
        *between,
        ("mypy", partial(tool, "mypy")),
        ("docs", documentation),
        *((f"install {how}", partial(package.install, how)) for how in installs),
        ("release", package.release),
    ]


def attempt(step: Step) -> tuple[str, bool]:
    """
    Run a step and print its result.

    @return: a line for the summary, and whether it succeeded.
    """
    name, function = step
    started = time.monotonic()
    detail = ""
    try:
        line, well = f"{name}: {function()}", True
    except LeftOut as reason:
        line, well = f"{name}: left out: {reason}", True
    except Failed as failure:
        line, well, detail = f"{name}: FAILED", False, f"\n{failure}"
    print(f"== {line} ({time.monotonic() - started:.0f} s){detail}", flush=True)
    path = os.environ.get("SSE_FAILED")
    if not well and path:
        # For the end of .ci/run.
        with open(path, "a", encoding="utf-8") as noted:
            noted.write(f"== {line}{detail[-LAST:]}\n")
    return line, well


def main(chosen: list[str]) -> int:
    """
    Run the steps.

    @param chosen: beginnings of their names; none for all.
    @return: the exit status.
    """
    results: list[tuple[str, bool]] = []
    with TemporaryDirectory(prefix="twisted-sse-check-") as work:
        package = Package(Path(work))
        first, second = (
            [step for step in group if not chosen or step[0].startswith(tuple(chosen))]
            for group in stepsFor(package)
        )
        if second and "build" not in dict(first):
            first.append(("build", package.build))
        for wanted in first, second:
            with ThreadPoolExecutor(JOBS) as pool:
                results += pool.map(attempt, wanted)

    print("\n== summary")
    for line, _ in results:
        print(line)
    failures = sum(not well for _, well in results)
    print("all well" if not failures else f"{failures} FAILED")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
