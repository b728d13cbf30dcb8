"""
The option C{--auth}: who may read.
"""

from __future__ import annotations

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.python import usage

__all__ = ["AuthOptions"]


class AuthOptions(usage.Options, AuthOptionMixin):
    """
    Twisted's option C{--auth}, with errors that name it, and with files and passwords in memory
    that work over HTTP.
    """

    supportedInterfaces = (IUsernamePassword,)

    def opt_auth(self, description: str) -> None:
        """
        who may read: file:PATH with lines name:password, memory:name:password, or what
        --help-auth lists; may be repeated
        """
        kind, _, path = description.partition(":")
        if kind == "file":
            try:
                _checkPasswords(path)
            except OSError as e:
                raise usage.UsageError(f"--auth {description}: {e.strerror}") from e
            except ValueError as e:
                raise usage.UsageError(f"--auth {description}: {e}") from e
        try:
            super().opt_auth(description)  # type: ignore[no-untyped-call]
        except usage.UsageError as e:
            # Not the whole description: with memory: it has a password in it.
            raise usage.UsageError(f"--auth {kind}: {e}: see --help-auth") from e
        checker = self["credCheckers"][-1]
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # Its plugin keeps text, but clients send bytes: without this, no login would succeed.
            checker.users = {_encoded(name): _encoded(it) for name, it in checker.users.items()}


def _checkPasswords(path: str) -> None:
    """
    Check a file of passwords.

    @raise OSError: if it cannot be read.
    @raise ValueError: if it has no password, or a line that Twisted would misread.
    """
    with open(path, "rb") as file:
        lines = file.readlines()
    for number, line in enumerate(lines, 1):
        # Twisted would take the text before the second colon for the password.
        if line.count(b":") > 1:
            raise ValueError(
                f"line {number} has more than one colon: it must be name:password, "
                "with no colon in either"
            )
    if not any(b":" in line for line in lines):
        raise ValueError("it contains no line name:password")


def _encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
