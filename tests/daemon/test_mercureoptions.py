"""
Tests for L{twisted_sse.daemon.mercureoptions}: the command line of the hub.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.hubs import KEY, PATH
from tests.support.options import OptionsMixin
from twisted_sse.daemon import Options

HUB = ("--mercure", "--anonymous")
PUBLISHER = f"--publisher-jwt-key={KEY}"


class MercureOptionsTests(OptionsMixin):
    """
    Tests for L{MercureOptions<twisted_sse.daemon.mercureoptions.MercureOptions>}.
    """

    def setUp(self) -> None:
        """
        Begin with an environment without Mercure's variables.
        """
        super().setUp()
        kept = {name: text for name, text in os.environ.items() if "MERCURE" not in name}
        self.patch(os, "environ", kept)
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.key = Path(temporary.name) / "key"
        self.key.write_text(f"{KEY}\n", encoding="ascii")

    def assertRefused(self, says: str, *arguments: str) -> None:
        """
        Assert that a command line is refused, with a line that shows no secret.
        """
        line = self.refusal(*arguments)
        self.assertIn(says, line)
        self.assertNotIn(KEY, line)

    def test_source(self) -> None:
        """
        The hub is a source of the user's own data, at its own path; without other sources, it is
        the only one.
        """
        options = self.options(*HUB, PUBLISHER)
        self.assertEqual((list(options.sources), options.hub), ([PATH], PATH))
        self.assertEqual((options.streams, options.isPrivate), ({}, True))
        options = self.options("tick", *HUB, PUBLISHER, "--public")
        self.assertEqual((options.streams, options.isPrivate), ({"/": "Ticks"}, False))
        self.assertIsNone(self.options().hub)
        self.assertRefused(f"another source is already at {PATH}", f"{PATH}=post", *HUB, PUBLISHER)
        self.assertRefused("--once: --mercure has no end", "--once", *HUB, PUBLISHER)
        self.assertRefused("--tail only applies to", "--tail=1", *HUB, PUBLISHER)
        self.options("--history=10", "--history-age=60", *HUB, PUBLISHER)

    def test_environment(self) -> None:
        """
        Mercure's own variables are understood; an option takes precedence, and without a hub they
        have no effect.
        """
        os.environ["MERCURE_PUBLISHER_JWT_KEY"] = f"file:{self.key}"
        os.environ["MERCURE_PUBLISHER_JWT_ALG"] = "HS512"
        os.environ["MERCURE_SUBSCRIBER_JWT_KEY"] = KEY
        os.environ["MERCURE_SUBSCRIBER_JWT_ALG"] = ""
        options = self.options("--mercure", "--publisher-jwt-alg=HS384")
        self.assertEqual(options["publisher-jwt-key"], f"file:{self.key}")
        self.assertEqual(options["publisher-jwt-alg"], "HS384")
        self.assertEqual(options["subscriber-jwt-key"], KEY)
        self.assertIsNone(options["subscriber-jwt-alg"])
        self.assertIsNone(self.options("tick")["publisher-jwt-key"])
        os.environ["MERCURE_PUBLISHER_JWT_KEY"] = "weak"
        self.assertRefused("MERCURE_PUBLISHER_JWT_KEY is a secret of 4 bytes", "--mercure")

    def test_withoutHub(self) -> None:
        """
        Each option of the hub is refused without a hub.
        """
        for option in (
            *(PUBLISHER, "--publisher-jwt-alg=HS256", f"--subscriber-jwt-key={KEY}"),
            *("--subscriber-jwt-alg=HS256", "--jwks=https://example.com/", "--trusted-issuer=a=b"),
            *("--resource-identifier=a", "--anonymous", "--publish-origin=https://a", "--presence"),
            *("--mercure-protocol=0.x", "--explain", "--cookie-name=0.x=a", "--max-lifetime=60"),
            "--unauthorized",
        ):
            name = option.partition("=")[0]
            self.assertRefused(f"{name} only applies to a hub: add --mercure", option)

    def test_keys(self) -> None:
        """
        An invalid key is refused at the start, with an error that names its option.
        """
        pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"
        for says, *arguments in (
            ("--publisher-jwt-key is a secret of 5 bytes", "--publisher-jwt-key=short"),
            ("--publisher-jwt-key is 'file:/nowhere'", "--publisher-jwt-key=file:/nowhere"),
            ("--publisher-jwt-alg is 'none': it must be", PUBLISHER, "--publisher-jwt-alg=none"),
            (
                "--publisher-jwt-key is PEM, but HS256 needs a secret",
                *(f"--publisher-jwt-key={pem}", "--publisher-jwt-alg=HS256"),
            ),
            (
                "--publisher-jwt-key is a secret, but RS256 needs a key in PEM",
                *(PUBLISHER, "--publisher-jwt-alg=RS256"),
            ),
            (
                "--subscriber-jwt-key is a secret of 5 bytes",
                PUBLISHER,
                "--subscriber-jwt-key=short",
            ),
            ("--trusted-issuer must be ISSUER=KEY", "--trusted-issuer=a"),
            ("--resource-identifier is missing", f"--trusted-issuer=https://a={KEY}"),
            ("--jwks is 'http://example.com/'", "--jwks=http://example.com/"),
            ("--jwks is 'file:/nowhere'", "--jwks=file:/nowhere"),
            ("--publish-origin has 'a'", PUBLISHER, "--publish-origin=a"),
            ("--origin has 'a'", PUBLISHER, "--origin=a"),
            ('--origin is "*", and credentials', PUBLISHER, "--origin=*", "--credentials"),
            ("--cookie-name is 'a': it must be 0.x=NAME", PUBLISHER, "--cookie-name=a"),
            ("--cookie-name has 'a b'", PUBLISHER, "--cookie-name=0.x=a b"),
            ("--cookie-name has a name for '2.0'", PUBLISHER, "--cookie-name=2.0=a"),
            ("--cookie-name: given twice for 0.x", PUBLISHER, *["--cookie-name=0.x=a"] * 2),
            ("--max-lifetime is '0'", PUBLISHER, "--max-lifetime=0"),
        ):
            self.assertRefused(says, *HUB, *arguments)

    def test_nobody(self) -> None:
        """
        A hub is refused if no client could publish, or none could subscribe.
        """
        self.assertRefused("--mercure: publishing needs a key", *HUB)
        self.assertRefused(
            "--mercure: publishing needs a key", "--mercure", f"--subscriber-jwt-key={KEY}"
        )
        self.assertRefused(
            "--mercure: subscribing needs a key or --anonymous", "--mercure", PUBLISHER
        )
        self.options("--mercure", "--jwks=https://example.com/")
        self.options("--mercure", f"--trusted-issuer=https://a={KEY}")

    def test_useless(self) -> None:
        """
        Options without an effect are refused.
        """
        both = (*HUB, PUBLISHER, "--subscriber-jwt-key=file:key")
        self.assertRefused("--jwks has no effect", *both, "--jwks=https://example.com/")
        self.options(*HUB, PUBLISHER, "--jwks=https://example.com/")
        self.assertRefused(
            "--subscriber-jwt-alg is the algorithm of a key: add --subscriber-jwt-key",
            *(*HUB, PUBLISHER, "--subscriber-jwt-alg=HS256"),
        )
        old, new = "--mercure-protocol=0.x", "--mercure-protocol=1.0"
        issuer = f"--trusted-issuer=https://a={KEY}"
        self.assertRefused("--publisher-jwt-key only applies to 0.x tokens", *HUB, PUBLISHER, new)
        self.assertRefused(
            "--jwks only applies to 0.x tokens", *HUB, "--jwks=https://a.example/", new
        )
        self.assertRefused("--trusted-issuer only applies to 1.0 tokens", *HUB, issuer, old)
        self.options(*HUB, issuer, new)
        self.assertRefused(
            "--cookie-name has a name for '1.0'", *HUB, PUBLISHER, "--cookie-name=1.0=a", old
        )
        self.assertRefused("--unauthorized only applies to", *HUB, issuer, "--unauthorized", new)

    def test_protocols(self) -> None:
        """
        C{--mercure-protocol} is one version or both.
        """
        for text, protocols in ("0.x", ("0.x",)), ("1.0, 0.x", ("1.0", "0.x")):
            options = self.options(*HUB, PUBLISHER, f"--mercure-protocol={text}")
            self.assertEqual(options.protocols, protocols)
        self.assertEqual(self.options(*HUB, PUBLISHER).protocols, ("0.x", "1.0"))
        for text in "", "2.0", "0.x,0.x", "0.x,":
            self.assertRefused(
                f"--mercure-protocol is {text!r}: it must be 0.x, 1.0 or 0.x,1.0",
                *(*HUB, PUBLISHER, f"--mercure-protocol={text}"),
            )

    def test_shared(self) -> None:
        """
        Several processes need Redis, with which presence is refused, with the reason.
        """
        self.assertRefused(
            "several processes can share --mercure", *HUB, PUBLISHER, "--processes=2"
        )
        self.assertRefused(
            "--presence needs a single process: with --store redis://..",
            *(*HUB, PUBLISHER, "--presence", "--store=redis://localhost"),
        )
        several = ("--processes=2", "--store=redis://localhost")
        self.options(*HUB, PUBLISHER, *several)
        # A process that serves no clients still checks the keys.
        self.assertRefused(
            "--publisher-jwt-key is a secret of 5 bytes",
            *(*HUB, "--publisher-jwt-key=short", *several),
        )
        self.options(*HUB, PUBLISHER, "--presence", f"--store={self.key.parent}/events.db")

    def test_secrets(self) -> None:
        """
        Options that show a secret to every user of the machine are reported.
        """

        def shown(*arguments: str) -> list[str]:
            return list(self.options(*HUB, *arguments).shownSecrets())

        self.assertEqual(shown(PUBLISHER), ["--publisher-jwt-key"])
        self.assertEqual(shown(f"--publisher-jwt-key=file:{self.key}"), [])
        self.assertEqual(shown("--publisher-jwt-key=-----BEGIN PUBLIC KEY-----"), [])
        issuers = [f"--trusted-issuer=https://{each}" for each in ("a=https://a/", "b=file:b")]
        self.assertEqual(shown(*issuers), [])
        self.assertEqual(shown(*issuers, f"--trusted-issuer=c={KEY}"), ["--trusted-issuer"])
        os.environ["MERCURE_PUBLISHER_JWT_KEY"] = KEY
        self.assertEqual(shown(), [])

    def test_help(self) -> None:
        """
        The help has the options of the hub.
        """
        text = " ".join(Options().getUsage().split())
        for name in (
            *("mercure", "publisher-jwt-key", "trusted-issuer", "explain"),
            *("cookie-name", "max-lifetime", "unauthorized"),
        ):
            self.assertIn(f"--{name} ", text)
