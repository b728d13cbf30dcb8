"""
A simulated reader who follows a tutorial: puts its code into files, types its commands into
terminals, and compares the output with the page.

The sentence before each block of a page contains the instruction:

    - C{Put this into `board.py`:} a new file, or all of an old one
    - C{Add this to the end of `board.py`:}
    - C{In `board.py`, replace this:} and after that block C{by this:}
    - C{in the second terminal} before a C{console} block; without it, the terminal of the last one.

Between the blocks, C{Open <http://localhost:8080/>} is for the browser, and C{the page says *text*} means that
the text is, or will be, somewhere on the page.

In a terminal, C{$ } begins a command, C{^C} interrupts it, and the rest is the output.  A block
that begins with neither shows the next output of the running command, and C{$} alone that it has
ended.  Commands that install something are not typed, and those with C{sudo} need a machine of
one's own.
"""

from __future__ import annotations

import doctest
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.daemons import until
from tests.support.documents import DOCS, read
from tests.support.patience import PATIENCE
from tests.support.python import TWISTD
from tests.support.requirements import ROOT

__all__ = ["EDITS", "TUTORIALS", "Reader", "Step", "Workplace", "edited", "snapshots", "steps"]

#: The instructions for files.
EDITS = ("put", "add", "replace")

#: The pages.
TUTORIALS = sorted(DOCS.glob("tutorial-*.md"))

#: A block, perhaps with new lines marked.
_BLOCK = re.compile(
    r'^(?:\{emphasize-lines="([\d,-]+)"\}\n)?```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL
)
_OPEN = re.compile(r"\b[Oo]pen <(http://localhost:8080/[^>]*)>")
_SAYS = re.compile(r"\bpage\s+says:?\s+\*([^*]+)\*")
_PUT = re.compile(r"[Pp]ut this into `([\w.-]+)`(?:; the marked lines are new)?:$")
_ADD = re.compile(r"Add this to the end of `([\w.-]+)`:$")
_REPLACE = re.compile(r"[Ii]n `([\w.-]+)`, replace this:$")
_TERMINAL = re.compile(r"\b(first|second|third) terminal\b")

#: Commands that need the internet or root privileges.
_NOT_TYPED = re.compile(r"^(python3 -m venv|\. venv/bin/activate|pip install|sudo) ?", re.MULTILINE)

#: An ID made by a channel, or of a line in a file.
_ID = re.compile(r"\b[0-9a-f]{16}(?:\.?[1-9a-f][0-9a-f]+|-[0-9a-f]+-[0-9a-f]{16})\b")

#: Text that differs from run to run, and its placeholder.
_VARIABLE = [
    (re.compile(r"\x1b\[[\d;]*m"), ""),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[+-]\d{4}"), "TIME"),
    (re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE), "TIME "),
    (re.compile(r"^Date: .*", re.MULTILINE), "Date: TIME"),
    (re.compile(r"\bTwistedWeb/\S+"), "TwistedWeb/VERSION"),
    # The reconnection time in a drain is random, that of a new stream is not.
    (re.compile(r"^retry: (?!3000$)\d+$", re.MULTILINE), "retry: RANDOM"),
    (re.compile(r"\d+\.\d+s\b"), "N s"),
    # trial's verdicts are at the right margin.
    (re.compile(r"\.\.\. +\["), "... ["),
]

#: The shell's prompt for a command: text that no program prints.
_PROMPT = "\x02ready\x03"


@dataclass
class Step:
    """
    A reader's action for a block.

    @ivar line: its line on the page.
    @ivar do: C{"put"}, C{"add"} or C{"replace"} in a file; C{"type"}, C{"interrupt"} or C{"see"} in
        a terminal; C{"open"} or C{"read"} a page.
    @ivar where: the name of a file, or of a terminal; or C{"browser"}.
    @ivar what: the text of a file, the text to replace, or a command; a URL, or a text on the page.
    @ivar then: the new text, or the output.
    @ivar goesOn: whether a command is still running when the reader does something else.
    @ivar marked: the numbers of the lines that the page marks as new.
    """

    line: int
    do: str
    where: str
    what: str = ""
    then: str = ""
    goesOn: bool = False
    marked: frozenset[int] = frozenset()


