"""
The system's limit on the daemon's open files.
"""

from __future__ import annotations

from twisted.logger import Logger

__all__ = ["connectionLimit", "raiseFileLimit"]

#: How far the limit on open files is raised: the most that Linux allows by default
#: (C{fs.nr_open}).  "Unlimited" is more than there can be.
MOST_FILES = 2**20

#: If fewer files than this may be open, that is logged at the start.
FEW_FILES = 4096

#: How many connections may wait for a request at most, by default: enough for all clients that
#: reconnect at once after a restart, and with 16 KiB of a head from each still no more than 300 MB.
MOST_WAITING = 10_000

_log = Logger()


def raiseFileLimit() -> int | None:
    """
    Raise the soft limit on open files as far as the process may.

    @return: how many streams the limit is enough for; L{None} if that is not known.  Some files
        are reserved for connections that wait for a request or are asked to retry later, and for
        everything else.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        soft = _raiseTo(most, soft, hard)
    elif soft == resource.RLIM_INFINITY:
        soft = MOST_FILES
    streams = max(1, soft - max(64, soft // 16))
    if soft < FEW_FILES:
        _log.warn(
            "The limit of {files} open files is enough for {streams} clients; raise it with"
            " ulimit -Hn, or LimitNOFILE= of systemd",
            files=soft,
            streams=streams,
        )
    return streams


def _raiseTo(most: int, soft: int, hard: int) -> int:
    """
    Raise the limit as far as the system permits: macOS has a limit of its own below "unlimited".

    @return: the soft limit then.
    """
    import resource

    while most > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return most
        except (OSError, ValueError):
            most //= 2
    return soft


def connectionLimit() -> int:
    """
    @return: how many connections may wait for a request by default.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover
        return MOST_WAITING
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_WAITING if soft == resource.RLIM_INFINITY else min(MOST_WAITING, soft)
