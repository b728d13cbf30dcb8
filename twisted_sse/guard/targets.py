"""
What a request is for: its method and its target.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BadTarget", "Target", "isMethod", "isTarget", "readTarget"]

#: RFC 9110, 5.6.2.
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: More than RFC 3986 allows, as browsers send some of the rest as it is.
_VISIBLE = re.compile(rb"[!-~]+")

#: RFC 9112, 3.2.2.
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE)


class BadTarget(ValueError):
    """
    The target of a request is malformed.
    """


class Target(NamedTuple):
    """
    The target of a request.

    @ivar host: the host, with its port if it was given; L{None} if the C{Host} header has it.
    @ivar uri: the path and the query, or C{b"*"}.
    """

    host: bytes | None
    uri: bytes


def isMethod(method: bytes) -> bool:
    """
    Whether this may be a method: RFC 9110, 9.1.
    """
    return _TOKEN.fullmatch(method) is not None


def isTarget(target: bytes) -> bool:
    """
    Whether this consists of what a target may consist of.
    """
    return _VISIBLE.fullmatch(target) is not None


def readTarget(target: bytes) -> Target:
    """
    Read the target of a request, in origin-form, absolute-form or asterisk-form: RFC 9112, 3.2.

    @raise BadTarget: if it is none of these.
    """
    if isTarget(target):
        if target.startswith(b"/") or target == b"*":
            return Target(None, target)
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            host, rest = absolute.groups()
            return Target(host, rest if rest.startswith(b"/") else b"/" + rest)
    raise BadTarget(target)
