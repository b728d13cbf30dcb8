"""
The daemon's Mercure hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from ..channel.channel import Channel
from ..checks import InvalidOption
from ..hub.refused import Refused
from ..store.memory import History
from .mercureoptions import FROM_ENVIRONMENT, WELL_KNOWN
from .options import RENAMED, Options
from .site import MOST_PUBLISHED

if TYPE_CHECKING:
    from twisted.web.server import Request

    from ..hub.mercure.hub import Hub

__all__ = ["MOST_UNDECIDED", "Admission", "checkHub", "makeHub"]

#: How many large bodies are kept before it is known whether their senders may publish, because keys
#: are being fetched: anybody can send a token with an unknown key.
MOST_UNDECIDED = 16

#: The options for the arguments that have another name there.
_OPTIONS = {
    **RENAMED,
    "publisherJwtKey": "publisher-jwt-key",
    "subscriberJwtKey": "subscriber-jwt-key",
    "trustedIssuers": "trusted-issuer",
    "resourceIdentifier": "resource-identifier",
    "publishOrigins": "publish-origin",
    "cookieNames": "cookie-name",
}


def makeHub(options: Options, channel: Channel, reactor: Any, **arguments: Any) -> Hub:
    """
    Make the hub that the options ask for.

    @param arguments: those of its resource.
    @raise UsageError: if an option of the hub cannot be used.
    """
    try:
        from ..hub.mercure.hub import Hub
        from ..hub.mercure.keys import ALGORITHMS
    except ImportError as e:
        raise UsageError(f"--mercure needs pip install 'twisted-sse[hub]': {e}") from e
    for name in FROM_ENVIRONMENT:
        if name.endswith("-alg") and options[name] not in (None, *ALGORITHMS):
            raise UsageError(
                f"{options.given[name]} is {options[name]!r}: it must be one of"
                f" {', '.join(ALGORITHMS)}"
            )
    # The hub always lets them be sent, if the origins are named.
    arguments.pop("credentials", None)
    resource = options["resource-identifier"]
    isURL = resource is not None and resource.endswith(f"://{_host(resource)}{WELL_KNOWN}")
    try:
        return Hub(
            channel,
            publisherJwtKey=options["publisher-jwt-key"],
            publisherJwtAlg=options["publisher-jwt-alg"],
            subscriberJwtKey=options["subscriber-jwt-key"],
            subscriberJwtAlg=options["subscriber-jwt-alg"],
            jwks=options["jwks"],
            trustedIssuers=options["trusted-issuer"],
            resourceIdentifier=resource,
            url=resource if isURL else f"https://localhost{WELL_KNOWN}",
            anonymous=bool(options["anonymous"]),
            publishOrigins=options["publish-origin"],
            cookieNames=dict(options["cookie-name"]),
            protocols=options.protocols,
            presence=bool(options["presence"]),
            maxBody=MOST_PUBLISHED,
            explain=bool(options["explain"]),
            maxLifetime=options["max-lifetime"],
            unauthorized=bool(options["unauthorized"]),
            reactor=reactor,
            **arguments,
        )
    except InvalidOption as e:
        raise UsageError(f"{_said(options, e.name)} {e.why}") from e


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _said(options: Options, name: str) -> str:
    """
    @param name: the name of an argument.
    @return: the option, or the variable in the environment, that it is from.
    """
    option = _OPTIONS.get(name, name)
    return options.given.get(option, f"--{option}")


def checkHub(options: Options, reactor: Any) -> None:
    """
    Check what the options say of the hub, where no hub is made.

    @raise UsageError: if an option of the hub cannot be used.
    """
    if options.hub is not None:
        makeHub(options, Channel(History(maxEvents=1), reactor=reactor), reactor).close()


class Admission:
    """
    Decides whether a large body is kept.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._undecided = 0

    def check(self, request: Request) -> Deferred[None]:
        """
        Find out whether a request may publish: see L{SmallSite.check
        <twisted_sse.daemon.site.SmallSite>}.
        """
        admitting = self._hub.admit(request)
        if admitting.called:
            return admitting
        if self._undecided >= MOST_UNDECIDED:
            # The hub asks again when the request is whole.
            admitting.addErrback(_ignoreRefusal)
            return fail(Refused(503, "too many publishers are waiting for keys: try again later"))
        self._undecided += 1
        return admitting.addBoth(self._decided)

    def _decided(self, outcome: Any) -> Any:
        self._undecided -= 1
        return outcome


def _ignoreRefusal(failure: Failure) -> None:
    failure.trap(Refused)
