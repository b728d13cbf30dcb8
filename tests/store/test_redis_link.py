"""
Tests for L{twisted_sse.store.redis.link} and L{twisted_sse.store.redis.endpoints}.
"""

from __future__ import annotations

from errno import ECONNREFUSED, EHOSTUNREACH
from functools import partial
from typing import Any

from hiredis import ReplyError
from twisted.internet.error import ConnectError, ConnectionRefusedError, NoRouteError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory_reactor import MemoryNamesReactor
from tests.support.redis_memory import Peer
from twisted_sse.store.redis.address import readAddress
from twisted_sse.store.redis.link import Link, Server


class LinkTestCase(SynchronousTestCase):
    """
    A link on a reactor in memory.
    """

    def setUp(self) -> None:
        """
        Prepare a reactor.
        """
        self.reactor: Any = MemoryNamesReactor()
        self.told: list[Any] = []

    def start(self, url: str = "redis://host") -> Link:
        """
        Make a link, and start it.
        """
        self.link = Link(readAddress(url), self.reactor, 5, "name", self.up, self.told.append)
        self.link.start()
        return self.link

    def up(self, connection: Any) -> None:
        """
        Record the connection.
        """
        self.told.append("up")

    @property
    def wanted(self) -> list[int]:
        """
        The ports to which the link is connecting.  Every host is this machine.
        """
        return [port for _, port, *_ in self.reactor.tcpClients]

    def accept(self) -> Peer:
        """
        Accept a connection.
        """
        [(_, _, factory, *_)] = self.reactor.tcpClients
        self.reactor.tcpClients.clear()
        return Peer(self.reactor, factory.buildProtocol(None))

    def refuse(self, error: ConnectError | None = None) -> None:
        """
        Refuse a connection.
        """
        [(_, _, factory, *_)] = self.reactor.tcpClients
        self.reactor.tcpClients.clear()
        factory.clientConnectionFailed(None, Failure(error or ConnectionRefusedError(ECONNREFUSED)))

    def pause(self) -> float:
        """
        Wait until it reconnects.

        @return: the duration.
        """
        began = self.reactor.seconds()
        while not self.reactor.tcpClients:
            self.reactor.advance(0.01)
            self.assertLess(self.reactor.seconds() - began, 10)
        return float(self.reactor.seconds() - began)

    def assertNothingLeft(self) -> None:
        """
        Assert that nothing more happens.
        """
        told = list(self.told)
        self.reactor.tcpClients.clear()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.wanted, [])
        self.assertEqual(self.told, told)


