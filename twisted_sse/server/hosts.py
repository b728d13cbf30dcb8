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

__all__ = ["HOST", "isLoopback", "isLoopbackName", "nameOf"]

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


def nameOf(request: Request) -> str | None:
    """
    Find the name by which a client knows the server.

    @return: what is in C{Host}, in lower case, without port and final dot; L{None} if that is not a
        name, or there is not exactly one C{Host}.
    """
    values = request.requestHeaders.getRawHeaders(b"host", [])
    if request.clientproto == b"HTTP/2":
        # It may also be in :authority: RFC 9113, 8.3.1.
        values = list(dict.fromkeys(values))
    found = HOST.fullmatch(values[0].decode("ascii", "replace")) if len(values) == 1 else None
    return None if found is None else found[1].lower().rstrip(".")


def isLoopbackName(name: str | None) -> bool:
    """
    Whether a name is always that of this machine: RFC 6761, 6.3.

    @param name: from L{nameOf}.
    """
    if name is None:
        return False
    return name == "localhost" or name.endswith(".localhost") or isLoopback(name.strip("[]"))
