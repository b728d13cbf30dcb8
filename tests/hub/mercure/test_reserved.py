"""
Tests for L{twisted_sse.hub.mercure.reserved}.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.vectors import mercureCases
from twisted_sse.hub.mercure import reserved
from twisted_sse.hub.mercure.reserved import isReserved
from twisted_sse.hub.mercure.urlpatterns import pathOf

HUB = "https://hub.example/.well-known/mercure"

#: The path in disguise.
RESERVED = [
    "/.well-known/mercure",
    "/.well-known/mercure/",
    "/.well-known/mercure/subscriptions/x",
    "/.well-known/mercure/../mercure/x",
    "/.well-known/mercure?x",
    "/.well-known/mercure#x",
    "/.well-known/mercure/?a=/../../b",
    # Relative to the hub, whose other names these are.
    "",
    "#",
    "?topic=x",
    "mercure",
    "./mercure/x",
    "../.well-known/mercure",
    # Other schemes and hosts.
    "https://hub.example/.well-known/mercure",
    "https://elsewhere.example/.well-known/mercure/x",
    "http://elsewhere.example:8080/.well-known/mercure",
    "https://user:password@[::1]:443/.well-known/mercure/x",
    "//elsewhere/.well-known/mercure/x",
    "HTTPS://ELSEWHERE/.well-known/mercure",
    "https:/.well-known/mercure",
    "https:mercure/x",
    "ftp://x/.well-known/mercure",
    "ws://x/.well-known/mercure",
    "file:///.well-known/mercure",
    "urn:/.well-known/mercure/x",
    "foo://x/.well-known/mercure",
    "foo:/a/../.well-known/mercure",
    # Dot segments, plain and encoded.
    "/a/../.well-known/mercure/x",
    "/../../.well-known/mercure",
    "/./.well-known/./mercure",
    "/a/%2e%2E/.well-known/mercure",
    "/%2e/.well-known/mercure",
    "/.well-known/x/.%2e/mercure",
    # Encoded characters that need not be.
    "/.well-known/%6Dercure/x",
    "/.well-known/%6dercure/x",
    "/%2Ewell-known/mercure",
    "/%2ewell%2Dknown/%6d%65%72%63%75%72%65",
    # Backslashes, and characters that a URL parser drops.
    "\\.well-known\\mercure",
    "/.well-known\\mercure\\x",
    "\\\\elsewhere\\.well-known\\mercure",
    "https:\\\\elsewhere\\.well-known\\mercure",
    " /.well-known/mercure ",
    "\u0000\u001f/.well-known/mercure",
    "/.well-known/mer\tcure",
    "/.well\n-known/mercure\r\n",
    "\thttps://x/.well-\tknown/mercure",
]

#: Topics that only look reserved.
FREE = [
    "/.well-known/mercurex",
    "/.well-known/mercur",
    "/.well-known/mercure.json",
    "/.well-known/mercure;x=1",
    "/.well-known/mercure,",
    "/.well-known",
    "/",
    "/x/.well-known/mercure",
    "https://elsewhere.example/x/.well-known/mercure",
    ".well-known/mercure",
    "x/mercure",
    "/.WELL-KNOWN/mercure/x",
    "/.well-known/Mercure",
    "/.well-known//mercure",
    "/.//.well-known/mercure",
    "/?/.well-known/mercure",
    "https://x?/.well-known/mercure",
    "https://x#/.well-known/mercure",
    # Decoded only once; an encoded slash does not separate.
    "/.well-known/%256Dercure",
    "/%252Ewell-known/mercure",
    "/.well-known%2Fmercure",
    "/.well-known/mercure%2Fx",
    "/.well-known/mercure%5Cx",
    "/.well-known/mercure%00",
    "/.well-known/%6D%ercure",
    "/.well-known/mercure%20",
    # Other characters that look similar.
    "/\uff0ewell-known/mercure",
    "/.well\u2010known/mercure",
    "\uff0f.well-known/mercure",
    "/.well-known/mer\u200bcure",
    # Not hierarchical.
    "urn:.well-known/mercure",
    "urn:x:/.well-known/mercure",
    "data:text/plain,/.well-known/mercure",
    "mailto:x@/.well-known/mercure",
    "foo:\\.well-known\\mercure",
    "blob:https://x/.well-known/mercure",
    # Not URLs.
    "http://[/.well-known/mercure",
    "https://a b/.well-known/mercure",
    "https://x:99999/.well-known/mercure",
    "//",
    "/.well-known/mercure\ud800",
]


class ReservedTests(SynchronousTestCase):
    """
    Tests for L{isReserved}.
    """

    def test_reserved(self) -> None:
        """
        The hub's path and everything below it are reserved, in every disguise.
        """
        for topic in RESERVED:
            self.assertTrue(isReserved(topic, HUB), topic)

    def test_free(self) -> None:
        """
        Topics with another path, or that are not URLs, are not reserved.
        """
        for topic in FREE:
            self.assertFalse(isReserved(topic, HUB), topic)

    def test_observed(self) -> None:
        """
        The topics sent to the deployed hub are classified correctly.
        """
        cases = [each for each in mercureCases("publish") if "reserved?" in each["name"]]
        self.assertEqual(len(cases), 10)
        for case in cases:
            topic = (
                unquote_plus(case["input"]["body"]).partition("topic=")[2].removesuffix("&data=x")
            )
            self.assertIs(isReserved(topic, HUB), case["recommend"] == "403", case["name"])

    def test_otherHub(self) -> None:
        """
        The reserved topics depend on the path of the hub, which may be written in other ways, too.
        """
        for hub in ["http://localhost:8080/a/hub", "http://localhost:8080/x/../%61/hub?y"]:
            for topic in ["/a/hub/x", "https://x/%61/hub", "hub/x", "../a/hub"]:
                self.assertTrue(isReserved(topic, hub), (topic, hub))
            for topic in ["/.well-known/mercure", "/hub", "/a/hubs", "mercure"]:
                self.assertFalse(isReserved(topic, hub), (topic, hub))
        self.assertTrue(isReserved("/hub/x", "http://localhost/hub/"))
        self.assertFalse(isReserved("/hub", "http://localhost/hub/"))

    def test_noHub(self) -> None:
        """
        The hub's URL must be a URL, even if the topic is not.
        """
        self.assertRaises(ValueError, isReserved, "/x", "/.well-known/mercure")

    def test_remembered(self) -> None:
        """
        A topic is resolved once, for a limited number of topics that are not long.
        """
        resolved: list[str] = []

        def counting(topic: str, base: str) -> str | None:
            resolved.append(topic)
            return pathOf(topic, base)

        self.patch(reserved, "pathOf", counting)
        hub = "https://remembered.example/hub"
        long = "x" * (reserved.LONGEST_CACHED + 1)
        for _ in range(2):
            self.assertTrue(isReserved("/hub/x", hub))
            self.assertFalse(isReserved("/other", hub))
            self.assertFalse(isReserved(long, hub))
            self.assertTrue(isReserved(f"/hub/{long}", hub))
        for topic, times in (("/hub/x", 1), ("/other", 1), (long, 2), (f"/hub/{long}", 2)):
            self.assertEqual(resolved.count(topic), times, topic[:10])
        resolved.clear()
        for number in range(reserved.CACHED):
            isReserved(f"/{number}", hub)
        isReserved("/other", hub)
        self.assertEqual(len(resolved), reserved.CACHED + 1)

    @given(st.text())
    def test_anything(self, topic: str) -> None:
        """
        Any text is either reserved or not, without an error.
        """
        self.assertIsInstance(isReserved(topic, HUB), bool)

    @given(
        st.lists(st.sampled_from([".", "..", "%2e", ".%2E", "a", "b"]), max_size=5),
        st.lists(st.sampled_from([chr(code) for code in range(128)])).map("".join),
    )
    def test_detours(self, segments: list[str], below: str) -> None:
        """
        No detour reaches the hub's path undetected: up as often as down, and then anything below.
        """
        detour = "".join(f"/{each}" for each in segments) + "/.." * len(segments)
        self.assertTrue(isReserved(f"{detour}/.well-known/mercure/x?{below}", HUB))