class LinkTests(LinkTestCase):
    """
    Tests for L{Link}.
    """

    def test_enter(self) -> None:
        """
        The link logs in, and then the connection can be used.
        """
        for url, expected in (
            ("redis://host", [["PING"]]),
            ("redis://:secret@host/3", [["AUTH", "secret"], ["SELECT", "3"], ["PING"]]),
            ("redis://joe:secret@host", [["AUTH", "joe", "secret"], ["PING"]]),
        ):
            self.setUp()
            link = self.start(url)
            self.assertEqual(self.wanted, [6379])
            peer = self.accept()
            asked = peer.enter(*["OK"] * len(expected))
            self.assertEqual(asked[:-3], expected)
            self.assertEqual(
                asked[-3:], [["CLIENT", "SETNAME", "name"], ["CLIENT", "ID"], ["INFO"]]
            )
            self.assertEqual(self.told, ["up"])
            self.assertIs(link.connection, peer.protocol._wrappedProtocol)
            self.assertEqual((link.number, link.server.version), (7, "7.0.15"))

    def test_address(self) -> None:
        """
        The link connects to an IP address without a thread to resolve it.
        """
        for host, expected in ("10.0.0.1", "10.0.0.1"), ("[2001:db8::1]", "2001:db8::1"):
            self.setUp()
            self.reactor.nameResolver = None
            self.start(f"redis://{host}")
            [(connected, *_)] = self.reactor.tcpClients
            self.assertEqual(connected, expected)

    def test_reasons(self) -> None:
        """
        A failed connection is reported once, in the words of the system.
        """
        for error, why in (
            (ConnectionRefusedError(ECONNREFUSED, "Connection refused"), "Connection refused"),
            (NoRouteError(EHOSTUNREACH, "No route to host"), "No route to host"),
            (ConnectError(string="DNS is down"), "DNS is down"),
        ):
            self.setUp()
            self.start()
            self.refuse(error)
            self.pause()
            self.assertTrue(self.told[-1].endswith(why), self.told)
            self.assertNotIn("other side", self.told[-1])
            self.assertNotRegex(self.told[-1], "[0-9]")

    def test_unreadable(self) -> None:
        """
        A file that cannot be read is named.
        """
        for url in "redis://host?password_file=/none/such", "rediss://host?ssl_ca_certs=/none/such":
            self.setUp()
            link = self.start(url)
            if self.reactor.tcpClients:
                self.accept()
            self.reactor.advance(0)
            self.assertEqual(link.why, "/none/such cannot be read: No such file or directory")

    def test_wishes(self) -> None:
        """
        Commands that are only useful may be forbidden.
        """
        link = self.start()
        self.accept().answer("PONG", *[ReplyError("NOPERM this user has no permissions")] * 3)
        self.assertEqual(self.told, ["up"])
        self.assertEqual((link.number, link.server.version, link.server.policy), (None, "", ""))

    def test_refused(self) -> None:
        """
        If the link cannot log in, or the server is unsuitable, this is reported, and it retries
        with growing pauses of at most a second.
        """
        self.start("redis://:secret@host")
        pauses = []
        for replies, info, why in (
            ([ReplyError("WRONGPASS invalid")] * 2, "", "password is wrong"),
            ([ReplyError("NOAUTH secret wanted"), "PONG"], "", "it requires a password"),
            (["OK", ReplyError("LOADING data")], "", "LOADING data"),
            (["OK", "PONG"], "redis_version:6.0.16\r\n", "it is Redis 6.0.16: 6.2 or newer"),
            (["OK", "PONG"], "redis_mode:sentinel\r\n", "it is a Sentinel"),
            (["OK", "PONG"], "redis_version:5.9\r\n", "it is Redis 5.9"),
        ):
            peer = self.accept()
            peer.enter(*replies, info=info)
            self.assertTrue(peer.isClosed)
            self.assertIn(why, self.told[-1])
            self.assertNotIn("secret", self.told[-1])
            self.assertEqual(self.link.why, self.told[-1])
            pauses.append(self.pause())
        self.assertNotIn("up", self.told)
        self.assertLess(pauses[0], 0.12)
        self.assertGreater(min(pauses[4:]), 0.45)
        self.assertLess(max(pauses), 1.05)

    def test_echo(self) -> None:
        """
        A server that repeats the password in its error does not get it into the log.
        """
        self.start("redis://joe:s%65cret@host")
        self.accept().enter(ReplyError("ERR unknown command 'AUTH' with: 'joe' 'secret'"), "PONG")
        self.assertNotIn("secret", self.told[-1])
        self.setUp()
        self.start("redis://:" + "secret" * 30 + "@host")
        told = "ERR unknown command `AUTH`, with args beginning with: `" + "secret" * 20
        self.accept().enter(ReplyError(told), "PONG")
        self.assertEqual(self.told[-1], "ERR unknown command `AUTH`")
        self.setUp()
        self.start("redis://:wrong@host")
        self.accept().enter(ReplyError("WRONGPASS invalid"), "PONG")
        self.assertIn("the user or the password is wrong", self.told[-1])
        self.setUp()
        self.start("redis://:a@host")
        none = "ERR AUTH <password> called without any password configured for the default user."
        self.accept().enter(ReplyError(f"{none} Are you sure?"), "PONG")
        self.assertEqual(self.told[-1], "it has no password: remove yours")

    def test_silent(self) -> None:
        """
        A server that accepts the connection and sends nothing is left after the timeout.
        """
        self.start()
        peer = self.accept()
        self.reactor.advance(5)
        self.assertTrue(peer.isClosed)
        self.reactor.advance(0)
        self.assertEqual(self.told, ["the server does not answer"])

    def test_lost(self) -> None:
        """
        When a working connection is lost the link reconnects soon, regardless of earlier failures;
        and this is counted.
        """
        link = self.start()
        for _ in range(5):
            self.refuse()
            self.pause()
        for number in range(3):
            peer = self.accept()
            peer.enter()
            self.assertIsNotNone(link.why)
            link.confirm()
            self.assertIsNone(link.why)
            peer.lose()
            self.assertIsNone(link.connection)
            self.assertIn("closed", str(link.why))
            self.assertEqual(link.losses, number + 1)
            self.assertLess(self.pause(), 0.12)

    def test_useless(self) -> None:
        """
        If connections turn out unusable, the pauses still grow.
        """
        link = self.start()
        pauses = []
        for _ in range(6):
            peer = self.accept()
            peer.enter()
            assert link.connection is not None
            link.connection.abort("no use")
            self.reactor.advance(0)
            self.assertEqual(self.told[-1], "no use")
            pauses.append(self.pause())
        self.assertGreater(pauses[-1], 0.45)

    def test_renew(self) -> None:
        """
        A connection that should be replaced is replaced immediately, and this is not a loss; but an
        unusable one is.
        """
        link = self.start()
        self.accept().enter()
        link.confirm()
        for _ in range(2):
            link.renew("it is old")
            # A second call has no further effect.
            link.renew("it is old")
            self.reactor.advance(0)
            self.accept().enter()
            link.confirm()
        self.assertEqual(self.told, ["up", "up", "up"])
        self.assertEqual(link.losses, 0)
        link.renew("it is old")
        self.reactor.advance(0)
        self.refuse()
        self.pause()
        self.assertIn("refused", self.told[-1])
        self.accept().enter()
        link.renew("it is old")
        self.reactor.advance(0)
        self.assertEqual(self.told[-1], "it is old")
        self.assertEqual(self.wanted, [])

    def test_move(self) -> None:
        """
        The link connects to another server, or to another port of the same one, and after a failure
        to the first again.
        """
        link = self.start()
        self.accept().enter()
        link.confirm()
        for host, port in ("10.0.0.1", 7), ("", 8):
            link.move(host, port)
            self.reactor.advance(0)
            self.assertEqual(self.wanted, [port])
            self.accept().enter()
            link.confirm()
        self.assertEqual(self.told, ["up", "up", "up"])
        link.move("", 9)
        self.reactor.advance(0)
        self.refuse()
        self.pause()
        self.assertEqual(self.wanted, [6379])

    def test_toAndFro(self) -> None:
        """
        Two servers that refer to each other are reported, and the link reconnects at a limited
        rate.
        """
        link = self.start()
        for number in range(4):
            self.accept().enter()
            link.move("10.0.0.1", number + 1)
            self.reactor.advance(0)
            if number:
                self.assertIn("several servers of a cluster", self.told[-1])
                self.pause()
        self.assertEqual(self.told.count("up"), 4)

    def test_stop(self) -> None:
        """
        The link can be stopped in every state, and then nothing more happens.
        """
        for state in range(6):
            self.setUp()
            link = self.start()
            peer = None
            if state >= 1:
                peer = self.accept()
            if state >= 2:
                assert peer is not None
                peer.enter()
            if state == 3:
                link.confirm()
            if state == 4:
                peer.lose()
            if state == 5:
                link.renew("old")
            link.stop()
            self.assertEqual(peer is None or peer.isClosed, True)
            self.assertNothingLeft()
            link.stop()

    def test_stoppedByTheTold(self) -> None:
        """
        The link can be stopped by callbacks for a new or lost connection.
        """
        for atOnce in True, False:
            self.setUp()

            links: list[Link] = []

            def stop(links: list[Link], _: object) -> None:
                links[0].stop()

            down = partial(stop, links)
            up = down if atOnce else self.up
            links.append(Link(readAddress("redis://host"), self.reactor, 5, "name", up, down))
            links[0].start()
            peer = self.accept()
            peer.enter()
            self.assertEqual(peer.isClosed, atOnce)
            if not atOnce:
                peer.lose()
            self.assertNothingLeft()