def steps(page: Path) -> list[Step]:
    """
    Read the actions of a tutorial, in order.
    """
    text = read(page)
    found: list[Step] = []
    replaced: tuple[str, str] | None = None
    terminal = "first"
    last = 0
    blocks = list(_BLOCK.finditer(text))
    fences = len(re.findall(r"^```", text, re.MULTILINE))
    assert fences == 2 * len(blocks), f"{page.name}: a block without a language"
    for match in blocks:
        marked, language, block = match.groups()
        found += _browsing(text, last, match.start())
        paragraph = text[last : match.start()].strip().split("\n\n")[-1].replace("\n", " ")
        last = match.end()
        line = text.count("\n", 0, match.start()) + 1
        if language == "console":
            named = _TERMINAL.findall(paragraph)
            terminal = named[-1] if named else terminal
            if not _NOT_TYPED.search(block.replace("$ ", "")):
                found += _session(line, terminal, block)
        elif replaced is not None:
            assert paragraph == "by this:", f"{page.name}:{line}: {paragraph!r}"
            found.append(Step(line, "replace", replaced[0], replaced[1], block))
            replaced = None
        elif name := _PUT.search(paragraph):
            found.append(Step(line, "put", name[1], block, marked=_marked(marked)))
        elif name := _ADD.search(paragraph):
            found.append(Step(line, "add", name[1], block))
        elif name := _REPLACE.search(paragraph):
            replaced = name[1], block
        else:
            raise AssertionError(f"{page.name}:{line}: what to do with this? {paragraph!r}")
    found += _browsing(text, last, len(text))
    # A command keeps running if the next action in its terminal is not another.
    for number, step in enumerate(found):
        if step.do in ("type", "see"):
            later = (each for each in found[number + 1 :] if each.where == step.where)
            step.goesOn = next((each.do for each in later), "type") != "type"
    return found


def _browsing(text: str, start: int, end: int) -> list[Step]:
    found = [
        (match.start(), do, " ".join(match[1].split()))
        for do, pattern in (("open", _OPEN), ("read", _SAYS))
        for match in pattern.finditer(text, start, end)
    ]
    return [
        Step(text.count("\n", 0, place) + 1, do, "browser", what)
        for place, do, what in sorted(found)
    ]


def _marked(ranges: str | None) -> frozenset[int]:
    pairs = (each.partition("-") for each in (ranges or "").split(",") if each)
    return frozenset(
        number for first, _, last in pairs for number in range(int(first), int(last or first) + 1)
    )


def _session(line: int, terminal: str, block: str) -> Iterator[Step]:
    step = None
    for number, each in enumerate(block.splitlines(keepends=True), line + 1):
        if each.startswith("$ ") or each == "^C\n":
            if step is not None:
                yield step
            do = "type" if each.startswith("$ ") else "interrupt"
            step = Step(number, do, terminal, each.removeprefix("$ "))
        elif step is not None and step.do == "type" and not step.then and each.startswith("> "):
            step.what += each.removeprefix("> ")
        else:
            step = step or Step(number, "see", terminal)
            step.then += each.removeprefix("$\n")
    if step is not None:
        yield step


def snapshots(page: Path) -> Iterator[tuple[str, str]]:
    """
    Find the Python files of a tutorial at each moment the reader starts something.

    @return: pairs of a file name and its text.  The name has a number if the file changes later.
    """
    files: dict[str, str] = {}
    shown: dict[str, list[str]] = {}
    for step in steps(page):
        if step.do in EDITS:
            files[step.where] = edited(step, files.get(step.where, ""))
        elif step.do == "type":
            for name, text in files.items():
                texts = shown.setdefault(name, [])
                if text not in texts and name.endswith(".py"):
                    texts.append(text)
    for name, texts in shown.items():
        *earlier, last = texts or [""]
        for number, text in enumerate(earlier, 1):
            yield f"{Path(name).stem}_{number}.py", text
        if last:
            yield name, last


