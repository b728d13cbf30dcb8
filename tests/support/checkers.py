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

#: Code that an example or a page imports may lack annotations; our own may not.
MYPY = ("--strict", "--allow-untyped-calls", "--hide-error-context", "--no-error-summary")

#: A checker's finding: C{file:line: error: text}.
_FINDING = re.compile(r"(?P<file>[^:]+):(?P<line>\d+)(?::\d+)?: error: (?P<text>.*)")


def extract(folder: Path) -> None:
    """
    Write the code of each page to two files, one for its Python and one for its interpreter
    sessions.  Each line keeps its line number on the page.
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
    Run mypy without a configuration, as most users do.

    @param folder: the files to check, and where mypy may write.
    @param plugin: whether mypy-zope is used.
    @return: its findings.
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
    @return: its findings.
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

    @return: its output.
    @raise AssertionError: if it failed, as opposed to finding errors.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        # Whether a newer version exists does not matter here.
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    # Both exit with 1 if they have findings, and with a higher status if they failed.
    assert done.returncode in (0, 1), f"{module}: {done.stdout}{done.stderr}"
    return done.stdout
