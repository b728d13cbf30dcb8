"""
Tests for L{twisted_sse.store.redis.address}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.checks import InvalidOption
from twisted_sse.store.redis.address import Address, readAddress

#: The default values of an address.
PLAIN = Address("", (("host", 6379),))

#: URLs, their displayed text, and their meaning.
GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("redis://host", "", {}),
    ("redis://host/", "", {}),
    ("REDIS://host:6379/0", "redis://host:6379/0", {}),
    ("redis://host:1/15", "", {"hosts": (("host", 1),), "database": 15}),
    ("redis://host?db=3", "", {"database": 3}),
    ("redis://host/3?db=3", "", {"database": 3}),
    ("redis://10.0.0.1:65535", "", {"hosts": (("10.0.0.1", 65535),)}),
    ("redis://[::1]", "", {"hosts": (("::1", 6379),)}),
    ("redis://[2001:db8::7]:7000/1", "", {"hosts": (("2001:db8::7", 7000),), "database": 1}),
    ("redis://:secret@host", "redis://:***@host", {"password": "secret"}),
    ("redis://joe:secret@host", "redis://joe:***@host", {"user": "joe", "password": "secret"}),
    (
        "redis://j%C3%B6:a%40%2F%3A%3F%23%25@host",
        "redis://j%C3%B6:***@host",
        {"user": "j\u00f6", "password": "a@/:?#%"},
    ),
    ("redis://:a@b:c@host", "redis://:***@host", {"password": "a@b:c"}),
    (
        "redis://joe@host?password_file=/run/secret&prefix={sse}:",
        "redis://joe@host?password_file=/run/secret&prefix={sse}:",
        {"user": "joe", "passwordFile": "/run/secret", "prefix": "{sse}:"},
    ),
    ("redis://host?password_file=p", "", {"passwordFile": "p"}),
    (
        "redis+sentinel://one/main?sentinel_password_file=p",
        "",
        {"hosts": (("one", 26379),), "service": "main", "sentinelPasswordFile": "p"},
    ),
    ("rediss://host", "", {"isTLS": True}),
    (
        "rediss://host?ssl_ca_certs=/a%20b/@ca.pem&ssl_certfile=c.pem&ssl_keyfile=k.pem",
        "rediss://host?ssl_ca_certs=/a b/@ca.pem&ssl_certfile=c.pem&ssl_keyfile=k.pem",
        {"isTLS": True, "authorities": "/a b/@ca.pem", "certificate": "c.pem", "key": "k.pem"},
    ),
    ("unix:///run/redis.sock", "", {"hosts": (), "path": "/run/redis.sock"}),
    (
        "unix://joe:secret@/run/a%20b?db=2",
        "unix://joe:***@/run/a%20b?db=2",
        {"hosts": (), "path": "/run/a b", "user": "joe", "password": "secret", "database": 2},
    ),
    (
        "redis+sentinel://one,two:7,[::1]:8/main/3?sentinel_password=hush",
        "redis+sentinel://one,two:7,[::1]:8/main/3?sentinel_password=***",
        {
            "hosts": (("one", 26379), ("two", 7), ("::1", 8)),
            "service": "main",
            "database": 3,
            "sentinelPassword": "hush",
        },
    ),
    (
        "rediss+sentinel://:secret@one/ma%20in",
        "rediss+sentinel://:***@one/ma%20in",
        {"hosts": (("one", 26379),), "service": "ma in", "isTLS": True, "password": "secret"},
    ),
]

#: Invalid URLs, and a part of the error message.
BAD = [
    ("", "it must be like redis://"),
    ("localhost", "it must be like redis://"),
    ("localhost:6379", "it must be like redis://"),
    ("http://host", "it must be like redis://"),
    ("redis+sentinel+x://host/main", "it must be like redis://"),
    ("unix+sentinel:///run", "it must be like redis://"),
    ("redis://[::1", "it must be like redis://"),
    ("redis://", "it must name a host"),
    ("redis:///0", "it must name a host"),
    ("redis://host:", "it must name a host"),
    ("redis://host:0", "it must name a host"),
    ("redis://host:65536", "it must name a host"),
    ("redis://host:http", "it must name a host"),
    ("redis://::1", "it must name a host"),
    ("redis://one,two", "it must name one host"),
    ("redis+sentinel://one,,two/main", "it must name a host"),
    ("redis+sentinel://one", "the name of the service must follow"),
    ("redis+sentinel://one/", "the name of the service must follow"),
    ("redis://host/x", "the database must be a number"),
    ("redis://host/-1", "the database must be a number"),
    ("redis://host/\u0663", "the database must be a number"),
    ("redis://host/1/2", "the database must be a number"),
    ("redis://host/1?db=2", "the database is given twice"),
    ("redis://host?db=1&db=1", "a parameter is given twice"),
    ("redis://host?db", "NAME=VALUE"),
    ("redis://host?timeout=5", "the only parameters are db, "),
    ("unix://run/redis.sock", "three slashes"),
    ("unix://", "three slashes"),
    ("redis://host\n", "must not contain spaces, line breaks"),
    ("redis://ho st", "must not contain spaces, line breaks"),
    ("redis://host\0", "must not contain spaces, line breaks"),
    ("redis://host#x", "%23"),
    ("redis://joe@host", "USER:PASSWORD"),
    ("redis://:@host", "USER:PASSWORD"),
    ("redis://joe:@host", "USER:PASSWORD"),
    ("redis://:x@host?password_file=p", "a password is given twice"),
    ("redis+sentinel://h/s?sentinel_password=x&sentinel_password_file=p", "is given twice"),
]

#: URLs with a password in the wrong place.
LEAKING = [
    "redis://joe:123/secret@host/0",
    "redis://joe:123/4?db=secret@host",
    "redis://secret@host",
    "redis://:secret/x@host",
    "redis://:x/secret@host",
    "redis://:x?secret@host",
    "redis://:x?secret=secret@host",
    "redis://:x#secret@host",
    "redis://:secret@host:port",
    "redis://:se@secret@host:port",
    "redis://:secret",
    "redis://joe:secret",
    "redis://joe:secret/0",
    "redis://joe:secret?db=0",
    "redis:secret@host",
    ":secret@host",
    "http://:secret@host",
    "redis://:secret@[::1",
    "redis://:secret@ho\u2100st",
    "redis://:secret@host\n",
    "redis://:secret\n@host",
    "redis://host?password=secret",
    "redis://host?sentinel_password=secret&x=y",
    "redis://host?sentinel%5Fpassword=secret&x=y",
    "redis://host?db=x&sentinel_password=secret",
    "redis+sentinel://:secret@host",
]


class AddressTests(SynchronousTestCase):
    """
    Tests for L{readAddress}.
    """

    def test_good(self) -> None:
        """
        Each part of a URL is read.
        """
        for url, text, differences in GOOD:
            expected = PLAIN._replace(text=text or url, **differences)
            self.assertEqual(readAddress(url), expected, url)

    def test_bad(self) -> None:
        """
        An invalid URL is refused, with a reason.
        """
        for url, why in BAD:
            with self.assertRaises(InvalidOption) as caught:
                readAddress(url)
            self.assertIn(why, str(caught.exception), url)

    def test_shown(self) -> None:
        """
        The representations that error reporters use do not show the password.
        """
        for url in (
            "redis://joe:hush@host",
            "redis+sentinel://:hush@host/main?sentinel_password=hush",
        ):
            self.assertNotIn("hush", repr(readAddress(url)))

    def test_type(self) -> None:
        """
        Anything but text is refused, and not shown, either.
        """
        for url in None, b"redis://:secret@host", 6379:
            with self.assertRaises(TypeError) as caught:
                readAddress(url)  # type: ignore[arg-type]
            self.assertNotIn("secret", str(caught.exception))

    def test_passwords(self) -> None:
        """
        No error shows a password, wherever it is, nor does its traceback.
        """
        for url in LEAKING:
            with self.assertRaises(ValueError) as caught:
                readAddress(url)
            self.assertNotIn("secret", repr(caught.exception), url)
            self.assertTrue(
                caught.exception.__suppress_context__ or not caught.exception.__context__
            )
