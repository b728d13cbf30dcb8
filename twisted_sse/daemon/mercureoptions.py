"""
The options of the daemon that are for its Mercure hub.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from twisted.python.usage import UsageError

from .auth import AuthOptions
from .values import secondsOrOff

__all__ = ["FROM_ENVIRONMENT", "METADATA", "WELL_KNOWN", "MercureOptions"]

#: Where the hub is: clients of 0.x expect it there.
WELL_KNOWN = "/.well-known/mercure"

#: Where clients of 1.0 find out what it wants: RFC 9728, 3.1.
METADATA = f"/.well-known/oauth-protected-resource{WELL_KNOWN}"

#: The options that Mercure's own variables in the environment give as well.
FROM_ENVIRONMENT = {
    "publisher-jwt-key": "MERCURE_PUBLISHER_JWT_KEY",
    "publisher-jwt-alg": "MERCURE_PUBLISHER_JWT_ALG",
    "subscriber-jwt-key": "MERCURE_SUBSCRIBER_JWT_KEY",
    "subscriber-jwt-alg": "MERCURE_SUBSCRIBER_JWT_ALG",
}

#: The options that have no effect if there is no hub.
_FOR_HUB = (
    *FROM_ENVIRONMENT,
    *("jwks", "trusted-issuer", "resource-identifier", "publish-origin"),
    *("anonymous", "presence", "mercure-protocol", "explain"),
    *("cookie-name", "max-lifetime", "unauthorized"),
)

#: The versions of the protocol.
OLD, NEW = PROTOCOLS = ("0.x", "1.0")


def _protocols(text: str) -> tuple[str, ...]:
    """
    Read C{--mercure-protocol}.
    """
    given = tuple(each.strip() for each in text.split(","))
    if not set(given) <= set(PROTOCOLS) or len(set(given)) < len(given):
        raise UsageError(f"--mercure-protocol is {text!r}: it must be 0.x, 1.0 or 0.x,1.0")
    return given


class MercureOptions(AuthOptions):
    """
    The options of the hub.

    @ivar given: how each was given: as an option, or as a variable in the environment.
    """

    optFlags: list[list[Any]] = [
        ["mercure", None, f"a Mercure hub at {WELL_KNOWN}"],
        ["anonymous", None, "the hub: let clients without a token subscribe to public updates"],
        [
            "presence",
            None,
            "the hub: report subscriptions, by events and a list, to subscribers that may know",
        ],
        ["explain", None, "the hub: explain refusals to clients, not only in the log"],
        [
            "unauthorized",
            None,
            "the hub: in 0.x, answer 401 instead of 403 if a topic is not granted",
        ],
    ]

    optParameters: list[list[Any]] = [
        [
            "publisher-jwt-key",
            None,
            None,
            "the hub: key for 0.x tokens that publish: file:PATH, a secret, or PEM",
        ],
        [
            "publisher-jwt-alg",
            None,
            None,
            "the hub: its algorithm (if not given, the usual one for the key, such as HS256)",
        ],
        [
            "subscriber-jwt-key",
            None,
            None,
            "the hub: key for 0.x tokens that subscribe: file:PATH, a secret, or PEM",
        ],
        ["subscriber-jwt-alg", None, None, "the hub: its algorithm"],
        [
            "jwks",
            None,
            None,
            "the hub: JWK set instead of these keys: its URL, or file:PATH",
        ],
        [
            "resource-identifier",
            None,
            None,
            "the hub: what the aud of 1.0 tokens must contain, usually the URL of the hub",
        ],
        [
            "mercure-protocol",
            None,
            None,
            "the hub: versions of the protocol: 0.x, 1.0 or 0.x,1.0 (both if not given)",
            _protocols,
        ],
        [
            "max-lifetime",
            None,
            None,
            "the hub: end each stream after SECONDS, so that its client sends a new token; or off",
            secondsOrOff("max-lifetime"),
        ],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["trusted-issuer"] = []
        self["publish-origin"] = []
        self["cookie-name"] = []

    def opt_trusted_issuer(self, description: str) -> None:
        """
        the hub: an issuer of 1.0 tokens, and its keys: ISSUER=KEY, ISSUER=file:PATH, or ISSUER=URL of
        a JWK set; may be repeated
        """
        self["trusted-issuer"].append(description)

    def opt_publish_origin(self, origin: str) -> None:
        """
        the hub: origin whose pages may publish with a cookie, such as https://example.com, or
        https://*.example.com for all hosts below one; may be repeated
        """
        self["publish-origin"].append(origin)

    def opt_cookie_name(self, description: str) -> None:
        """
        the hub: 0.x=NAME or 1.0=NAME: the name of the cookie with a token, if it is not that of the
        protocol; may be repeated
        """
        protocol, mark, name = description.partition("=")
        if not mark:
            raise UsageError(f"--cookie-name is {description!r}: it must be 0.x=NAME or 1.0=NAME")
        if protocol in dict(self["cookie-name"]):
            raise UsageError(f"--cookie-name: given twice for {protocol}")
        self["cookie-name"].append((protocol, name))

    def checkHub(self) -> None:
        """
        Check the options of the hub, as far as that needs no key.

        @raise UsageError: if one has no effect, or no client could publish or subscribe.
        """
        if not self["mercure"]:
            for name in _FOR_HUB:
                if self[name] not in (None, 0, []):
                    raise UsageError(f"--{name} only applies to a hub: add --mercure")
            return
        self.given = {name: f"--{name}" for name in _FOR_HUB}
        for name, variable in FROM_ENVIRONMENT.items():
            # Containers are often given variables without a value.
            if self[name] is None and os.environ.get(variable):
                self[name] = os.environ[variable]
                self.given[name] = variable
        for use in "publisher", "subscriber":
            self._checkKey(use)
        self._checkUsed()
        hasKeys = bool(self["jwks"] or self["trusted-issuer"])
        if not (hasKeys or self["publisher-jwt-key"]):
            raise UsageError(
                "--mercure: publishing needs a key: add --publisher-jwt-key "
                "file:PATH, --jwks or --trusted-issuer"
            )
        if not (hasKeys or self["subscriber-jwt-key"] or self["anonymous"]):
            raise UsageError(
                "--mercure: subscribing needs a key or --anonymous: add "
                "--subscriber-jwt-key file:PATH, or --anonymous to let every client "
                "read public updates"
            )

    def _checkKey(self, use: str) -> None:
        key, algorithm = f"{use}-jwt-key", f"{use}-jwt-alg"
        if self[algorithm] is not None and self[key] is None and self["jwks"] is None:
            raise UsageError(f"{self.given[algorithm]} is the algorithm of a key: add --{key}")

    def _checkUsed(self) -> None:
        """
        Refuse keys that would never be used.
        """
        keys = [name for name in ("publisher-jwt-key", "subscriber-jwt-key") if self[name]]
        if self["jwks"] is not None and len(keys) == 2:
            raise UsageError(
                f"--jwks has no effect, since {self.given[keys[0]]} and {self.given[keys[1]]} are given"
            )
        protocols = self.protocols
        for name in (*keys, "jwks"):
            if self[name] is not None and OLD not in protocols:
                raise UsageError(
                    f"{self.given[name]} only applies to 0.x tokens, which "
                    "--mercure-protocol leaves out: 1.0 tokens need --trusted-issuer"
                )
        if self["unauthorized"] and OLD not in protocols:
            raise UsageError(
                "--unauthorized only applies to 0.x tokens, which --mercure-protocol leaves out"
            )
        for name in "trusted-issuer", "resource-identifier":
            if self[name] and NEW not in protocols:
                raise UsageError(
                    f"--{name} only applies to 1.0 tokens, which --mercure-protocol leaves out"
                )

    @property
    def protocols(self) -> tuple[str, ...]:
        """
        The versions of the protocol that the hub speaks.
        """
        protocols: tuple[str, ...] = self["mercure-protocol"] or PROTOCOLS
        return protocols

    def shownSecrets(self) -> Iterator[str]:
        """
        @return: the options with a secret that everybody on this machine can see.
        """
        for name in "publisher-jwt-key", "subscriber-jwt-key":
            if self[name] and self.given[name].startswith("--") and _isSecret(self[name]):
                yield f"--{name}"
        if any(_isSecret(each.partition("=")[2]) for each in self["trusted-issuer"]):
            yield "--trusted-issuer"


def _isSecret(key: Any) -> bool:
    return not str(key).lower().startswith(("file:", "https:", "http:", "-----begin "))
