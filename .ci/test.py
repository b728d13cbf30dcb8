"""
C{make test}: the tests under pytest, with their coverage, and under trial those for which the
runner matters.

Two processors run, at the same time: the live tests under pytest, except those of web pages; and all
other tests, those of pages, then trial.

Arguments go to pytest; a part of the tests runs under pytest alone, without the requirement of full
coverage.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

#: Percent, both of lines and of branches.
COVERAGE = 95

#: The live tests of web pages, and how pytest leaves them out: the live page, the documentation's
#: site, and pages of examples.
NAMES = ["page*", "reference", "tables", "datastar", "htmx", "models", "react", "turbo"]
PAGES = [path for name in NAMES for path in Path("tests/live").glob(f"test_{name}.py")]
WITHOUT_PAGES = [f"--ignore={path}" for path in PAGES]

#: Lines of a failed test, and of trial's output, that are shown again at the end.
LAST_LINES = 25


def run(*arguments: str) -> bool:
    """
    Run a module of this Python.

    @return: whether it succeeded.
    """
    print(f"\n== python -m {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", *arguments], check=False).returncode == 0


def aside(*arguments: str) -> bool:
    """
    Run a module of this Python in parallel with another, and show its output when it has ended.

    @return: whether it succeeded.
    """
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    print(f"\n== python -m {' '.join(arguments)}\n{done.stdout}", flush=True)
    if done.returncode != 0:
        failed(f"{' '.join(arguments)[:200]}: the end of its output", done.stdout)
    return done.returncode == 0


def forTrial() -> Iterator[str]:
    """
    Find the tests that trial runs, too: all in memory, and those over sockets that need nothing
    else.  The others do not depend on the runner: under pytest, too, trial's C{TestCase} runs the
    reactor and checks what is left in it; and tests of the daemon as a process have no reactor.

    @return: their files.
    """
    for path in sorted(Path("tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        needed = re.findall(r"@needs\((.*)\)", text)
        if set(re.findall(r"\w+", " ".join(needed))) <= {"network"} and "DaemonMixin" not in text:
            yield str(path)


def failed(what: str, text: str) -> None:
    """
    Record failures for the end of C{.ci/run}: the output of both commands is long.

    @param what: the name of the failed step.
    @param text: the reason; its end is recorded.
    """
    path = os.environ.get("SSE_FAILED")
    if path:
        end = "\n".join(text.strip().splitlines()[-LAST_LINES:])
        with open(path, "a", encoding="utf-8") as noted:
            noted.write(f"== {what}\n{end}\n")


def noteFailures(report: Path) -> None:
    """
    Record the tests that failed under pytest.

    @param report: pytest's report, in JUnit's XML; it may be missing.
    """
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        for kind in ("failure", "error"):
            for each in case.iter(kind):
                name = f"{case.get('classname')}.{case.get('name')}"
                failed(f"{kind}: {name}", f"{each.get('message')}\n{each.text}")


def covered(report: Path) -> bool:
    """
    Compare the coverage with the required one.

    @param report: where a file may be written.
    """
    run("coverage", "report")
    if not run("coverage", "json", "-q", "-o", str(report)):
        return False
    totals = json.loads(report.read_text(encoding="utf-8"))["totals"]
    enough = True
    for what, done, all_ in (
        ("lines", totals["covered_lines"], totals["num_statements"]),
        ("branches", totals["covered_branches"], totals["num_branches"]),
    ):
        percent = 100 * done / all_ if all_ else 100
        enough = enough and percent >= COVERAGE
        print(f"coverage of {what}: {percent:.1f} % (at least {COVERAGE} % needed)")
    return enough


def main(arguments: list[str]) -> int:
    """
    Run everything despite failures, and report these at the end.

    @param arguments: for pytest.
    @return: the exit status.
    """
    with TemporaryDirectory() as temporary:
        leftOut = Path(temporary, "left-out")
        os.environ["SSE_LEFT_OUT"] = str(leftOut)

        def pytest(how: Callable[..., bool], name: str, *options: str) -> bool:
            report = Path(temporary, f"{name}.xml")
            passed = how(
                *("coverage", "run", "--parallel-mode", "-m", "pytest", "--durations=25"),
                *(f"--junit-xml={report}", *options),
            )
            noteFailures(report)
            return passed

        run("coverage", "erase")
        if arguments:
            results = {"pytest": pytest(run, "pytest", *arguments)}
        else:
            with ThreadPoolExecutor(1) as second:
                others = second.submit(pytest, aside, "others", "--ignore=tests/live")
                pages = second.submit(pytest, aside, "pages", *map(str, sorted(PAGES)))
                trial = second.submit(aside, "twisted.trial", *forTrial())
                results = {
                    "pytest, live": pytest(run, "live", "tests/live", *WITHOUT_PAGES),
                    "pytest, others": others.result(),
                    "pytest, pages": pages.result(),
                    "trial": trial.result(),
                }
        run("coverage", "combine", "-q")
        if not arguments:
            results["coverage"] = covered(Path(temporary, "coverage.json"))

        print("\n== summary")
        for name, passed in results.items():
            print(f"{name}: {'passed' if passed else 'FAILED'}")
        if leftOut.exists():
            print(leftOut.read_text(encoding="utf-8").strip() or "nothing was left out")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
