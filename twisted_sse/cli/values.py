"""
The values of options.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from typing import NoReturn

from ..client.place import NO_VALUE, TOKEN, Place, checkLastEventID, checkMethod
from ..printable import shown
from .status import Status

__all__ = [
    "Parser",
    "checkJSON",
    "header",
    "lastEventID",
    "method",
    "number",
    "read",
    "seconds",
    "text",
    "token",
    "url",
]

#: What no token contains (RFC 6750, 2.1).
NO_TOKEN = re.compile(rb"[^!-~]")


def read(name: str) -> bytes:
    """
    Read a file.

    @param name: its name, or C{"-"} for standard input.
    @raise ValueError: if it cannot be read.
    """
    isInput = name == "-"
    try:
        with open(0 if isInput else name, "rb", closefd=not isInput) as file:
            return file.read()
    except OSError as e:
        raise ValueError(e.strerror) from e


class Parser(argparse.ArgumentParser):
    """
    Reports an error in one line.
    """

    def error(self, message: str) -> NoReturn:
        """
        See L{argparse.ArgumentParser}.
        """
        self.exit(Status.USAGE, f"{self.prog}: {shown(message)}\n")


def number(text: str) -> int:
    """
    Read a number of something.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """
    Read a time.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, not {text!r}")
    return value


def url(text: str) -> str:
    """
    Check a URL.
    """
    try:
        Place(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(_whatElse(text) or str(e)) from e
    return text


def _whatElse(text: str) -> str | None:
    """
    @return: a suggestion for a URL that lacks its beginning; L{None} for another mistake.
    """
    try:
        Place(f"http://{text}")
    except ValueError:
        return None
    return None if "//" in text else f"{text!r} is not a URL: did you mean http://{text}?"


def method(text: str) -> str:
    """
    Read a method of HTTP.
    """
    try:
        checkMethod(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"must be an HTTP method such as GET, not {text!r}") from e
    return text.upper()


def header(text: str) -> tuple[bytes, bytes]:
    """
    Read a header of a request.
    """
    name, colon, value = os.fsencode(text).partition(b":")
    if not colon or not TOKEN.fullmatch(name) or NO_VALUE.search(value):
        raise argparse.ArgumentTypeError(f"must be a header 'Name: value', not {text!r}")
    return name, value.strip()


def lastEventID(text: str) -> str:
    """
    Check the ID of an event.
    """
    try:
        checkLastEventID(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"must be an event ID (without NUL or line breaks), not {text!r}"
        ) from e
    return text


def token(text: str) -> bytes:
    """
    Read a token: what is given, or the content of C{@FILE} or C{file:FILE}, so that the token is not
    in the list of processes.
    """
    name = next((text[len(each) :] for each in ("@", "file:") if text.startswith(each)), None)
    try:
        value = os.fsencode(text) if name is None else read(name).strip()
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{name}: {e}") from e
    # Without the token itself: it is a secret.
    if not value or NO_TOKEN.search(value):
        raise argparse.ArgumentTypeError(
            f"{'it' if name is None else name} must contain a single word"
        )
    return value


def text(given: str) -> str:
    """
    Check text.
    """
    try:
        given.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("it is not UTF-8") from None
    return given


def checkJSON(data: str) -> None:
    """
    Check JSON (RFC 8259).

    @raise ValueError: if it is none.
    """
    try:
        json.loads(data, parse_constant=_noConstant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _noConstant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
