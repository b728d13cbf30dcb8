"""
Tests for L{twisted_sse.daemon.inherited}: sockets that systemd has opened.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from shutil import rmtree
from typing import Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from tests.support.live import reactor, until
from twisted_sse.daemon import listen
from twisted_sse.daemon.listen import ListeningService


class SystemdTests(TestCase):
    """
    Tests for a UNIX socket from systemd.
    """

    async def test_unix(self) -> None:
        """
        The file of the socket keeps the mode set by systemd, and remains after the daemon ends, and
        so does the socket.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(rmtree, directory)
        path = os.path.join(directory, "socket")
        systemds = socket.socket(socket.AF_UNIX)
        self.addCleanup(systemds.close)
        systemds.bind(path)
        systemds.listen()
        os.chmod(path, 0o600)
        passed = os.dup(systemds.fileno())
        os.set_inheritable(passed, True)

        def serverFromString(reactor: Any, description: str) -> Any:
            return AdoptedStreamServerEndpoint(reactor, passed, socket.AF_UNIX)

        self.patch(listen, "serverFromString", serverFromString)
        service = ListeningService(reactor)
        accepted: list[None] = []
        factory: Any = Factory()
        factory.buildProtocol = lambda address: accepted.append(None)
        port: Any = service.listen("systemd:domain=UNIX:index=0", factory)
        self.assertFalse(os.get_inheritable(port.fileno()))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            await until(lambda: accepted, "it was accepted")
        await service.stopService()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            systemds.accept()[0].close()
