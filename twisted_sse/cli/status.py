"""
How a command ends: its exit status, and its messages on standard error.
"""

from __future__ import annotations

import sys
from enum import IntEnum

from ..client.errors import (
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    GaveUp,
    ReadTimeout,
)
from ..format.parser import EventTooLarge
from ..printable import shown

__all__ = ["Status", "say", "statusFor", "tell", "tellTrying"]


class Status(IntEnum):
    """
    The exit statuses.  Besides these, a command exits with 128 and the signal's number after SIGINT
    and SIGTERM, as a shell reports it.
    """

    ENDED = 0
    FAILED = 1
    #: The same as argparse's.
    USAGE = 2
    NO_STREAM = 3
    #: The same, to C{publish}.
    REFUSED = 3
    CERTIFICATE = 4
    TIMEOUT = 5


def statusFor(error: Exception) -> Status:
    """
    @return: the exit status after an error.
    """
    if isinstance(error, GaveUp):
        return statusFor(error.lastError)
    if isinstance(error, ReadTimeout):
        return Status.TIMEOUT
    if isinstance(error, BadCertificate):
        return Status.CERTIFICATE
    if isinstance(error, (BadStatus, BadContentType, BadRedirect, EventTooLarge)):
        return Status.NO_STREAM
    return Status.FAILED


def tell(text: str) -> Status:
    """
    Write a text to standard output.  Characters that it cannot have are escaped.

    @return: L{Status.FAILED} if that failed, which has been reported then.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError as e:
        say(f"standard output: {e.strerror}")
        return Status.FAILED
    return Status.ENDED


def say(message: object) -> None:
    """
    Write a message to standard error, in one line.
    """
    line = shown(" ".join(str(message).split()).rstrip("."))
    try:
        sys.stderr.write(f"twisted-sse: {line}\n")
        sys.stderr.flush()
    except (AttributeError, OSError):
        # Standard error is closed: there is nowhere to report that.
        pass


def tellTrying(error: Exception) -> None:
    """
    Report an error after which the client tries again.
    """
    say(f"{str(error).rstrip('.')}; retrying")
