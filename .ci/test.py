"""
C{make test}: the tests under pytest, with their coverage, and at the same time
under trial.

Arguments go to pytest; a part of the tests runs under pytest alone, and is not
asked to cover everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from xml.etree import ElementTree

#: Percent, of lines and of branches alike.
COVERAGE = 95

#: Lines of a failed test, and of trial's output, that are shown again at the end.
LAST_LINES = 25


def run(*arguments: str) -> bool:
    """
    Run a module of this Python.

    @return: whether it succeeded.
    """
    print(f"\n== python -m {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", *arguments], check=False).returncode == 0


@contextmanager
def aside(*arguments: str) -> Iterator[Callable[[], bool]]:
    """
    Run a module of this Python beside something else.

    @return: a context manager that gives a function: it waits for the end, shows
        what was written, and returns whether it succeeded.
    """
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as written:
        command = [sys.executable, "-m", *arguments]
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)

        def finish() -> bool:
            status = process.wait()
            written.seek(0)
            text = written.read()
            print(f"\n== python -m {' '.join(arguments)}\n{text}", flush=True)
            if status != 0:
                failed(f"{' '.join(arguments)}: the end of its output", text)
            return status == 0

        try:
            yield finish
        finally:
            process.kill()
            process.wait()


def failed(what: str, text: str) -> None:
    """
    Note what failed, for the end of C{.ci/run}: the output of both commands is long.

    @param what: its name.
    @param text: why; the end of it is noted.
    """
    path = os.environ.get("SSE_FAILED")
    if path:
        end = "\n".join(text.strip().splitlines()[-LAST_LINES:])
        with open(path, "a", encoding="utf-8") as noted:
            noted.write(f"== {what}\n{end}\n")


def noteFailures(report: Path) -> None:
    """
    Note the tests that failed under pytest.

    @param report: what pytest wrote, in JUnit's XML; it may be missing.
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
    Compare what was run with what must be.

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
    Run everything, whatever fails, and say at the end what did.

    @param arguments: for pytest.
    @return: the exit status.
    """
    with TemporaryDirectory() as temporary:
        leftOut = Path(temporary, "left-out")
        os.environ["SSE_LEFT_OUT"] = str(leftOut)
        report = Path(temporary, "pytest.xml")
        options = ["--durations=25", f"--junit-xml={report}", *arguments]
        pytest = partial(run, "coverage", "run", "-m", "pytest", *options)
        if arguments:
            results = {"pytest": pytest()}
        else:
            with aside("twisted.trial", "tests") as trial:
                results = {"pytest": pytest(), "trial": trial()}
            results["coverage"] = covered(Path(temporary, "coverage.json"))
        noteFailures(report)

        print("\n== summary")
        for name, passed in results.items():
            print(f"{name}: {'passed' if passed else 'FAILED'}")
        if leftOut.exists():
            print(leftOut.read_text(encoding="utf-8").strip() or "nothing was left out")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
