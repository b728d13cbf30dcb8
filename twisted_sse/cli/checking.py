"""
What a Mercure hub is checked for: the points of its contract that can be seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit
from uuid import uuid4

from twisted.internet.error import ConnectionLost

from ..client.errors import EventSourceError
from ..client.failures import explained
from ..hub.mercure.dialect import Dialect
from .probing import PATIENCE, Answer, Differs, NotTried, Probe, Stream

__all__ = ["Checks", "Finding", "Outcome"]

#: The carriers of a token: headers.
Given = Sequence[tuple[str, str]]

#: Makes a token: what it may publish to and subscribe to, and for how many seconds it is good.
Mint = Callable[[Sequence[str], Sequence[str], int], str]

#: {"alg":"none"}, and that it may publish to everything.
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0."

#: An origin that no hub knows.
STRANGE = "https://stranger.invalid"


class Outcome(Enum):
    """
    What was found out.
    """

    OK = "ok"
    DIFFERS = "differs"
    NOT_TRIED = "not tried"


class Finding(NamedTuple):
    """
    What was found out about a point of the contract.

    @ivar seen: what was seen.
    """

    number: int
    outcome: Outcome
    seen: str


class Checks:
    """
    Checks a hub.
    """

    def __init__(
        self,
        probe: Probe,
        dialect: Dialect,
        publisher: str | None,
        subscriber: str | None,
        mint: Mint | None,
    ) -> None:
        """
        @param publisher: a token that may publish to everything; L{None} if there is none.
        @param subscriber: one that may get all private updates.
        @param mint: makes others; L{None} if there is no key.
        """
        self._probe = probe
        self._isOld = dialect is Dialect.V0
        self._publisher = publisher
        self._subscriber = subscriber
        self._mint = mint
        self._base = f"https://twisted-sse.invalid/{uuid4()}"

    async def run(self) -> list[Finding]:
        """
        Check everything.

        @return: what was found, by number.
        @raise Exception: if the hub cannot be reached.
        """
        findings = []
        for number in range(1, 25):
            check: Callable[[], Coroutine[Any, Any, str]] | None
            check = getattr(self, f"check{number:02}", None)
            outcome = Outcome.OK
            try:
                if check is None:
                    raise NotTried("not visible from outside")
                seen = await check()
            except NotTried as e:
                outcome, seen = Outcome.NOT_TRIED, str(e)
            except Differs as e:
                outcome, seen = Outcome.DIFFERS, str(e)
            except Exception as e:
                error = explained(e, True)
                # If it was there before, what breaks off is an answer of its own.
                if number == 1 or not isinstance(error, (EventSourceError, ConnectionLost)):
                    raise
                outcome, seen = Outcome.DIFFERS, str(error)
            finally:
                self._probe.closeStreams()
            findings.append(Finding(number, outcome, seen))
        return findings

    # Who asks

    def _reading(self) -> Given:
        return _bearer(self._subscriber) if self._subscriber else ()

    def _writing(self) -> Given:
        if self._publisher is None:
            raise NotTried("needs --publisher-token or --key")
        return _bearer(self._publisher)

    def _minted(self, publish: Sequence[str], subscribe: Sequence[str], seconds: int = 60) -> str:
        if self._mint is None:
            raise NotTried("needs --key")
        return self._mint(publish, subscribe, seconds)

    def _selecting(self, text: str) -> list[tuple[str, str]]:
        return [("topic" if self._isOld else "match", text)]

    async def _refused(self, answering: Coroutine[Any, Any, Any], *statuses: int) -> str:
        """
        @raise Differs: if the status is another.
        """
        status = (await answering).status
        if status not in statuses:
            expected = " or ".join(map(str, statuses))
            raise Differs(f"the status was {status}, not {expected}")
        return str(status)

    # The points

    async def check01(self) -> str:
        """
        An event stream at once.
        """
        stream = await self._probe.stream(self._selecting(self._base), self._reading())
        head = await self._probe.ask("HEAD", self._selecting(self._base), self._reading())
        if head.status != 200:
            raise Differs(f"GET was answered 200, and HEAD {head.status}")
        return f"GET and HEAD: 200, {stream.header('content-type')}"

    async def check02(self) -> str:
        """
        No selector, or one that is none.
        """
        seen = await self._refused(self._probe.ask("GET", [("x", "1")], self._reading()), 400)
        if not self._isOld:
            wrong = [("match", "a"), ("match_nothing", "a")], [("match_urlpattern", "(")]
            for each in (*wrong, [("match", "a\u200b")]):
                await self._refused(self._probe.ask("GET", each, self._reading()), 400)
        return f"{seen} without selectors"

    async def _sent(self, selecting: Sequence[tuple[str, str]], *topics: str) -> list[str]:
        """
        Publish about some topics, and last about the base.

        @return: the data that a subscriber gets, which are the topics.
        """
        selected = [*selecting, *self._selecting(self._base)]
        stream = await self._probe.stream(selected, self._reading())
        for topic in (*topics, self._base):
            await self._probe.publish(self._writing(), ("topic", topic), ("data", topic))
        await stream.until(lambda: self._base in [each.data for each in stream.events], "an update")
        return [each.data for each in stream.events][:-1]

    async def check03(self) -> str:
        """
        Parameters are forms.
        """
        topic = f"{self._base}/a b+c"
        if await self._sent(self._selecting(topic), topic) != [topic]:
            raise Differs("a topic with a space and a plus was not selected")
        return "a space and a plus in a topic are decoded like a form"

    async def check04(self) -> str:
        """
        What a selector matches.
        """
        one, deep = f"{self._base}/books/1", f"{self._base}/books/1/x"
        name, text = "topic", f"{self._base}/books/{{id}}"
        if not self._isOld:
            name, text = "match_urlpattern", f"{self._base}/books/:id"
        for selector, expected in (
            (self._selecting(one), [one]),
            ([(name, text)], [one]),
        ):
            got = await self._sent(selector, deep, one, one.upper())
            if got != expected:
                raise Differs(f"{selector[0][1]} selected {_short(got)}")
        return "an identical topic and a pattern match, others do not"

    async def check05(self) -> str:
        """
        Private updates.
        """
        writing = self._writing()
        if self._subscriber is None:
            raise NotTried("needs --subscriber-token or --key")
        selecting = self._selecting(self._base)
        reader = await self._probe.stream(selecting, self._reading())
        stranger = await self._probe.ask("GET", selecting)
        fields = ("topic", self._base), ("topic", f"{self._base}/other")
        await self._probe.publish(writing, *fields, ("data", "private"), ("private", "on"))
        await self._probe.publish(writing, *fields, ("data", "public"))
        if await reader.data(2) != ["private", "public"]:
            raise Differs(f"a permitted subscriber received {_short(await reader.data(2))}")
        if isinstance(stranger, Stream) and await stranger.data(1) != ["public"]:
            raise Differs("a subscriber without a token received a private update")
        return "only subscribers that may read private updates receive them" + (
            "" if isinstance(stranger, Stream) else "; subscribing requires a token"
        )

    async def check06(self) -> str:
        """
        The lines of an event.
        """
        stream = await self._probe.stream(self._selecting(self._base), self._reading())
        identifier = f"urn:uuid:{uuid4()}"
        fields = [("data", "a\nb\r\nc"), ("type", "t"), ("id", identifier), ("retry", "3000")]
        await self._probe.publish(self._writing(), ("topic", self._base), *fields)
        await stream.until(lambda: stream.events, "an update")
        [event] = stream.events
        if (event.type, event.data) != ("t", "a\nb\nc") or not event.lastEventID:
            raise Differs(f"the event was {event!r}")
        kept = "is kept" if event.lastEventID == identifier else "is replaced"
        return f"type and lines are unchanged; the ID of a publisher {kept}"

    async def _resumed(self, *headers: tuple[str, str], name: str = "", value: str = "") -> Stream:
        selecting = self._selecting(self._base)
        return await self._probe.stream(
            [*selecting, *([(name, value)] if name else [])], [*self._reading(), *headers]
        )

    async def check07(self) -> str:
        """
        Resuming.
        """
        ids = []
        for data in "123":
            fields = ("topic", self._base), ("data", data)
            ids.append(await self._probe.publish(self._writing(), *fields))
        name = "lastEventID" if self._isOld else "last_event_id"
        for stream, expected in (
            (await self._resumed(("Last-Event-ID", ids[0])), ["2", "3"]),
            (await self._resumed(name=name, value=ids[1]), ["3"]),
            (await self._resumed(("Last-Event-ID", ids[1]), name=name, value=ids[0]), ["3"]),
        ):
            if await stream.data(len(expected)) != expected:
                raise Differs(f"received {_short(await stream.data(1))}, not {_short(expected)}")
        return f"resumes by Last-Event-ID and {name}; the header wins"

    async def check08(self) -> str:
        """
        Where a stream begins.
        """
        fields = ("topic", self._base), ("data", "x")
        first, _ = [await self._probe.publish(self._writing(), *fields) for _ in range(2)]
        name = "last-event-id" if self._isOld else "mercure-last-event-id"
        for cursor, expected in (first, first), ("urn:unknown", "earliest"):
            told = (await self._resumed(("Last-Event-ID", cursor))).header(name)
            if told != expected:
                what = "an unknown ID" if expected == "earliest" else "an ID"
                raise Differs(f"after {what}, {name} was {told!r}, not {_short([expected])}")
        return f"{name} has the ID, or earliest"

    async def check10(self) -> str:
        """
        The end of a token.
        """
        reading = _bearer(self._minted([], ["*"], 3))
        stream = await self._probe.stream(self._selecting(self._base), reading)
        await stream.until(lambda: stream.ended, "the end of a token of 3 seconds", PATIENCE)
        return "a stream ends with its token"

    async def check11(self) -> str:
        """
        An update without a topic.
        """
        posting = self._probe.ask("POST", (), self._writing(), [("data", "x")])
        return f"{await self._refused(posting, 400)} without a topic"

    def _posting(self, *fields: tuple[str, str]) -> Coroutine[Any, Any, Answer | Stream]:
        return self._probe.ask("POST", (), self._writing(), fields)

    async def check12(self) -> str:
        """
        Fields that are none.
        """
        topic = ("topic", self._base)
        wrong = [("retry", "soon")]
        if not self._isOld:
            wrong += [("id", "#x"), ("id", "earliest"), ("type", "mercure"), ("type", "a\nb")]
        for field in wrong:
            await self._refused(self._posting(topic, field), 400)
        return ", ".join(sorted({f"a bad {name}" for name, _ in wrong})) + ": 400"

    async def check13(self) -> str:
        """
        The namespace of the hub.
        """
        path = urlsplit(self._probe.url).path
        disguised = f"{path[:-1]}%{ord(path[-1]):02X}"
        seen = ""
        for topic in (path, f"{path}/subscriptions/x", f"https://x.invalid{path}", disguised):
            try:
                seen = await self._refused(
                    self._posting(("topic", topic)), 403 if self._isOld else 400
                )
            except Differs as e:
                raise Differs(f"{e}, for {topic}") from None
        return f"{seen} for the hub's own path, in four spellings"

    async def check14(self) -> str:
        """
        The answer to a publisher.
        """
        stream = await self._probe.stream(self._selecting(self._base), self._reading())
        answer = await self._posting(("topic", self._base))
        if not isinstance(answer, Answer) or answer.status != 200:
            raise Differs(f"the status was {answer.status}")
        await stream.until(lambda: stream.events, "the update")
        if answer.body.decode("utf-8", "replace") != stream.events[0].lastEventID:
            raise Differs("the answer is not the ID of the event")
        if not answer.header("content-type").startswith("text/plain"):
            raise Differs(f"the ID is {answer.header('content-type')!r}")
        return "200, and the ID"

    async def check15(self) -> str:
        """
        Topics that are not granted.
        """
        writing = _bearer(self._minted([self._base], []))
        fields = [("topic", self._base), ("topic", f"{self._base}/other")]
        posting = self._probe.ask("POST", (), writing, fields)
        seen = await self._refused(posting, 403, *([401] if self._isOld else []))
        return f"{seen} if one of two topics is not granted"

    async def check16(self) -> str:
        """
        Where a token may be.
        """
        ((name, value),) = self._writing()
        good = value.split()[1]
        lower = self._probe.ask("POST", (), [(name, f"bearer {good}")], [("topic", self._base)])
        await self._refused(lower, 200)
        inURL = [("authorization", good)]
        field = [("topic", self._base)]
        both = self._probe.ask("POST", inURL, _bearer("x"), field)
        await self._refused(both, 401)
        await self._refused(self._probe.ask("POST", inURL, (), field), 200 if self._isOld else 401)
        place = "then in the URL" if self._isOld else "never in the URL"
        return f"in the Authorization header first, {place}"

    async def check17(self) -> str:
        """
        Bad tokens.
        """
        field = [("topic", self._base)]
        for bad in (UNSIGNED, "x.y.z"):
            await self._refused(self._probe.ask("POST", (), _bearer(bad), field), 401)
        if self._mint is not None:
            expired = _bearer(self._minted(["*"], [], -60))
            await self._refused(self._probe.ask("POST", (), expired, field), 401)
            return "unsigned and expired tokens are refused"
        return "unsigned tokens are refused"

    async def check18(self) -> str:
        """
        No token.
        """
        answer = await self._probe.ask("POST", (), (), [("topic", self._base)])
        challenge = answer.header("www-authenticate")
        if answer.status != 401:
            raise Differs(f"a publisher without a token received {answer.status}")
        if not self._isOld and (not challenge.startswith("Bearer") or "error=" in challenge):
            raise Differs(f"WWW-Authenticate was {challenge!r}")
        return "401 without a token" + (f", {challenge}" if challenge else "")

    async def check19(self) -> str:
        """
        Publishing with a cookie.
        """
        ((_, value),) = self._writing()
        name = "mercureAuthorization" if self._isOld else "__Secure-mercure_access_token"
        cookie = ("Cookie", f"{name}={value.split()[1]}")
        for origin in ([], [("Origin", STRANGE)], [("Origin", "null")]):
            posting = self._probe.ask("POST", (), [cookie, *origin], [("topic", self._base)])
            await self._refused(posting, 400, 401, 403)
        return "pages of unknown origins cannot publish with a cookie"

    async def check20(self) -> str:
        """
        Pages that read.
        """
        headers = [*self._reading(), ("Origin", STRANGE)]
        answer = await self._probe.ask("GET", self._selecting(self._base), headers)
        allowed = answer.header("access-control-allow-origin")
        if allowed == STRANGE:
            raise Differs("pages of any origin may subscribe: it is reflected")
        if allowed == "*" and answer.header("access-control-allow-credentials"):
            raise Differs("pages of all origins may subscribe, with credentials")
        return (
            "pages of all origins may subscribe, without credentials"
            if allowed
            else "pages of unknown origins may not subscribe"
        )

    async def check21(self) -> str:
        """
        Presence.
        """
        if self._subscriber is None:
            raise NotTried("needs --subscriber-token or --key")
        path = f"{urlsplit(self._probe.url).path}/subscriptions"
        if self._isOld:
            watching = [("topic", path + "{/topic}{/subscriber}")]
        else:
            watching = [("match_urlpattern", f"{path}/*")]
        watcher = await self._probe.stream(watching, self._reading())
        topic = f"{self._base}/a b"
        other = await self._probe.stream(self._selecting(topic), self._reading())
        part = quote(topic, safe="")

        def about() -> list[str]:
            return [each.data for each in watcher.events if part in each.data]

        try:
            await watcher.until(about, "it", 2.0)
        except Differs:
            raise NotTried("the hub does not report subscriptions") from None
        other.close()
        await watcher.until(lambda: len(about()) > 1, "the end of a subscription")
        return "the hub reports when a subscription begins and ends"

    async def check22(self) -> str:
        """
        The list of subscriptions.
        """
        if self._subscriber is None:
            raise NotTried("needs --subscriber-token or --key")
        url = f"{self._probe.url}/subscriptions"
        answer = await self._probe.ask("GET", (), self._reading(), url=url)
        if answer.status == 404 or not isinstance(answer, Answer):
            raise NotTried("the hub has no list of subscriptions")
        if answer.status != 200:
            raise Differs(f"the status was {answer.status}")
        document = answer.json()
        if not isinstance(document, dict) or not isinstance(document.get("subscriptions"), list):
            raise Differs("the JSON contains no subscriptions")
        if self._isOld and "lastEventID" not in document:
            raise Differs("the JSON contains no lastEventID")
        await self._refused(self._probe.ask("GET", url=url), 401)
        return f"{len(document['subscriptions'])} subscriptions, {answer.header('content-type')}"

    async def check23(self) -> str:
        """
        Metadata.
        """
        if self._isOld:
            raise NotTried("only in 1.0")
        path = urlsplit(self._probe.url).path
        url = urljoin(self._probe.url, f"/.well-known/oauth-protected-resource{path}")
        answer = await self._probe.ask("GET", url=url)
        if answer.status != 200 or not isinstance(answer, Answer):
            raise Differs(f"{url} returned {answer.status}")
        document = answer.json()
        if not isinstance(document, dict) or not document.get("resource"):
            raise Differs("the metadata contains no resource")
        return f"the resource is {document['resource']}"

    async def check24(self) -> str:
        """
        The other dialect.
        """
        other = [("match" if self._isOld else "topic", self._base)]
        answer = await self._probe.ask("GET", other, self._reading())
        if answer.status == 200:
            return "it also speaks the other version"
        await self._refused(self._probe.ask("GET", other, self._reading()), 400, 401, 403)
        return "it speaks only this version, or needs another token for the other"


def _bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def _short(texts: Sequence[str]) -> str:
    return ", ".join(text[:100] for text in texts) or "nothing"
