"""
Loopback: the addresses of this machine, and the names that a client may have for them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from twisted.internet.address import UNIXAddress

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["HOST", "isLoopback", "isLoopbackName", "namesOf"]

#: A host, perhaps with a port.
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?", re.ASCII | re.IGNORECASE)


def isLoopback(address: object) -> bool:
    """
    Whether an address can only be reached from this machine.

    @param address: an address of Twisted's, or the text of an IP address.
    """
    if isinstance(address, UNIXAddress):
        return True
    host = address if isinstance(address, str) else getattr(address, "host", "")
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return bool((getattr(found, "ipv4_mapped", None) or found).is_loopback)


def namesOf(request: Request) -> list[str | None]:
    """
    Find the names by which a client knows the server.

    @return: a name in lower case for each C{Host}, without port and final dot; L{None} for one that
        is no name, or if there is none.
    """
    values = request.requestHeaders.getRawHeaders(b"host", [b""])
    return [_nameIn(value.decode("ascii", "replace")) for value in values]


def _nameIn(host: str) -> str | None:
    found = HOST.fullmatch(host)
    return None if found is None else found[1].lower().rstrip(".")


def isLoopbackName(name: str | None) -> bool:
    """
    Whether a name is always that of this machine: RFC 6761, 6.3.

    @param name: one of L{namesOf}.
    """
    if name is None:
        return False
    return name == "localhost" or name.endswith(".localhost") or isLoopback(name.strip("[]"))
