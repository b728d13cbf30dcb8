"""
Type checkers, run over the code of the documentation and the examples.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.documents import PAGES, read
from tests.support.requirements import ROOT

#: What is imported by an example or a page may lack annotations; ours does not.
MYPY = ("--strict", "--allow-untyped-calls", "--hide-error-context", "--no-error-summary")

#: A checker's finding: C{file:line: error: text}.
_FINDING = re.compile(r"(?P<file>[^:]+):(?P<line>\d+)(?::\d+)?: error: (?P<text>.*)")


def extract(folder: Path) -> None:
    """
    Write the code of each page to a file in which the lines have the numbers of the page: its
    Python to one, its sessions of the interpreter to another.
    """
    for page in PAGES:
        for language, prompt in ("python", ""), ("pycon", ">>> "):
            lines = _lines(read(page), language, prompt)
            if any(lines):
                # The name of a page may be that of a module that it imports.
                path = folder / f"{page.stem.lower().replace('-', '_')}_{language}.py"
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(text: str, language: str, prompt: str) -> list[str]:
    lines = []
    inside = False
    for line in text.splitlines():
        fence = line.startswith("```")
        if inside and not fence and line.startswith((prompt, prompt.replace(">", "."))):
            lines.append(line[len(prompt) :])
        else:
            lines.append("")
        if fence:
            inside = line == f"```{language}"
    return lines


def mypy(folder: Path, plugin: bool) -> list[str]:
    """
    Run mypy, as someone does who has no configuration.

    @param folder: the files to check, and where mypy may write.
    @param plugin: whether mypy-zope is used.
    @return: what it finds.
    """
    configuration = folder / "mypy.ini"
    plugins = "plugins = mypy_zope:plugin\n" if plugin else ""
    configuration.write_text(f"[mypy]\n{plugins}", encoding="utf-8")
    files = map(str, sorted(folder.glob("*.py")))
    cache = folder / f"cache-{plugin}"
    output = _run("mypy", f"--config-file={configuration}", f"--cache-dir={cache}", *MYPY, *files)
    return [
        f"{Path(match['file']).name}:{match['line']}: {match['text']}"
        for line in output.splitlines()
        if (match := _FINDING.fullmatch(line)) is not None
    ]


def pyright(folder: Path) -> list[str]:
    """
    Run pyright in basic mode.

    @param folder: the files to check, and where the configuration is written.
    @return: what it finds.
    """
    configuration = folder / "pyrightconfig.json"
    settings = {
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "basic",
        "pythonVersion": "3.10",
    }
    configuration.write_text(json.dumps(settings), encoding="utf-8")
    output = _run(
        "pyright", "--outputjson", f"--pythonpath={sys.executable}", f"--project={configuration}"
    )
    return [
        f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}: {each['message']}"
        for each in json.loads(output)["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def _run(module: str, *arguments: str) -> str:
    """
    Run a checker.

    @return: what it writes.
    @raise AssertionError: if it could not do its work, rather than found something.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        # It is not of interest whether there is a newer one.
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    # Both exit with 1 if they have found something, and with more if they have failed.
    assert done.returncode in (0, 1), f"{module}: {done.stdout}{done.stderr}"
    return done.stdout
