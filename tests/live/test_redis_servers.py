"""
Tests for the servers that a store can be connected to: replicas, Sentinels, clusters, with TLS and
passwords, and through an interrupted network.
"""

from __future__ import annotations

import os
import time
from tempfile import mkdtemp
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.filepath import FilePath

from tests.support.authority import writeCertificates
from tests.support.live import freePort, until
from tests.support.redis_server import Proxy, RedisServer, Sentinel
from tests.support.redis_sides import RESET, Side, SidesTestCase
from tests.support.requirements import needs
from twisted_sse import Event
from twisted_sse.store import StoreAway
from twisted_sse.testing.stores import MemoryTail


@needs("network", "redis")
class NetworkTests(SidesTestCase):
    """
    Tests for the network.
    """

    async def test_cut(self) -> None:
        """
        An interrupted network is noticed, and after its repair nothing is lost or duplicated.
        """
        proxy = Proxy(self, self.server)
        self.one, self.two = Side(self, proxy.url), Side(self)
        self.readers = [await self.one.read(), await self.two.read()]
        await self.one.write("a")
        proxy.cut()
        error = await self.failed(self.one, "lost")
        self.assertTrue(error.maybe)
        self.assertIn("does not answer", str(error))
        self.assertFalse((await self.failed(self.one, "not sent")).maybe)
        await self.two.write("b")
        await until(lambda: self.one.store.problem(), "it is noticed")
        self.assertIsNone(self.two.store.problem())
        proxy.mend()
        await until(lambda: self.one.store.problem() is None, "the network is restored")
        await self.one.write("c")
        await self.assertGot(*self.stored())
        self.assertEqual([each for each in self.stored() if each != "lost"], ["a", "b", "c"])
        self.assertSaid("Cannot reach ", "Connected to ")

    async def test_nobodyThere(self) -> None:
        """
        A missing, wrong or silent server is reported once, opening fails, and nothing is left when
        the store is closed.
        """
        server: Any = reactor.listenTCP(
            0, _Greeter.factory(b"HTTP/1.1 400\r\n"), interface="127.0.0.1"
        )
        self.addCleanup(server.stopListening)
        silent: Any = reactor.listenTCP(0, _Greeter.factory(b""), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        for port, why in (
            (freePort(), "refused"),
            (server.getHost().port, "this is not a Redis server"),
            (silent.getHost().port, "the server does not answer"),
        ):
            for scheme in "redis", "rediss":
                store = self.store(f"{scheme}://127.0.0.1:{port}")
                await self.assertFailure(store.open("news", MemoryTail(), 1), StoreAway)
                if scheme == "redis":
                    self.assertIn(why, str(store.problem()))
                self.assertIsNotNone(store.problem())
                opening = store.open("news", MemoryTail(), 1)
                await deferLater(reactor, 0.1)
                await store.close()
                await self.assertFailure(opening, StoreAway)
                self.assertSaid("Cannot reach ")


class _Greeter(Protocol):
    """
    Sends a greeting, and reads.
    """

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting

    @classmethod
    def factory(cls, greeting: bytes) -> Factory:
        """
        Make a factory.
        """
        factory = Factory.forProtocol(lambda: cls(greeting))
        factory.noisy = False
        return factory

    def connectionMade(self) -> None:
        """
        Greet.
        """
        assert self.transport is not None
        self.transport.write(self._greeting)


@needs("network", "redis")
class ReplicaTests(SidesTestCase):
    """
    Tests for replicas, and for failovers.
    """

    async def replicate(self) -> None:
        """
        Start C{self.main} and C{self.replica}.
        """
        hurry = "--repl-diskless-sync-delay", "0"
        self.main = await RedisServer(self, *hurry, tcp=True).start()
        self.replica = RedisServer(self, *hurry, tcp=True)
        self.replica.arguments += ["--replicaof", "127.0.0.1", str(self.main.port)]
        await self.replica.start()
        await self.synchronized(self.replica)

    async def synchronized(self, replica: RedisServer) -> None:
        """
        Wait until a replica is connected.
        """
        await until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"))

    async def copied(self) -> None:
        """
        Wait until the replica has everything.
        """
        newest = "XREVRANGE", "t:news", "+", "-", "COUNT", 1
        await until(lambda: self.replica.ask(*newest) == self.main.ask(*newest), "it is copied")

    async def test_lostTail(self) -> None:
        """
        When a replica is promoted that lacks the newest events, all clients are notified;
        publishing continues, and no ID is used twice.
        """
        await self.replicate()
        proxy = Proxy(self, self.main)
        await self.begin(proxy.url)
        events = await self.one.write("a", "b")
        await self.copied()
        self.replica.ask("REPLICAOF", "127.0.0.1", freePort())
        events += await self.two.write("c", "d")
        await self.assertGot("a", "b", "c", "d")
        gone = await self.one.read()
        gone.leave()
        kept = await self.two.read()
        kept.leave()
        kept.lastEventID = events[1].id
        proxy.to = self.replica.path
        self.main.kill()
        self.replica.ask("REPLICAOF", "NO", "ONE")
        await self.assertGot("a", "b", "c", "d", RESET)
        events += await self.one.write("e")
        events += await self.two.write("f")
        await self.assertGot("a", "b", "c", "d", RESET, "e", "f")
        self.assertEqual(len({event.id for event in events}), 6)
        # A client that had lost events is notified, and one that had none of them resumes exactly.
        gone.connect()
        kept.connect()
        await self.assertGot("e", "f", readers=[kept])
        await until(lambda: RESET in gone.look(), "the notice of the loss")

    async def test_replica(self) -> None:
        """
        A replica can be read from; publishing there fails, until it is promoted.
        """
        await self.replicate()
        self.one = Side(self, self.main.url)
        await self.one.channel.whenReady()
        await self.copied()
        self.two = Side(self, self.replica.url)
        self.readers = [await self.one.read(), await self.two.read()]
        await self.one.write("b")
        await self.assertGot("b")
        for _ in range(3):
            started = time.monotonic()
            error = await self.failed(self.two, "in vain")
            self.assertFalse(error.maybe)
            self.assertIn("it is a replica", str(error))
        self.assertLess(time.monotonic() - started, 0.3)
        await self.one.write("c")
        self.replica.ask("REPLICAOF", "NO", "ONE")
        await self.two.write("d")
        await self.assertGot("b", "c", "d", readers=[self.readers[1]])
        self.assertSaid("events are not stored: ", "events are stored again")

    async def test_demoted(self) -> None:
        """
        When the server has become a replica, and its address belongs to another, the store connects
        to that, and nothing fails.
        """
        await self.replicate()
        proxy = Proxy(self, self.main)
        await self.begin(proxy.url)
        await self.one.write("a")
        await self.assertGot("a")
        await self.copied()
        await deferLater(reactor, 0.6)
        self.replica.ask("REPLICAOF", "NO", "ONE")
        self.main.ask("REPLICAOF", "127.0.0.1", self.replica.port)
        await self.synchronized(self.main)
        proxy.to = self.replica.path
        await self.one.write("b")
        await self.two.write("c")
        await self.assertGot("a", "b", "c")
        self.assertSaid()

    async def test_sentinel(self) -> None:
        """
        When the Sentinels promote a replica, the store connects to it, and everything continues.
        """
        await self.replicate()
        sentinel = await Sentinel(self, self.main).start()
        await until(lambda: "slaves=1" in sentinel.ask("INFO", "sentinel"), "it knows the replica")
        # The first does not respond.
        url = sentinel.url.replace("//", f"//127.0.0.1:{freePort()},")
        await self.begin(url)
        await self.one.write("a", "b")
        await self.copied()
        self.main.kill()
        await self.isAway()
        await self.isAway(False)
        await self.one.write("c")
        await self.two.write("d")
        await self.assertGot("a", "b", "c", "d")
        for url, why in (
            (sentinel.url.replace("/main", "/other"), "does not know 'other'"),
            (f"redis://127.0.0.1:{sentinel.port}", "it is a Sentinel"),
            (f"redis+sentinel://127.0.0.1:{self.replica.port}/main", "no Sentinel knows the"),
        ):
            store = self.store(url)
            await self.assertFailure(store.open("news", MemoryTail(), 1), StoreAway)
            self.assertIn(why, str(store.problem()))


@needs("network", "redis")
class ClusterTests(SidesTestCase):
    """
    Tests for a cluster of two servers.
    """

    async def cluster(self) -> list[RedisServer]:
        """
        Start a cluster: the first server has the first half of the slots.
        """
        servers = []
        for _ in range(2):
            bus = freePort()
            server = RedisServer(
                self, *("--cluster-enabled", "yes", "--cluster-port", str(bus)), tcp=True
            )
            await server.start()
            servers.append(server)
            if len(servers) == 2:
                servers[0].ask("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        servers[0].ask("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        servers[1].ask("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        for server in servers:
            await until(lambda server=server: "cluster_state:ok" in server.ask("CLUSTER", "INFO"))
        return servers

    async def test_moved(self) -> None:
        """
        The store connects to the server that has the keys, and to another when they are moved
        there.
        """
        servers = await self.cluster()
        prefix, key = "{sse}:", "{sse}:news"
        slot = servers[0].ask("CLUSTER", "KEYSLOT", key)
        has, other = servers if slot < 8192 else servers[::-1]
        await self.begin(f"redis://127.0.0.1:{other.port}", prefix=prefix)
        await self.one.write("a")
        await self.two.channel.publishAndWait("b", idempotencyKey="key")
        await self.assertGot("a", "b")
        ids = [server.ask("CLUSTER", "MYID") for server in (has, other)]
        other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        has.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        for each in has.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
            has.ask("MIGRATE", "127.0.0.1", other.port, each, 0, 5000)
        waiting = self.one.channel.publishAllAndWait([(Event(each), ()) for each in "cd"])
        more = self.one.channel.publishAndWait("e", idempotencyKey="e")
        await deferLater(reactor, 0.1)
        for server in other, has:
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        await waiting
        await more
        await self.two.write("f")
        await self.assertGot("a", "b", "c", "d", "e", "f")

    async def test_several(self) -> None:
        """
        If the keys are on several servers, that is reported with a remedy.
        """
        servers = await self.cluster()
        store = self.store(f"redis://127.0.0.1:{servers[0].port}", prefix="")
        outcomes = []
        for name in "a", "b", "c", "d":
            outcome: Any = store.open(name, MemoryTail(), 1)
            outcome.addBoth(outcomes.append)
        await until(lambda: "such as {sse}:" in str(store.problem()), "the message")


@needs("network", "redis")
class LoginTests(SidesTestCase):
    """
    Tests for passwords and rights.
    """

    arguments = ("--requirepass", "secret/?#@:1")

    def setUp(self) -> Any:
        """
        Start a server with a password.
        """
        started = super().setUp()
        self.server.password = "secret/?#@:1"
        self.url = self.server.url.replace("//", "//:secret%2F%3F%23%40%3A1@")
        return started

    async def test_password(self) -> None:
        """
        With the right password the store logs in.
        """
        await self.begin(self.url)
        await self.one.write("a")
        await self.assertGot("a")
        self.assertNotIn("secret", repr(self.one.store) + self.one.store.url)

    async def test_wrongPassword(self) -> None:
        """
        With a wrong password it does not, which is reported once, without any password; and it logs
        in as soon as the password is right.
        """
        for url, why in (
            (self.server.url, "it requires a password"),
            (self.url.replace("secret", "sesame"), "the password is wrong"),
            (self.url.replace("//:", "//joe:"), "the password is wrong"),
        ):
            store = self.store(url)
            with self.assertRaises(StoreAway) as caught:
                await store.open("news", MemoryTail(), 1)
            self.assertIn(why, str(caught.exception))
            self.assertIn(why, str(store.problem()))
            await deferLater(reactor, 0.5)
            await store.close()
            [line] = self.flushLogged()
            self.assertIn(why, line)
            for text in line, str(caught.exception), str(store.problem()):
                self.assertNotIn("%3F", text)
        side = Side(self, self.url.replace("secret", "sesame"))
        await until(lambda: side.store.problem(), "it is wrong")
        self.server.ask("CONFIG", "SET", "requirepass", "sesame/?#@:1")
        self.server.password = "sesame/?#@:1"
        await side.write("a")
        await until(lambda: side.store.problem() is None, "it is right")

    async def test_file(self) -> None:
        """
        A password in a file is read at each connection; a missing file is named.
        """
        path = FilePath(mkdtemp(prefix="twisted-sse-"))
        self.addCleanup(path.remove)
        file = path.child("password")
        url = f"{self.server.url}?password_file={file.path}"
        side = Side(self, url)
        await until(lambda: side.store.problem(), "there is no file")
        self.assertIn(file.path, str(side.store.problem()))
        file.setContent(b"other\n")
        await until(lambda: "wrong" in str(side.store.problem()), "it is wrong")
        file.setContent(f"{self.server.password}\n".encode())
        await side.write("a")
        await until(lambda: side.store.problem() is None, "it is right")
        self.flushLogged()

    async def test_user(self) -> None:
        """
        A user with only the necessary rights can publish and read.
        """
        needed = "+ping +xadd +xrange +xrevrange +xread +time +xtrim +evalsha +eval +get +set"
        self.server.ask("ACL", "SETUSER", "app", "on", ">pw", "~t:*", "~{t:*", *needed.split())
        url = self.server.url.replace("//", "//app:pw@")
        self.one, self.two = Side(self, url, maxAge=1000), Side(self, url)
        self.readers = [await self.one.read(), await self.two.read()]
        await self.one.write("a")
        await self.two.channel.publishAndWait("b", idempotencyKey="key")
        await self.assertGot("a", "b")
        # Nothing can be unblocked: another channel is noticed within the timeout.
        other = Side(self, name="other", store=self.one.store)
        reader = await other.read()
        await other.write("c")
        await self.assertGot("c", readers=[reader])
        self.assertSaid()

    async def test_readOnlyUser(self) -> None:
        """
        A user who may only read gets everything that others publish, and an error when publishing.
        """
        self.server.ask("ACL", "SETUSER", "app", "on", ">pw", "~t:*", "+@read", "+@connection")
        url = self.server.url.replace("//", "//app:pw@")
        store = self.store(url)
        with self.assertRaises(ValueError) as caught:
            # It has no beginning, and cannot get one.
            await store.open("news", MemoryTail(), 1)
        self.assertIn("the user is not allowed to do this", str(caught.exception))
        self.one = Side(self, self.url)
        await self.one.channel.whenReady()
        self.two = Side(self, url)
        self.readers = [await self.one.read(), await self.two.read()]
        await self.one.write("b")
        self.assertIn("not allowed to do this", str(await self.failed(self.two, "in vain")))
        await self.assertGot("b")

    async def test_forbidden(self) -> None:
        """
        A revoked right is reported, and everything continues when it is granted again.
        """
        self.server.ask("ACL", "SETUSER", "app", "on", ">pw", "~t:*", "+@all")
        self.one = Side(self, self.url)
        self.two = Side(self, self.server.url.replace("//", "//app:pw@"))
        self.readers = [await self.one.read(), await self.two.read()]
        for command in "xread", "xrange":
            self.server.ask("ACL", "SETUSER", "app", f"-{command}")
            await self.one.write(command)
            await until(lambda: "not allowed" in str(self.two.store.problem()), "the message")
            await deferLater(reactor, 1)
            self.server.ask("ACL", "SETUSER", "app", f"+{command}")
            await until(lambda: self.two.store.problem() is None, "it is over")
        await self.assertGot("xread", "xrange")
        lines = self.flushLogged()
        self.assertEqual(len(lines), 4, lines)


@needs("network", "redis")
class TLSTests(SidesTestCase):
    """
    Tests for TLS.
    """

    async def startTLS(self, *arguments: str) -> None:
        """
        Start a server with TLS.
        """
        folder = FilePath(mkdtemp(prefix="twisted-sse-"))
        self.addCleanup(folder.remove)
        writeCertificates(folder.path)
        self.folder = folder.path
        self.tlsPort = freePort()
        self.server = await RedisServer(
            self,
            *("--tls-port", str(self.tlsPort), "--tls-cert-file", self.file("server.pem")),
            *("--tls-key-file", self.file("server.key"), "--tls-ca-cert-file", self.file("ca.pem")),
            *arguments,
        ).start()

    def file(self, name: str) -> str:
        """
        @return: the path of a file.
        """
        return os.path.join(self.folder, name)

    async def test_ownAuthority(self) -> None:
        """
        A server is trusted if its certificate is issued by the authority in the URL, for this host;
        the system's authorities alone do not suffice, which is reported.
        """
        await self.startTLS("--tls-auth-clients", "no")
        trusting = f"?ssl_ca_certs={self.file('ca.pem')}"
        await self.begin(f"rediss://localhost:{self.tlsPort}{trusting}")
        self.two = Side(self, f"rediss://127.0.0.1:{self.tlsPort}{trusting}")
        self.readers[1] = await self.two.read()
        await self.one.write("a")
        await self.two.write("x" * 2**19)
        await self.assertGot("a", "x" * 2**19)
        for url, why in (
            (f"rediss://localhost:{self.tlsPort}", "certificate verify failed"),
            (f"rediss://localhost:{self.tlsPort}?ssl_ca_certs=/none", "/none"),
            (f"redis://localhost:{self.tlsPort}", "lost"),
        ):
            store = self.store(url)
            with self.assertRaises(StoreAway) as caught:
                await store.open("news", MemoryTail(), 1)
            self.assertIn(why, str(caught.exception))
            await store.close()

    async def test_clientCertificate(self) -> None:
        """
        A server that requires a client certificate gets one.
        """
        await self.startTLS("--tls-auth-clients", "yes")
        url = f"rediss://localhost:{self.tlsPort}?ssl_ca_certs={self.file('ca.pem')}"
        mine = f"&ssl_certfile={self.file('client.pem')}&ssl_keyfile={self.file('client.key')}"
        await self.begin(url + mine)
        await self.one.write("a")
        await self.assertGot("a")
        store = self.store(url)
        await self.assertFailure(store.open("news", MemoryTail(), 1), StoreAway)
