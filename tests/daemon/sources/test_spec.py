"""
Tests for L{twisted_sse.daemon.sources.spec}: the sources of a command line.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.options import SOURCE, OptionsMixin
from twisted_sse.daemon.sources.spec import Kind


class ArgumentTests(OptionsMixin):
    """
    Tests for sources that are arguments.
    """

    def setUp(self) -> None:
        """
        Work in a directory with a log.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(temporary.name)
        Path("app.log").write_text("one\n", encoding="ascii")

    def sources(self, *arguments: str) -> list[tuple[str, Kind, str]]:
        """
        @return: the path, kind and value of each source.
        """
        found = self.options(*arguments).sources
        return [(path, spec.kind, spec.value) for path, spec in found.items()]

    def test_kinds(self) -> None:
        """
        A source may be the name of a file, a word, or a value after its kind.
        """
        for argument, kind, value in (
            ("app.log", Kind.FILE, "app.log"),
            ("./app.log", Kind.FILE, "./app.log"),
            ("file:later.log", Kind.FILE, "later.log"),
            ("command:true -x", Kind.COMMAND, "true -x"),
            ("-", Kind.INPUT, ""),
            ("tick", Kind.TICK, ""),
            ("post", Kind.POST, ""),
            (SOURCE, Kind.FUNCTION, SOURCE),
        ):
            self.assertEqual(self.sources(argument), [("/", kind, value)])
            self.assertEqual(self.sources("--source", argument), [("/", kind, value)])

    def test_paths(self) -> None:
        """
        There may be several sources with a path for each, among options and beside C{--source}.
        """
        self.assertEqual(
            self.sources("/log=app.log", "--port", "81", "/a/b=post", "-s", "tick"),
            [("/", Kind.TICK, ""), ("/log", Kind.FILE, "app.log"), ("/a/b", Kind.POST, "")],
        )

    def test_names(self) -> None:
        """
        One source without a path is at the root; each of several is at its name there.
        """
        Path("my log.txt").touch()
        found = self.sources(
            "app.log", "my log.txt", "post", "tick", "-", SOURCE, "--", "/bin/true"
        )
        self.assertEqual(
            [path for path, _, _ in found],
            ["/app.log", "/my-log.txt", "/post", "/tick", "/stdin", "/connected", "/true"],
        )
        self.assertEqual([path for path, *_ in self.sources("/a=post", "app.log")], ["/a", "/"])
        Path("metrics").touch()
        self.assertIn("set another with /path=SOURCE", self.refusal("app.log", "metrics"))

    def test_later(self) -> None:
        """
        A file need not exist yet, if its name looks like one and differs from another's.
        """
        for name in "other.txt", "./other", os.path.abspath("later.log"), "b.log":
            self.assertEqual(self.sources(name), [("/", Kind.FILE, name)])

    def test_words(self) -> None:
        """
        People see a description of a source, and scripts its kind.
        """
        path = os.path.abspath("app.log")
        function = SOURCE.removeprefix("python:")
        for argument, label, detail, said in (
            ("app.log", "app.log", path, "file app.log"),
            (path, "app.log", path, "file app.log"),
            ("command:true -x", "true -x", "true -x", "command true -x"),
            ("-", "Standard input", "", "standard input"),
            ("post", "Posted events", "", "posted events"),
            ("tick", "Ticks", "", "ticks"),
            (SOURCE, function, function, f"python {function}"),
        ):
            (spec,) = self.options(argument).sources.values()
            self.assertEqual((spec.label, spec.detail, spec.said), (label, detail, said))

    def test_equalsSign(self) -> None:
        """
        The absolute name of a file may contain an equals sign.
        """
        name = os.path.abspath("a=b.log")
        Path(name).touch()
        self.assertEqual(self.sources(name), [("/", Kind.FILE, name)])

    def test_options(self) -> None:
        """
        Options may follow a source, with their values, and flags without.
        """
        options = self.options("app.log", "--public", "--event", "", "-p", "81", "-i2", "/t=tick")
        self.assertEqual((options["public"], options["event"]), (1, ""))
        self.assertEqual((options["port"], options["interval"]), (81, 2))
        self.assertEqual(list(options.sources), ["/", "/t"])

    def test_dashes(self) -> None:
        """
        Two dashes are followed by a command, whose words stay unchanged.
        """
        for words in (["true"], ["true", "--public", "a b", "--", "$x;'"]):
            options = self.options("--public", "--", *words)
            self.assertEqual(shlex.split(options.sources["/"].value), words)
        options = self.options("-p", "81", "/log=app.log", "--access-log", "--", "--", "true")
        self.assertEqual((options["access-log"], list(options.sources)), ("--", ["/log", "/"]))
        self.assertIn("a command must follow --", self.refusal("--public", "--"))
        self.assertTrue(
            self.refusal("--", "nosuch", "x").endswith("command 'nosuch' was not found")
        )
        self.assertEqual(options.sources["/"].label, "true")

    def test_shell(self) -> None:
        """
        If a missing command has characters of a shell, the error explains how to use one, otherwise
        not.
        """
        for line in (
            "a | b",
            "a > b",
            "a < b",
            "a && b",
            "a; b",
            "a *",
            "a $b",
            "a ~",
            "$a",
            "~/a",
        ):
            self.assertIn("it runs without a shell", self.refusal(f"command:nosuch-{line}"), line)
        for line in ("a", "a b -c --d=e", "a 'b c'"):
            why = self.refusal(f"command:nosuch-{line}")
            self.assertTrue(why.endswith("command 'nosuch-a' was not found"), why)

    def test_wrong(self) -> None:
        """
        An invalid source is refused with advice.
        """
        for argument, advice in (
            ("ap.log", "file 'ap.log' does not exist: did you mean app.log?"),
            ("./ap.log", "file './ap.log' does not exist: did you mean ./app.log?"),
            ("/x=ap.log", "file 'ap.log' does not exist: did you mean app.log?"),
            ("pots", "file 'pots' does not exist: did you mean post?"),
            ("/nowhere/a.log", "directory /nowhere does not exist: create it first, or check"),
            (
                "comand:true -x",
                "unknown kind of source 'comand': did you mean command:'true -x'?",
            ),
            ("flie:app.log", "unknown kind of source 'flie': did you mean file:app.log?"),
            ("true 'a b'", "did you mean command:"),
            ("shop.events:connected", "did you mean python:shop.events:connected?"),
            ("8080", "did you mean --port 8080?"),
            ("x", "it must be the name of a file, tick, -, post, file:PATH"),
            ("", "it must be the name of a file"),
            (".", "it is a directory: name a file in it"),
        ):
            self.assertIn(f"sse: {argument}: {advice}", self.refusal(argument))
            self.assertIn(f"--source {argument}: {advice}", self.refusal("--source", argument))

    def test_twice(self) -> None:
        """
        Two sources cannot have the same path, nor can a source have one of the daemon's.
        """
        self.assertIn("another source is already at /a", self.refusal("/a=app.log", "/a=tick"))
        os.mkdir("old")
        Path("old/app.log").touch()
        refused = self.refusal("app.log", "old/app.log")
        self.assertIn(
            "sse: old/app.log: another source is already at /app.log; set another path", refused
        )
        self.assertIn("not one of /healthz", self.refusal("/healthz=app.log"))

    def test_once(self) -> None:
        """
        C{--once} is refused for sources without an end.
        """
        for argument in "app.log", "post":
            self.assertIn(f"--once: {argument} has no end", self.refusal(argument, "--once"))

    def test_suits(self) -> None:
        """
        An option that has no effect on any of the sources is refused with an error that names them.
        """
        self.assertIn(
            "--format only applies to lines, and post has none",
            self.refusal("post", "--format=events"),
        )
        self.assertIn("and tick has none", self.refusal("tick", "--history=1"))
        self.assertEqual(self.options("post", "--history=7", "--tail=3")["history"], 7)

    def test_completion(self) -> None:
        """
        A shell completes the names of files.
        """
        out = io.BytesIO()
        options = self.options()
        options._shellCompFile = out
        self.patch(sys, "argv", ["twist", "sse"])
        self.assertRaises(SystemExit, options.parseOptions, ["app", "--_shell-completion", "zsh:2"])
        self.assertIn(b"source (*):_files", out.getvalue())
