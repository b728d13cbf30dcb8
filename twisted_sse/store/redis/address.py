"""
Where a Redis server is.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ...checks import InvalidOption

__all__ = ["Address", "readAddress", "readPassword"]

#: What a URL may look like, for errors.
EXAMPLES = (
    "redis://localhost:6379/0, rediss://user:password@example.com (TLS), unix:///run/redis.sock,"
    " or redis+sentinel://host1,host2/service"
)

#: The ports of servers and of Sentinels.
PORT = 6379
SENTINEL_PORT = 26379

#: The parameters that a URL may have: where redis-py has one, too, it has the same name, which other
#: programs have taken over.
PARAMETERS = (
    "db",
    "password_file",
    "prefix",
    "sentinel_password",
    "sentinel_password_file",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
)

#: Those that no log may show.
SECRET = frozenset(("sentinel_password",))


class Address(NamedTuple):
    """
    Where a server is, and how to log in.

    @ivar text: the URL without passwords.
    @ivar hosts: the hosts and ports: one, or those of the Sentinels.
    @ivar path: the path of a UNIX socket; empty for TCP.
    @ivar isTLS: whether the connection is encrypted.
    @ivar user: the name of the user; empty for the default user.
    @ivar password: the password; empty for none.
    @ivar passwordFile: the name of a file with the password; empty for none.
    @ivar database: the number of the database.
    @ivar service: the name by which the Sentinels know the server; empty without Sentinels.
    @ivar sentinelPassword: the password of the Sentinels; empty for none.
    @ivar sentinelPasswordFile: the name of a file with that password; empty for none.
    @ivar authorities: the name of a file with the certificates of trusted authorities; empty for
        those of the system.
    @ivar certificate: the name of a file with our certificate; empty for none.
    @ivar key: the name of a file with its key; empty if it is in the same file.
    @ivar prefix: what the keys begin with; empty if the URL does not say.
    """

    text: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    isTLS: bool = False
    user: str = ""
    password: str = ""
    passwordFile: str = ""
    database: int = 0
    service: str = ""
    sentinelPassword: str = ""
    sentinelPasswordFile: str = ""
    authorities: str = ""
    certificate: str = ""
    key: str = ""
    prefix: str = ""

    def __repr__(self) -> str:
        """
        Leave out the passwords: tools that report errors show what variables have.
        """
        return f"<Address {self.text}>"


def readAddress(url: str) -> Address:
    """
    Read a URL::

        redis://[[USER]:PASSWORD@]HOST[:6379][/DATABASE]
        rediss://...                                                with TLS
        unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]
        redis+sentinel://[[USER]:PASSWORD@]HOST[:26379][,HOST...]/SERVICE[/DATABASE]
        rediss+sentinel://...                                       with TLS

    Parameters may follow: C{?NAME=VALUE&NAME=VALUE}.

    @raise ValueError: if it is none.  The error contains no password.
    """
    if not isinstance(url, str):
        # It may have a password all the same.
        raise TypeError(f"url is of type {type(url).__name__}: it must be a str such as {EXAMPLES}")
    # A password that is not quoted may contain anything.
    text = _hidden(url)
    if not url.isprintable() or " " in url:
        raise _wrong(text, "it must not contain spaces, line breaks or control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its text has the whole URL.
        raise _wrong(text, f"it must be like {EXAMPLES}") from None
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _wrong(text, "after the ? it must be NAME=VALUE&NAME=VALUE") from None
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise _wrong(text, "a parameter is given twice")
    scheme, _, kind = parts.scheme.partition("+")
    if (scheme, kind) not in (
        ("redis", ""),
        ("rediss", ""),
        ("unix", ""),
        ("redis", "sentinel"),
        ("rediss", "sentinel"),
    ):
        raise _wrong(text, f"it must be like {EXAMPLES}")
    if parts.fragment:
        raise _wrong(text, "a # in a password must be written %23")
    if not parameters.keys() <= set(PARAMETERS):
        raise _wrong(text, f"the only parameters are {', '.join(PARAMETERS)}")
    login, at, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    inFile = parameters.get("password_file", "")
    if at and not (password or inFile):
        raise _wrong(text, "before the @ it must be USER:PASSWORD, or :PASSWORD")
    theirs = parameters.get("sentinel_password", "")
    theirsInFile = parameters.get("sentinel_password_file", "")
    if (password and inFile) or (theirs and theirsInFile):
        raise _wrong(text, "a password is given twice")
    shownLogin = f"{user}{':***' if password else ''}@" if at else ""
    path, service, database = "", "", ""
    if scheme == "unix":
        path = unquote(parts.path)
        if place or not path:
            raise _wrong(text, "it must be unix:///PATH, with three slashes")
    elif kind:
        service, _, database = parts.path[1:].partition("/")
        if not service:
            raise _wrong(text, "the name of the service must follow, such as /mymaster")
    else:
        database = parts.path[1:]
    return Address(
        text=f"{parts.scheme}://{shownLogin}{place}{parts.path}"
        + "?" * bool(pairs)
        + "&".join([f"{name}={'***' if name in SECRET else value}" for name, value in pairs]),
        hosts=() if scheme == "unix" else _readHosts(text, place, bool(kind)),
        path=path,
        isTLS=scheme == "rediss",
        user=unquote(user),
        password=unquote(password),
        passwordFile=inFile,
        database=_readDatabase(text, database, parameters.get("db", "")),
        service=unquote(service),
        sentinelPassword=theirs,
        sentinelPasswordFile=theirsInFile,
        authorities=parameters.get("ssl_ca_certs", ""),
        certificate=parameters.get("ssl_certfile", ""),
        key=parameters.get("ssl_keyfile", ""),
        prefix=parameters.get("prefix", ""),
    )


def readPassword(password: str, path: str) -> str:
    """
    Find a password.

    @param password: the password itself; empty if it is in a file.
    @param path: the name of the file; a line break at its end does not count; empty for
        none.
    @return: the password; empty for none.
    @raise OSError: if the file cannot be read.
    """
    if not path:
        return password
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip("\r\n")


def _readHosts(text: str, place: str, isSentinel: bool) -> tuple[tuple[str, int], ...]:
    hosts = []
    for each in place.split(","):
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+))(?::([0-9]{1,5}))?", each)
        port = int(found[3] or (SENTINEL_PORT if isSentinel else PORT)) if found else 0
        if found is None or not 0 < port < 2**16:
            raise _wrong(text, "it must name a host, and a port from 1 to 65535 may follow")
        hosts.append((found[1] or unquote(found[2]), port))
    if len(hosts) > 1 and not isSentinel:
        raise _wrong(text, "it must name one host: only redis+sentinel:// takes several")
    return tuple(hosts)


def _readDatabase(text: str, inPath: str, inQuery: str) -> int:
    if inPath and inQuery and inPath != inQuery:
        raise _wrong(text, "the database is given twice")
    database = inPath or inQuery or "0"
    if not re.fullmatch("[0-9]{1,5}", database, re.ASCII):
        raise _wrong(text, "the database must be a number, such as 0")
    return int(database)


def _hidden(url: str) -> str:
    """
    Leave out of a URL whatever may be a password, even if it is not a URL.
    """
    start, _, end = url.rpartition("@")
    if start:
        scheme, mark, _ = start.partition("://")
        url = f"{scheme if mark else ''}{mark}***@{end}"
    else:
        # Text that is not a port may be a password, too: the @ is missing.
        url = re.sub(r"(://[^/:\[]*:)(?!\d{1,5}(?:[/,?]|$))[^/?]*", r"\1***", url)
    known = "|".join(set(PARAMETERS) - SECRET)
    return re.sub(rf"([?&])(?!(?:{known})=)([^=&]*)=[^&]*", r"\1\2=***", url)


def _wrong(text: str, why: str) -> InvalidOption:
    return InvalidOption("url", f"is {text!r}: {why}")
