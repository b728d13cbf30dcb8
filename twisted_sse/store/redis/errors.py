"""
What Redis' errors mean.
"""

from __future__ import annotations

import re
from typing import Any

from hiredis import ReplyError

__all__ = [
    "Moved",
    "Refused",
    "Unanswered",
    "checked",
    "isFinal",
    "isPassing",
    "kindOf",
    "movedTo",
    "said",
]

#: Errors of a server that will do it later, or of one that another has replaced; nothing was done.
PASSING = frozenset(
    (
        *("LOADING", "READONLY", "MASTERDOWN", "BUSY", "UNBLOCKED"),
        *("CLUSTERDOWN", "TRYAGAIN", "ASK", "MOVED"),
    )
)

#: Errors that stay until the configuration changes.
FINAL = frozenset(("CROSSSLOT", "ERR", "NOPERM", "WRONGTYPE"))

#: What some errors mean, where the server's own words do not say what to do.
MEANINGS = {
    "OOM": "its memory is full: raise maxmemory, or keep fewer events",
    "NOAUTH": "it requires a password: name a file that contains it, "
    "redis://HOST?password_file=PATH,"
    " or for a Sentinel sentinel_password_file=PATH",
    "WRONGPASS": "the user or the password is wrong",
    "NOPERM": "the user is not allowed to do this",
    "WRONGTYPE": "the key is not a stream: choose another prefix",
    "MOVED": "the keys are on several servers of a cluster: choose a prefix such as {sse}:",
    "READONLY": "it is a replica, which accepts no events: connect to the master",
    "CROSSSLOT": "in a cluster all keys must have one hash tag: choose a prefix such as {sse}:",
}

#: The same for errors whose code says nothing, by how they begin.
BEGINNINGS = {
    "ERR AUTH <password> called without any password": "it has no password: remove yours",
    "ERR unknown command 'SENTINEL'": "it is not a Sentinel",
    "ERR unknown command `SENTINEL`": "it is not a Sentinel",
}

#: How Redis before 7 says which error a command in a script has got.
IN_SCRIPT = re.compile(r"ERR Error running script .*?: -([A-Z]+) ")


class Unanswered(Exception):
    """
    A request was not answered.

    @ivar wasSent: whether it was sent, so that it may have been carried out.
    @ivar why: what is the matter.
    """

    def __init__(self, wasSent: bool, why: str) -> None:
        super().__init__(wasSent, why)
        self.wasSent = wasSent
        self.why = why

    def __str__(self) -> str:
        return self.why


class Refused(Exception):
    """
    The server has refused something.  The text is for people.

    @ivar isFinal: whether it will always do so.
    """

    def __init__(self, why: str, isFinal: bool = False) -> None:
        super().__init__(why)
        self.isFinal = isFinal


class Moved(Exception):
    """
    Another server of a cluster has the keys.

    @ivar host: its name or address; empty for the one that says so.
    @ivar port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"the keys are on {host}:{port}")
        self.host = host
        self.port = port


def kindOf(error: ReplyError) -> str:
    """
    @return: the first word of an error, which is a code; of one in a script, that of the command.
    """
    text = str(error)
    found = IN_SCRIPT.match(text)
    return text.partition(" ")[0] if found is None else found[1]


def isPassing(reply: object) -> bool:
    """
    @return: whether a reply says that nothing was done, and that it can be tried again.
    """
    return isinstance(reply, ReplyError) and kindOf(reply) in PASSING


def isFinal(error: ReplyError) -> bool:
    """
    @return: whether an error stays until the URL, the key or the permissions are changed.
    """
    return kindOf(error) in FINAL


def checked(reply: Any) -> Any:
    """
    @return: a reply that is not an error.
    @raise Refused: if it is one.
    @raise Moved: if it says which server has the key.
    """
    if isinstance(reply, ReplyError):
        moved = movedTo(reply)
        if moved is not None:
            raise Moved(*moved)
        raise Refused(said(reply), isFinal(reply))
    return reply


def movedTo(error: ReplyError) -> tuple[str, int] | None:
    """
    @return: which server of a cluster has the key; L{None} if the error does not say so.
    """
    words = str(error).split()
    if words[:1] != ["MOVED"] or len(words) != 3:
        return None
    host, _, port = words[2].rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else None


def said(error: ReplyError, password: str = "") -> str:
    """
    Tell people what an error says.

    @param password: is left out.  Some servers repeat a command that they do not know: Redis the
        beginning of its arguments.
    """
    text, kind = str(error), kindOf(error)
    if kind in MEANINGS:
        return f"{MEANINGS[kind]} ({kind})"
    for beginning, meaning in BEGINNINGS.items():
        if text.startswith(beginning):
            return meaning
    return text.replace(password, "***").partition(", with args")[0] if password else text
