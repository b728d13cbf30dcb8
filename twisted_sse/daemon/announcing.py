"""
The messages at startup: the sources, their addresses, and who may read them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from ..printable import shown
from ..release import release
from ..server.hosts import isLoopback
from .console import BOLD, DIM, NAMESPACE, PLAIN, UNDERLINED, WARNING
from .listen import Endpoint
from .options import Options
from .sources.spec import Kind

__all__ = ["Opened", "announce", "pageURL"]

_log = Logger(namespace=NAMESPACE)

#: An open endpoint and its port; the port is L{None} if it is not known yet.
Opened = tuple[Endpoint, IListeningPort | None]

#: The wildcard and loopback addresses, shown as C{localhost}.
_HERE = ("0.0.0.0", "::", "127.0.0.1", "::1")


def pageURL(opened: Sequence[Opened]) -> str | None:
    """
    @return: the daemon's URL for a browser on this machine, with a slash at the end; L{None} if the
        daemon listens on UNIX sockets only.
    """
    for endpoint, port in opened:
        address: Any = port and port.getHost()
        number = getattr(address, "port", None)
        if number is not None:
            scheme = "https" if endpoint.description.startswith("ssl:") else "http"
            host = "localhost" if address.host in _HERE else address.host
            return f"{scheme}://{f'[{host}]' if ':' in host else host}:{number}/"
    return None


def announce(options: Options, opened: Sequence[Opened]) -> None:
    """
    Log the sources and their addresses; on a terminal, as one block of text.
    """
    url = pageURL(opened)
    where = [_placeOf(*each) for each in opened]
    access, isOpen, advice = _access(options, opened, where)
    terminal = _block(options, url or "", access, isOpen, advice)
    for path, spec in options.sources.items():
        base = ", ".join(where) if url is None else url.rstrip("/")
        place = f"{base}{path}" if url is not None else f"{base}, {path}"
        _log.info(
            "twisted-sse {release}: serving {what} at {place}",
            release=release(),
            what=spec.said,
            place=place,
            terminal=terminal,
        )
        terminal = ""
    for name in options.shownSecrets():
        _log.warn(
            "{option} is a secret that every user of this machine can see in the "
            "list of processes; use file:PATH to read it from a file",
            option=name,
        )
    hint = f" {advice[0].upper()}{advice[1:]}" if advice else ""
    _log.info("Access: {access}.{hint}", access=access, hint=hint, terminal="")
    if options.published and not options["publish-token"]:
        _log.info(
            "Publishing: programs on this machine only. Use --publish-token to let others in.",
            terminal="",
        )


def _placeOf(endpoint: Endpoint, port: IListeningPort | None) -> str:
    address: Any = port and port.getHost()
    if getattr(address, "port", None) is None:
        return endpoint.description
    return f"{f'[{address.host}]' if ':' in address.host else address.host}:{address.port}"


def _access(
    options: Options, opened: Sequence[Opened], where: Sequence[str]
) -> tuple[str, bool, str]:
    """
    @return: who may read, whether that is anyone, and how to change it.
    """
    on = f", on {', '.join(where)}"
    isLocal = all(port is not None and isLoopback(port.getHost()) for _, port in opened)
    if options["credCheckers"]:
        return f"anyone with a password{on}", False, ""
    if options.isPrivate:
        return "this machine only", False, "use --auth or --public to let others in."
    if isLocal:
        return "this machine only", False, ""
    return f"anyone who can reach this machine{on}", True, ""


def _block(options: Options, url: str, access: str, isOpen: bool, advice: str) -> str:
    """
    @return: the text for a terminal.
    """
    sources = options.sources
    served = [(path, spec) for path, spec in sources.items() if spec.kind is not Kind.HUB]
    if len(served) > 1:
        title = f"{len(served)} sources"
    else:
        title = served[0][1].label if served else "Mercure hub"
    lines = [f"{BOLD}twisted-sse{PLAIN} {release()}   {shown(title)}", ""]

    def add(label: str, text: str) -> None:
        lines.append(f"  {DIM}{label:9}{PLAIN}{text}" if label else f"{'':11}{text}")

    root = url.rstrip("/")
    if served and url:
        page = url if len(served) > 1 and "/" not in sources else root + served[0][0]
        add("Page", f"{UNDERLINED}{page}{PLAIN}")
        if len(served) > 1:
            for path, spec in served:
                add("", f"{UNDERLINED}{root}{path}{PLAIN}   {shown(spec.said)}")
        add("Stream", f"twisted-sse get {root}{served[0][0]}")
    for path in options.published if url else ():
        token = '-H "Authorization: Bearer $TOKEN" ' if options["publish-token"] else ""
        add("Publish", f"curl {token}-d hello {root}{path}")
    if options.hub is not None and url:
        add("Hub", f"{UNDERLINED}{root}{options.hub}{PLAIN}")
    if isOpen:
        access = f"{WARNING}{access}{PLAIN}"
    add("Access", f"{access}   (--auth or --public lets others in)" if advice else access)
    lines.append("")
    for _, spec in served:
        if spec.kind is Kind.FILE and not os.path.exists(spec.value):
            lines.append(f"Waiting for {shown(spec.label)}: no such file yet.")
    return "\n".join([*lines, "Press Ctrl-C to stop."])
