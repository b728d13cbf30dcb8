"""
Tests for C{token} of L{twisted_sse.cli}.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from unittest import mock

import jwt

from tests.support.commands import ErrorMixin
from tests.support.documents import blocks, table
from tests.support.keys import SECRET, handmade, privatePEM, publicJWK, publicPEM
from tests.support.mercure import NOW
from twisted_sse.cli import commands
from twisted_sse.cli.status import Status
from twisted_sse.cli.tokens import token
from twisted_sse.hub.mercure.claims import DETAIL
from twisted_sse.hub.mercure.compact import parse
from twisted_sse.hub.mercure.keys import ALGORITHMS
from twisted_sse.hub.mercure.unverified import Reason

ISSUER = "https://issuer.example"
RESOURCE = "https://hub.example/.well-known/mercure"
NEW = ["--protocol", "1.0", "--issuer", ISSUER, "--audience", RESOURCE]

#: For PyJWT, whose clock differs from the tests'.
WITHOUT_TIMES = {"verify_exp": False, "verify_iat": False}


class TokenCase(ErrorMixin):
    """
    Shared parts of these tests.

    @ivar now: the time of day.
    """

    now = NOW

    def setUp(self) -> None:
        """
        Capture the output, and put a secret into the environment.
        """
        super().setUp()
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        patched = mock.patch.dict(os.environ, {"KEY": SECRET})
        patched.start()
        self.addCleanup(patched.stop)

    def write(self, name: str, content: str) -> str:
        """
        @return: C{file:PATH} of a new file.
        """
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(content)
        return f"file:{path}"

    def run_(self, *arguments: str) -> tuple[int, str]:
        """
        Run the command.

        @return: its exit status and output.
        """
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        try:
            status = token(["token", *arguments], lambda: self.now)
        except SystemExit as e:
            status = int(e.code or 0)
        return status, printed.getvalue()

    def minted(self, *arguments: str) -> str:
        """
        @return: a newly made token.
        """
        status, printed = self.run_("mint", *arguments)
        self.assertEqual((status, self.stderr.getvalue()), (0, ""))
        return printed.removesuffix("\n")

    def refused(self, *arguments: str) -> str:
        """
        Check that the command line is refused.

        @return: the error.
        """
        self.assertEqual(self.run_(*arguments), (Status.USAGE, ""))
        return self.told()

    def inspected(self, text: str, *arguments: str, wrong: bool = False) -> str:
        """
        @return: the description of a token.
        """
        status, printed = self.run_("inspect", *arguments, "--", text)
        self.assertEqual(self.stderr.getvalue(), "")
        self.assertEqual(status, Status.REFUSED if wrong else 0, printed)
        return printed


class MintTests(TokenCase):
    """
    Tests for C{token mint}.
    """

    def test_old(self) -> None:
        """
        A token of 0.x has the requested claims, is valid for an hour, and other programs can read
        it.
        """
        text = self.minted(
            *["--key", "env:KEY", "--publish", "a", "--publish", "b", "--subscribe", "/c/{d}"],
            *["--subject", "7", "--id", "x", "--payload", '{"name": "Ada"}'],
        )
        self.assertEqual(
            jwt.decode(text, SECRET, ["HS256"], options=WITHOUT_TIMES),
            {
                "mercure": {
                    "publish": ["a", "b"],
                    "subscribe": ["/c/{d}"],
                    "payload": {"name": "Ada"},
                },
                "sub": "7",
                "jti": "x",
                "exp": NOW + 3600,
            },
        )
        self.assertEqual(jwt.get_unverified_header(text), {"alg": "HS256", "typ": "JWT"})

    def test_new(self) -> None:
        """
        A token of 1.0 has everything that RFC 9068 requires.
        """
        text = self.minted(
            *["--key", self.write("key", privatePEM("P-256")), "--key-id", "k", *NEW],
            *["--publish", "a", "--subscribe", "*", "--subscribe-pattern", "/o/:id"],
            *["--payload", '{"n": 1}'],
        )
        claims = jwt.decode(
            text, publicPEM("P-256"), ["ES256"], audience=RESOURCE, options=WITHOUT_TIMES
        )
        self.assertRegex(claims.pop("jti"), r"^[0-9a-f-]{36}$")
        self.assertEqual(
            claims,
            {
                "iss": ISSUER,
                "aud": RESOURCE,
                "sub": "twisted-sse",
                "client_id": "twisted-sse",
                "iat": NOW,
                "exp": NOW + 3600,
                "authorization_details": [
                    {
                        "type": DETAIL,
                        "actions": ["publish"],
                        "topics": [{"match": "a", "match_type": "exact"}],
                    },
                    {
                        "type": DETAIL,
                        "actions": ["subscribe"],
                        "topics": [
                            {"match": "*", "match_type": "exact"},
                            {"match": "/o/:id", "match_type": "urlpattern"},
                        ],
                        "payload": {"n": 1},
                    },
                ],
            },
        )
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "k"}
        self.assertEqual(jwt.get_unverified_header(text), header)

    def test_expires(self) -> None:
        """
        A time may have a unit.
        """
        for given, seconds in (("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800)):
            text = self.minted("--key", "env:KEY", "--publish", "a", "--expires", given)
            self.assertEqual(parse(text).claims["exp"], NOW + seconds)
        for given in ("", "0", "-1", "1.5h", "1w", "h", "\u0661h", "1" * 20):
            said = self.refused("mint", "--key", "env:KEY", f"--expires={given}")
            self.assertIn("not a time such as", said)

    def test_never(self) -> None:
        """
        A token of 0.x that never expires, or grants nothing, causes a warning.
        """
        _, printed = self.run_("mint", "--key", "env:KEY", "--publish", "a", "--expires", "never")
        self.assertNotIn("exp", parse(printed.strip()).claims)
        self.assertIn("never expires", self.told())
        _, printed = self.run_("mint", "--key", "env:KEY")
        self.assertEqual(parse(printed.strip()).claims["mercure"], {"publish": [], "subscribe": []})
        self.assertIn("grants nothing", self.told())

    def test_keys(self) -> None:
        """
        A key may be in a file or in the environment.
        """
        path = self.write("key", f"{SECRET}\n")
        for given in (path, f"@{path.removeprefix('file:')}", "env:KEY"):
            text = self.minted("--key", given, "--publish", "a")
            jwt.decode(text, SECRET, ["HS256"], options=WITHOUT_TIMES)

    def test_noKeyOnTheCommandLine(self) -> None:
        """
        A key on the command line is refused, and not repeated.
        """
        for given in (SECRET, "file:", "env:", "secret"):
            said = self.refused("mint", "--key", given)
            self.assertIn("every user of this machine can see", said)
            self.assertNotIn(SECRET, said)
        self.assertIn("has no variable NOTHING", self.refused("mint", "--key", "env:NOTHING"))
        self.assertIn("required: --key", self.refused("mint"))

    def test_badKeys(self) -> None:
        """
        A key that cannot sign is refused with the reason.
        """
        for content, said in (
            ("short", "5 bytes"),
            (publicPEM("P-256"), "only check tokens"),
            (privatePEM("RSA1024"), "1024 bits"),
        ):
            path = self.write("key", content)
            self.assertIn(said, self.refused("mint", "--key", path, "--publish", "a"))
        self.assertIn("No such file", self.refused("mint", "--key", "file:/none"))
        path = self.write("key", privatePEM("P-256"))
        said = self.refused("mint", "--key", path, "--algorithm", "RS256")
        self.assertIn("it is for ES256", said)

    def test_wrong(self) -> None:
        """
        Options that do not fit the protocol, or that a hub would refuse, are refused.
        """
        for arguments, said in (
            (["--publish-pattern", "/a"], "URI template"),
            (["--protocol", "1.0"], "--issuer"),
            (["--protocol", "1.0", "--issuer", "i"], "--audience"),
            ([*NEW, "--expires", "never"], "must expire"),
            ([*NEW, "--payload", "[]"], "must be a JSON object"),
            ([*NEW, "--publish-pattern", "/("], "a hub would reject it"),
            ([*NEW, "--publish", ""], "a hub would reject it"),
            ([*NEW, *["--publish", "a"] * 101], "more than 100 topics"),
            (["--payload", "{"], "not JSON"),
            (["--protocol", "2.0"], "invalid choice"),
            (["--algorithm", "none"], "invalid choice"),
            (["--publish", "x" * 20_000], "16384 are allowed"),
        ):
            self.assertIn(said, self.refused("mint", "--key", "env:KEY", *arguments))


class InspectTests(TokenCase):
    """
    Tests for C{token inspect}.
    """

    def test_old(self) -> None:
        """
        The output shows what a token grants, until when, and that its origin was not verified.
        """
        text = self.minted(
            *["--key", "env:KEY", "--publish", "*", "--subscribe", "a", "--subscribe", "/b/{c}"],
            *["--subject", "7", "--expires", "3d"],
        )
        self.assertEqual(
            self.inspected(text),
            "A token for Mercure 0.x, signed with HS256.\n"
            "Subject: 7\n"
            "It expires 2027-01-18 08:00:00 UTC, in 3 days.\n"
            "It may publish to every topic.\n"
            "It may receive private updates of:\n"
            "  a\n"
            "  the URI template /b/{c}\n"
            "The signature was not checked: add --key.\n",
        )

    def test_new(self) -> None:
        """
        For a token of 1.0 the issuer and the audience are shown, too.
        """
        text = self.minted(
            *["--key", "env:KEY", *NEW, "--subscribe-pattern", "/o/:id", "--id", "x"],
            *["--key-id", "k"],
        )
        self.assertEqual(
            self.inspected(text, "--key", "env:KEY"),
            'A token for Mercure 1.0, signed with HS256, key "k".\n'
            f"Issuer: {ISSUER}\n"
            f"Audience: {RESOURCE}\n"
            "Subject: twisted-sse\n"
            "ID: x\n"
            "It expires 2027-01-15 09:00:00 UTC, in 60 minutes.\n"
            "It may publish to no topic.\n"
            "It may receive private updates of:\n"
            "  the URL pattern /o/:id\n"
            f"A hub with this key and the resource identifier {RESOURCE} would accept it.\n",
        )

    def test_topics(self) -> None:
        """
        For each topic the output shows which actions the token grants.
        """
        text = self.minted("--key", "env:KEY", "--publish", "a", "--subscribe", "/b/{c}")
        said = self.inspected(text, "--topic", "a", "--topic", "/b/1", "--topic", "c\x1b[2J")
        self.assertIn(
            "a: the token may publish to this topic, and may not receive its private updates.\n",
            said,
        )
        self.assertIn(
            "/b/1: the token may not publish to this topic, and may receive its private updates.\n",
            said,
        )
        self.assertIn(
            "c\\u001b[2J: the token may not publish to this topic, and may not receive", said
        )

    def test_keys(self) -> None:
        """
        With the key of the hub, in each form that a hub accepts, the output shows whether the hub
        accepts the token.
        """
        private = self.write("private", privatePEM("P-256"))
        text = self.minted("--key", private, "--publish", "a", "--key-id", "k")
        public = self.write("public", publicPEM("P-256"))
        jwks = self.write("jwks", json.dumps({"keys": [publicJWK("P-256", kid="k")]}))
        for key in (public, jwks):
            self.assertIn("A hub with this key would accept", self.inspected(text, "--key", key))
        other = self.write("other", publicPEM("P-384"))
        for key, said in ((other, "the key is for ES384"), ("env:KEY", "the key is for HS256")):
            self.assertIn(
                f"A hub would reject it: the algorithm of the token is 'ES256', but {said}",
                (self.inspected(text, "--key", key, wrong=True)),
            )
        changed = handmade({}, secret="x" * 32)
        said = self.inspected(changed, "--key", "env:KEY", wrong=True)
        self.assertIn("the signature of the token is wrong", said)

    def test_badKeys(self) -> None:
        """
        A key that a hub would not accept is refused, and so is one that would have to be fetched.
        """
        text = self.minted("--key", "env:KEY", "--publish", "a")
        private = self.write("private", privatePEM("P-256"))
        self.assertIn("private key", self.refused("inspect", "--key", private, text))
        os.environ["URL"] = "https://issuer.example/"
        self.assertIn("is a URL", self.refused("inspect", "--key", "env:URL", text))

    def test_wrong(self) -> None:
        """
        Every problem of a token is reported once.
        """
        for claims, header, reasons in (
            ({"exp": NOW - 7200}, None, ["the token expired 7200 seconds ago"]),
            ({"nbf": NOW + 60}, None, ["becomes valid in 60 seconds"]),
            ({"mercure": "x"}, None, ["it is not an object"]),
            ({"exp": "x"}, None, ["exp that is not a number"]),
            (
                {"iss": "i", "aud": "a", "exp": NOW - 1},
                {"alg": "HS256", "typ": "at+jwt"},
                ["'i', which this hub does not trust", "['a'], but this hub is", "expired"],
            ),
            ({"exp": NOW + 9}, {"alg": "HS256", "typ": "at+jwt"}, ["no iss", "no aud"]),
            ({}, {"alg": "HS256", "typ": "at+jwt"}, ["no exp"]),
            (
                {"iss": ISSUER, "aud": RESOURCE, "exp": NOW + 9, "authorization_details": [1]},
                {"alg": "HS256", "typ": "at+jwt"},
                ["authorization_details[0]"],
            ),
        ):
            for key in ([], ["--key", "env:KEY"]):
                said = self.inspected(
                    handmade(claims, header),
                    *["--issuer", ISSUER, "--audience", RESOURCE, *key],
                    wrong=True,
                )
                found = re.findall("A hub would reject it: (.*)", said)
                self.assertEqual(len(found), len(reasons), said)
                for reason, each in zip(reasons, found, strict=True):
                    self.assertIn(reason, each)
        self.assertIn(
            "It expired 2027-01-15 06:00:00 UTC, 2 hours ago",
            self.inspected(handmade({"exp": NOW - 7200}), wrong=True),
        )

    def test_noToken(self) -> None:
        """
        Text that is not a token is reported as such, and not repeated.
        """
        for text in ("abc", "", "a.b.c", "x" * 20_000):
            said = self.inspected(text, "--key", "env:KEY", wrong=True)
            self.assertRegex(said, r"^A hub would reject it: the token is not a JWT: [^\n]*\n$")
            self.assertLess(len(said), 200)

    def test_input(self) -> None:
        """
        A token is read from a file or standard input, too, even with copied spaces and header.
        """
        text = self.minted("--key", "env:KEY", "--publish", "a")
        for given in (text, f"Bearer {text}", f"Authorization: bearer {text}", f" {text}\n"):
            path = self.write("token", given)
            for argument in (given, path, f"@{path.removeprefix('file:')}"):
                self.assertIn("It may publish to:\n  a\n", self.inspected(argument))
        self.assertIn("No such file", self.refused("inspect", "@/none"))
        with open(os.path.join(self.directory, "binary"), "wb") as file:
            file.write(b"\xff")
        self.assertIn("does not contain a token", self.refused("inspect", f"@{file.name}"))

    def test_claims(self) -> None:
        """
        The content of a token cannot control a terminal.
        """
        claims = {"sub": "\x1b[31m\u202e", "mercure": {"publish": ["\x07\n"]}}
        said = self.inspected(handmade(claims, {"alg": "HS256", "kid": "\x1b"}))
        self.assertTrue(set(said) <= {*map(chr, range(32, 127)), "\n"}, repr(said))
        self.assertIn("Subject: \\u001b[31m\\u202e\n", said)

    def test_encoding(self) -> None:
        """
        Text that the output cannot encode is escaped.
        """
        written = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(written, "ascii"))
        self.assertEqual(token(["token", "inspect", handmade({"sub": "\u20ac"})], lambda: NOW), 0)
        self.assertIn(b"Subject: \\u20ac\n", written.getvalue())

    def test_output(self) -> None:
        """
        An output that is closed or full is reported.
        """
        self.patch(sys, "stdout", None)
        self.assertEqual(token(["token", "inspect", "x"]), Status.FAILED)
        self.assertIn("standard output is closed", self.told())
        full = io.StringIO()
        self.patch(full, "write", mock.Mock(side_effect=OSError(28, "No space left on device")))
        self.patch(sys, "stdout", full)
        self.assertEqual(token(["token", "inspect", "x"]), Status.FAILED)
        self.assertIn("No space left", self.told())


class CommandTests(TokenCase):
    """
    Tests for the command's place among the others, and its documentation.
    """

    def test_run(self) -> None:
        """
        C{twisted-sse token} runs the command; without the extra it names the missing package.
        """
        self.patch(sys, "stdout", io.StringIO())
        self.assertEqual(commands.run(["token", "inspect", "x"]), Status.REFUSED)
        with mock.patch.dict(sys.modules, {"twisted_sse.cli.tokens": None}):
            self.assertEqual(commands.run(["token", "inspect", "x"]), Status.USAGE)
        self.assertIn("pip install 'twisted-sse[hub]'", self.told())

    def test_documented(self) -> None:
        """
        The documentation lists exactly the options that C{--help} shows.
        """
        for command in "mint", "inspect":
            _, said = self.run_(command, "--help")
            shown = said.partition("options:")[2].partition("examples:")[0]
            options = set(re.findall(r"(?m)^  (?:-h, )?(--[a-z-]+)", shown))
            documented = {
                name
                for cell, *_ in table("ref-publish.md", f"### Options of token {command}")
                for name in re.findall(r"`(--[\w-]+)`", cell)
            }
            self.assertEqual(documented, options - {"--help"})

    def test_sessions(self) -> None:
        """
        The documented sessions print the output shown, except for times and tokens.
        """
        files = {
            "file:key": self.write("key", SECRET),
            "file:private.pem": self.write("private.pem", privatePEM("Ed25519")),
            "file:public.pem": self.write("public.pem", publicPEM("Ed25519")),
        }
        session = "".join(blocks("howto-tokens.md", "console")).replace("\\\n", "")
        made: list[str] = []
        ran = []
        for line, shown in re.findall(
            r"(?m)^\$ (twisted-sse token .*)\n((?:(?!\$ ).*\n)*)", session
        ):
            command, _, source = line.removesuffix(" > token").partition(" < ")
            words = [files.get(word, word) for word in shlex.split(command)[2:]]
            if source:
                words[words.index("-")] = made[0]
            status, printed = self.run_(*words)
            self.assertEqual(status, Status.REFUSED if "would reject" in shown else 0, line)
            if words[0] == "mint":
                made.append(printed.strip())
                self.assertTrue(printed.startswith(shown.removesuffix("...\n")), line)
            else:
                self.assertEqual(_withoutTimes(printed), _withoutTimes(shown), line)
            ran.append(words[0])
        self.assertEqual(ran, ["mint", "inspect", "inspect", "mint"])

    def test_reasons(self) -> None:
        """
        The documented reasons are the actual ones.
        """
        rows = table("ref-tokens.md", "## Why a token is refused")
        self.assertEqual([row[0].strip("`") for row in rows], [each.value for each in Reason])

    def test_algorithms(self) -> None:
        """
        The documented algorithms are the actual ones.
        """
        rows = table("ref-tokens.md", "## Keys")
        documented = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
        self.assertEqual(documented, list(ALGORITHMS))

    def test_examples(self) -> None:
        """
        The documented claims are those of valid tokens.
        """
        old, new = (json.loads(block) for block in blocks("ref-tokens.md", "json"))
        self.patch(self, "now", old["exp"] - 60)
        for claims, header in ((old, None), (new, {"alg": "HS256", "typ": "at+jwt"})):
            topic = "https://shop.example/orders/7"
            said = self.inspected(handmade(claims, header), "--key", "env:KEY", "--topic", topic)
            self.assertIn("may receive its private updates", said)


def _withoutTimes(said: str) -> str:
    return re.sub(r"It (expires|expired) \S+ \S+ UTC, .*", r"It \1", said)
