"""
Bearer tokens: RFC 6750.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..checks import InvalidOption, checkList
from .refused import Refused

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Tokens"]

#: RFC 6750, 2.1: C{b64token}.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)

#: RFC 6750, 3: the scheme alone if there is no token at all.
CHALLENGE = b"Bearer"


class Tokens:
    """
    The tokens of those who may do something.  They are secrets, and never shown.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        """
        @raise InvalidOption: if one of them could not be sent.
        @raise TypeError: if they are not a list of C{str}.
        """
        checked = checkList("tokens", tokens, "tokens")
        for token in checked:
            if not isinstance(token, str):
                raise TypeError("tokens must be a list of str, and has something else")
            if not _TOKEN.fullmatch(token):
                raise InvalidOption(
                    "tokens",
                    "has a token that is empty or contains invalid characters (RFC "
                    "6750, 2.1): it must be letters, digits and -._~+/, perhaps with "
                    "= at its end",
                )
        self._tokens = [token.encode("ascii") for token in checked]

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def check(self, request: Request) -> bool:
        """
        Check the token of a request.

        @return: whether it has one; not if it has no C{Authorization}, or one of another scheme.
        @raise Refused: if it is not one of these.
        """
        values = request.requestHeaders.getRawHeaders(b"authorization")
        if values is None:
            return False
        if len(values) > 1:
            raise Refused(
                400,
                "there are several Authorization headers: send only one",
                {b"www-authenticate": CHALLENGE + b' error="invalid_request"'},
            )
        scheme, _, token = values[0].partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        token = token.strip(b" ")
        # All of them, so that the time tells nothing.
        found = [hmac.compare_digest(token, each) for each in self._tokens]
        if True not in found:
            raise Refused(
                401,
                "the token is not valid: send one that may publish, as Authorization: Bearer TOKEN",
                {b"www-authenticate": CHALLENGE + b' error="invalid_token"'},
            )
        return True

    def ask(self) -> Refused:
        """
        @return: what asks for a token.
        """
        return Refused(
            401,
            "publishing needs a token: send it as Authorization: Bearer TOKEN",
            {b"www-authenticate": CHALLENGE},
        )