def edited(step: Step, text: str) -> str:
    """
    Apply a step to the text of a file.
    """
    if step.do == "put":
        return step.what
    if step.do == "add":
        return text + step.what
    assert text.count(step.what) == 1, f"line {step.line}: found {text.count(step.what)} times"
    return text.replace(step.what, step.then)


class Workplace:
    """
    A folder for following a tutorial, with the tested commands.

    @ivar folder: the folder.
    @ivar port: the port that replaces 8080 there.
    """

    def __init__(self, folder: Path, port: int) -> None:
        """
        @param folder: an empty folder.
        @param port: a free port.
        """
        self.folder = folder / "work"
        self.port = port
        self._commands = folder / "bin"
        self.folder.mkdir()
        self._commands.mkdir()
        for name, arguments in (
            ("python", []),
            # A script that pip has installed does not look for modules in the working folder.
            ("twistd", ["-c", f"import sys; sys.path.remove(''); {TWISTD}"]),
            ("twisted-sse", ["-m", "twisted_sse"]),
        ):
            path = self._commands / name
            words = " ".join(f"'{each}'" for each in [sys.executable, *map(_quoted, arguments)])
            checkout = f"export PYTHONPATH='{ROOT}'${{PYTHONPATH:+:$PYTHONPATH}}"
            path.write_text(f'#!/bin/sh\n{checkout}\nexec {words} "$@"\n', encoding="utf-8")
            path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """
        The environment of a terminal.
        """
        kept = {name: each for name, each in os.environ.items() if name != "NO_COLOR"}
        path = f"{self._commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        added = {"PATH": path, "HOME": str(self.folder), "TERM": "xterm"}
        return {**kept, **added, "PS1": _PROMPT, "PS2": "", "PYTHONDONTWRITEBYTECODE": "1"}

    def isInUse(self) -> bool:
        """
        @return: whether a process works in the folder.
        """
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if link.readlink().is_relative_to(self.folder):
                    return True
            except OSError:
                pass  # it has ended, or is another user's
        return False

    def here(self, text: str) -> str:
        """
        Adapt a text of the page to this folder and port.
        """
        # The daemon's default port.
        text = re.sub(r"\btwisted-sse serve (?!.*8080)", r"\g<0>--port 8080 ", text)
        return re.sub(r"\b8080\b", str(self.port), text)

    def edit(self, step: Step) -> None:
        """
        Apply a step to a file.
        """
        path = self.folder / step.where
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        here = Step(step.line, step.do, step.where, self.here(step.what), self.here(step.then))
        path.write_text(edited(here, before), encoding="utf-8")


def _quoted(word: str) -> str:
    return word.replace("'", "'\\''")


