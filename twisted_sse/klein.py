"""
Klein routes that are event streams.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, cast, overload

from klein.interfaces import IKleinRequest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.error import Error, PageRedirect
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from .server.resource import EventStreamResource

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["EventStreamRoute", "eventStream"]

_P = ParamSpec("_P")

_Events = AsyncIterable[Any] | Iterable[Any] | Coroutine[Any, Any, Any]


class EventStreamRoute(Protocol[_P]):
    """
    What L{eventStream} makes of a function: a function of the same arguments, for Klein.

    @since: 0.2
    """

    __name__: str

    resource: EventStreamResource
    """The resource that answers, with C{streams}, C{drain} and C{disconnect}."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[IResource] | IResource:
        """
        Answer a request.
        """

    def __get__(self, instance: Any, owner: Any = None, /) -> EventStreamRoute[...]:
        """
        Bind a method.
        """


@overload
def eventStream(function: Callable[_P, _Events], /) -> EventStreamRoute[_P]: ...


@overload
def eventStream(
    **options: Any,
) -> Callable[[Callable[_P, _Events]], EventStreamRoute[_P]]: ...


def eventStream(function: Any = None, /, **options: Any) -> Any:
    """
    Turn a function that yields events into a Klein route::

        @app.route("/ticks")
        @eventStream(heartbeat=15)
        async def ticks(request):
            while True:
                yield Event("tick")
                await deferLater(reactor, 1)

    The function, or method, may be an asynchronous generator, a generator, or a coroutine whose
    result is anything that C{connected} of an L{EventStreamResource} may return; in a coroutine,
    C{EventStream.of(request)} is the stream.  An exception before the headers are sent goes to the
    error handlers of the app.

    Every HTTP method that Klein routes here is answered.  The function's attribute C{resource} is
    the L{EventStreamResource}, with C{streams} and C{drain}.

    @param options: the options of L{EventStreamResource}, except C{methods}.
    @raise TypeError: if the function is of another kind.

    @since: 0.2
    """
    if function is None:
        return lambda function: eventStream(function, **options)
    if not (
        isasyncgenfunction(function)
        or isgeneratorfunction(function)
        or iscoroutinefunction(function)
    ):
        raise TypeError(
            f"{function!r} is not an event stream: it must be an asynchronous "
            "generator function, a generator function or a coroutine function (and "
            "@app.route comes above)"
        )
    if "methods" in options:
        raise TypeError("methods must be set on the route: @app.route(.., methods=[..])")
    resource = EventStreamResource(lambda stream: function(stream.request), **options)

    @wraps(function)
    def route(*args: Any, **kwargs: Any) -> Deferred[IResource] | IResource:
        # Klein passes a function the request, and a method its object and the request.
        request = cast("Request", next(filter(IRequest.providedBy, args)))
        answered = resource.answer(request, lambda _: function(*args, **kwargs), _methods(request))
        if answered is None:
            return _ANSWERED
        return answered.addCallbacks(lambda _: _ANSWERED, _forKlein, errbackArgs=(request,))

    route.resource = resource  # type: ignore[attr-defined]
    return route


def _methods(request: Request) -> tuple[bytes, ...]:
    """
    Find the methods that are answered with a stream: those that Klein routes here.
    """
    method: bytes = request.method
    if method == b"HEAD":
        return (b"GET",)
    if method != b"OPTIONS":
        return (method,)
    # Another route may have other methods of the same path, which are not for this one to allow.
    asked = request.getHeader(b"access-control-request-method")
    if asked in (None, b"", b"HEAD", b"OPTIONS"):
        asked = b"GET"
    mapper = IKleinRequest(request).mapper
    here, _ = mapper.match()
    # Without methods a route has all of them, and none is listed.
    listed = sorted(mapper.allowed_methods()) or [asked.decode("ascii", "replace")]
    return tuple(
        method.encode("ascii", "replace")
        for method in listed
        if method not in ("HEAD", "OPTIONS") and _endpoint(mapper, method) == here
    )


def _endpoint(mapper: MapAdapter, method: str) -> object:
    """
    @return: what the path of a request leads to with another method; L{None} for nothing.
    """
    try:
        return mapper.match(method=method)[0]
    except HTTPException:
        return None


class _Answered(Resource):
    """
    Tells Klein that the request is being answered.
    """

    isLeaf = True

    def render(self, request: IRequest) -> int:
        return NOT_DONE_YET


_ANSWERED = _Answered()  # type: ignore[no-untyped-call]


class _StatusError(Error, HTTPException):  # type: ignore[misc]
    """
    A L{twisted.web.error.Error} that Klein answers with its status, not 500, if the app has no
    handler for it.
    """

    def __init__(self, error: Error) -> None:
        Error.__init__(self, error.status, error.message, error.response)
        self.code = int(error.status)
        text = error.response or error.message or b""
        HTTPException.__init__(self, text.decode("utf-8", "replace"))


def _forKlein(failure: Failure, request: Request) -> Failure:
    """
    Prepare an error for Klein's error handlers.
    """
    error = failure.value
    if type(error) not in (Error, PageRedirect):
        # The application's own subclass, for which it has a handler.
        return failure
    if isinstance(error, PageRedirect) and error.location is not None:
        request.setHeader(b"location", error.location)
    return Failure(_StatusError(cast(Error, error)))
