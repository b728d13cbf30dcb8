"""
The tokens of the option C{--publish-token}.
"""

from __future__ import annotations

from twisted.python.usage import UsageError

from ..checks import InvalidOption
from ..hub.bearer import Tokens

__all__ = ["readTokens"]


def readTokens(description: str) -> list[str]:
    """
    Read the tokens that a value of C{--publish-token} names: each line of the file is one.

    @param description: C{file:PATH}.
    @return: the tokens, at least one.
    @raise UsageError: if there is none, or the file cannot be read.  It shows no token.
    """
    kind, _, path = description.partition(":")
    if kind != "file" or not path:
        # It may be the token itself.
        raise UsageError(
            "--publish-token must be file:PATH, a file with a token on each line: "
            "every user of this machine can see the command line"
        )
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError as e:
        raise UsageError(f"--publish-token {description}: {e.strerror}") from e
    tokens = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            Tokens([line])
        except InvalidOption as e:
            raise UsageError(
                f"--publish-token {description}: line {number} is not a token: it "
                "must be letters, digits and -._~+/"
            ) from e
        tokens.append(line)
    if not tokens:
        raise UsageError(
            f"--publish-token {description}: it contains no token; this makes one:"
            " python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return tokens