class _Terminal:
    """
    A shell on a terminal.
    """

    def __init__(self, place: Workplace) -> None:
        # Without the terminal's echo, everything read is output.
        begin = "stty -echo; exec bash --norc --noprofile --noediting -i"
        # Ctrl-C works, even if these tests run in the background of a shell, where SIGINT is ignored.
        interrupt = "signal.signal(signal.SIGINT, signal.SIG_DFL)"
        program = f"import pty, signal; {interrupt}; pty.spawn(['sh', '-c', {begin!r}])"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=place.folder,
            env=place.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._bytes = b""

    @property
    def printed(self) -> str:
        """
        The output not read yet.
        """
        return self._bytes.decode("utf-8", "replace").replace("\r\n", "\n")

    def take(self) -> str:
        """
        Read the output, and forget it.
        """
        printed = self.printed
        self._bytes = b""
        return printed

    def write(self, text: str) -> None:
        """
        Type something.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def read(self, seconds: float) -> None:
        """
        Wait for more output.

        @raise AssertionError: if there is none.
        """
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, seconds))
        chunk = os.read(self._process.stdout.fileno(), 2**16) if ready else b""
        assert chunk, f"nothing more was printed:\n{self.printed}"
        self._bytes += chunk

    def close(self) -> None:
        """
        Hang up, which ends the shell and its processes.
        """
        self._process.kill()
        self._process.communicate()


@dataclass
class Reader:
    """
    Follows a tutorial.

    @ivar page: the tutorial.
    @ivar place: the folder in which it is followed.
    @ivar browser: opens its pages.
    @ivar patience: how long to wait for output and for texts on a page, in seconds.
    """

    page: Path
    place: Workplace
    browser: Any
    patience: float = PATIENCE
    _terminals: dict[str, _Terminal] = field(default_factory=dict)
    _shown: list[str] = field(default_factory=list)
    _real: list[str] = field(default_factory=list)

    def follow(self) -> None:
        """
        Carry out all actions, in order.

        @raise AssertionError: if the output differs from the page.
        """
        for step in steps(self.page):
            if step.do in EDITS:
                self.place.edit(step)
            elif step.do == "open":
                self.browser.get(self.place.here(step.what))
            elif step.do == "read":
                self._find(step)
            else:
                self._use(self._terminal(step.where), step)

    def leave(self) -> None:
        """
        Close the terminals, and wait until what was started in them has ended, which may still write
        files.
        """
        for terminal in self._terminals.values():
            terminal.close()
        self._terminals.clear()
        until(lambda: not self.place.isInUse())

    def _find(self, step: Step) -> None:
        def says() -> bool:
            nonlocal text
            text = self.browser.execute_script("return document.body.innerText")
            return step.what in text

        text = ""
        try:
            until(says, self.patience)
        except AssertionError as error:
            where = f"{self.page.name}:{step.line}"
            raise AssertionError(f"{where}: no {step.what!r} in\n{text}") from error

    def _terminal(self, name: str) -> _Terminal:
        if name not in self._terminals:
            self._terminals[name] = _Terminal(self.place)
            self._wait(self._terminals[name], _PROMPT, "the shell")
            self._terminals[name].take()
        return self._terminals[name]

    def _use(self, terminal: _Terminal, step: Step) -> None:
        if step.do == "type":
            terminal.take()
            command = self.place.here(step.what)
            for shown, real in zip(self._shown, self._real, strict=True):
                command = command.replace(shown, real)
            terminal.write(command)
        elif step.do == "interrupt":
            # Later output is not on the page.
            terminal.take()
            terminal.write("\x03")
        where = f"{self.page.name}:{step.line}"
        if not step.goesOn:
            self._wait(terminal, _PROMPT, where)
        deadline = time.monotonic() + self.patience
        while not self._agree(step, terminal.printed):
            got = terminal.printed
            if step.goesOn and time.monotonic() < deadline:
                try:
                    terminal.read(deadline - time.monotonic())
                    continue
                except AssertionError:
                    pass
            raise AssertionError(f"{where}: {step.what}the page shows\n{step.then}\nhere is\n{got}")
        if step.goesOn:
            terminal.take()

    def _wait(self, terminal: _Terminal, text: str, where: str) -> None:
        deadline = time.monotonic() + self.patience
        while not terminal.printed.endswith(text):
            try:
                terminal.read(deadline - time.monotonic())
            except AssertionError as error:
                raise AssertionError(f"{where}: {error}") from error

    def _agree(self, step: Step, printed: str) -> bool:
        """
        Compare the text of a page with the output.  An ID differs in each run, but is the same
        wherever it is shown.
        """
        want, shown = _numbered(self.place.here(step.then), self._shown)
        got, real = _numbered(printed.replace(_PROMPT, ""), self._real)
        if step.do == "interrupt":
            got = got.lstrip("\n")
        if len(shown) != len(real) or not doctest.OutputChecker().check_output(
            want, got, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        ):
            return False
        self._shown, self._real = shown, real
        return True


def _numbered(text: str, known: list[str]) -> tuple[str, list[str]]:
    """
    Replace text that differs from run to run, and each ID by its number.

    @param known: the IDs found before.
    @return: the text, and the IDs found so far.
    """
    for pattern, standIn in _VARIABLE:
        text = pattern.sub(standIn, text)
    met = list(known)

    def number(match: re.Match[str]) -> str:
        if match[0] not in met:
            met.append(match[0])
        return f"ID {met.index(match[0])}"

    return _ID.sub(number, text), met