class SentinelTests(LinkTestCase):
    """
    Tests for Sentinels.
    """

    url = "redis+sentinel://:pw@10.0.0.1,10.0.0.2:7/main?sentinel_password=hush"

    def test_asked(self) -> None:
        """
        The Sentinels are asked one after the other, until one names the server.
        """
        self.start(self.url)
        self.assertEqual(self.wanted, [26379])
        self.refuse()
        self.pause()
        self.assertEqual(self.wanted, [7])
        sentinel = self.accept()
        asked = sentinel.answer("OK", ["10.0.0.9", "6380"])
        self.assertEqual(asked, [["AUTH", "hush"], ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]])
        self.assertTrue(sentinel.isClosed)
        self.assertEqual(self.wanted, [6380])
        self.accept().enter("OK", "PONG", info="redis_version:7.0.0\r\nrole:master\r\n")
        self.assertEqual(self.told, ["up"])

    def test_unknown(self) -> None:
        """
        If no Sentinel names the server, this is reported with the last answer, and they are asked
        again.
        """
        for reply, why in (
            (None, "10.0.0.2:7 does not know 'main'"),
            (ReplyError("NOAUTH wanted"), "it requires a password"),
            (ReplyError("ERR unknown command"), "unknown command"),
            (7, "10.0.0.2:7: "),
            (["host"], "10.0.0.2:7: "),
            (ReplyError("ERR unknown command `SENTINEL`, with args: "), "7: it is not a Sentinel"),
        ):
            self.setUp()
            self.start(self.url)
            for _ in range(2):
                self.accept().answer("OK", reply)
                self.reactor.advance(0)
            self.assertIn("no Sentinel knows the master", self.told[-1])
            self.assertIn(why, self.told[-1])
            self.pause()
            self.assertEqual(self.wanted, [26379])

    def test_refused(self) -> None:
        """
        If a Sentinel refuses the login, its answer to the password is reported, without the
        password.
        """
        for reply, why in (
            (ReplyError("WRONGPASS invalid"), "the user or the password is wrong"),
            (ReplyError("ERR unknown command 'AUTH' with: 'hush'"), "with: '***'"),
        ):
            self.setUp()
            self.start(self.url)
            for _ in range(2):
                self.accept().answer(reply, ReplyError("NOAUTH wanted"))
                self.reactor.advance(0)
            self.assertIn(why, self.told[-1])
            self.assertNotIn("hush", self.told[-1])
        # A Sentinel without a password ignores it.
        self.pause()
        self.accept().answer(ReplyError("ERR AUTH"), ["10.0.0.9", "6380"])
        self.assertEqual(self.wanted, [6380])

    def test_replica(self) -> None:
        """
        A server that is not, or not yet, the master is left.
        """
        self.start(self.url)
        self.accept().answer("OK", ["10.0.0.9", "6380"])
        self.accept().enter("OK", "PONG", info="role:slave\r\n")
        self.assertIn("is not the master", self.told[-1])

    def test_stop(self) -> None:
        """
        The link can be stopped while a Sentinel is asked, and then no other is asked.
        """
        for isAccepted in False, True:
            self.setUp()
            link = self.start(self.url)
            peer = self.accept() if isAccepted else None
            link.stop()
            self.assertEqual(peer is None or peer.isClosed, True)
            self.assertNothingLeft()


class ServerTests(SynchronousTestCase):
    """
    Tests for L{Server}.
    """

    def test_read(self) -> None:
        """
        The information about a server is read from its answer.
        """
        server = Server(
            b"# Server\r\nredis_version:7.2.4\r\n# Memory\r\nmaxmemory_policy:allkeys-lru\r\n"
            b"not_role:x\r\nrole:slave\r\nother:\xff\r\n"
        )
        self.assertEqual(
            (server.version, server.policy, server.role), ("7.2.4", "allkeys-lru", "slave")
        )
        self.assertFalse(server.isSentinel)

    def test_old(self) -> None:
        """
        Versions are compared as numbers; an unknown version counts as new enough.
        """
        for version, isOld in (
            ("6.0.16", True),
            ("5.10.0", True),
            ("2.8.19", True),
            ("6.2.0", False),
            ("6.10.0", False),
            ("7.0.15", False),
            ("10.0", False),
            ("255.255.255", False),
            ("", False),
            ("unstable", False),
        ):
            self.assertEqual(Server(f"redis_version:{version}\r\n".encode()).isOld, isOld, version)
