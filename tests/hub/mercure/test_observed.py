"""
Tests for L{twisted_sse.hub.mercure}: observations of another hub, and what ours must do.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.support.hubs import KEY, PATH, HubCase, token
from tests.support.keys import handmade
from tests.support.mercure import cases, claimsOf
from tests.support.vectors import mercureCases
from twisted_sse import History
from twisted_sse.hub.form import pairs

#: An ID with every kind of character that an ID may have.
STRANGE = 'w é "q"/%'


class Published(NamedTuple):
    """
    An update of a case.
    """

    name: str
    topics: tuple[str, ...]
    private: bool = False


class SubscribingTests(HubCase):
    """
    Replays the cases about subscribing.
    """

    def publish(self, *updates: Published) -> None:
        """
        Publish updates, whose data is their name.
        """
        for update in updates:
            name, topics, private = update
            done = self.hub.publish(topics, name, private=private, id=name)
            self.successResultOf(done)
            self.published.append(update)
        self.clock.settle()

    def begin(self, **options: Any) -> None:
        """
        Make a hub without any published updates.
        """
        self.published: list[Published] = []
        self.serve(**options)

    def compare(self, state: str, *lives: Published) -> None:
        """
        Connect the clients of the cases of a state, and compare the events they get.

        @param lives: the updates published after they have connected.
        """
        cases = [case for case in mercureCases("subscribe") if case["input"].get("state") == state]
        self.assertTrue(cases)
        connected = []
        for case in cases:
            given = case["input"]
            headers = [
                (name, re.sub(r"<(.*)>", lambda claims: token(json.loads(claims[1])), value))
                for name, value in given.get("headers", ())
            ]
            stream = self.get(given.get("query", ""), headers)
            connected.append((case, stream, [event.data for event in stream.events]))
        before = list(self.published)
        self.publish(*lives)
        for case, stream, replayed in connected:
            got: dict[str, Any] = {"status": stream.status}
            if stream.status == 200:
                got["Last-Event-ID"] = stream.headers.get("Last-Event-ID")
                got["replayed"] = replayed
                got["live"] = [event.data for event in stream.events][len(replayed) :]
                self.assertEqual(
                    stream.headers.get("Mercure-Last-Event-ID"), got["Last-Event-ID"], case
                )
                stream.disconnect()
            self.assertEqual(got, self.expected(case, before), case)

    def expected(self, case: dict[str, Any], before: list[Published]) -> dict[str, Any]:
        """
        @param before: the updates published before the client connected.
        @return: the result expected of our hub.
        """
        observed, should = case["observed"], case["recommend"]
        if should.startswith(("as observed", "ignore", "first one")):
            return dict(observed)
        if should in ("400", "400 above our own limit"):
            return {"status": 400}
        if should == "WHATWG form decoding":
            return {"status": 200, "Last-Event-ID": None, "replayed": [], "live": []} | (
                observed if observed["status"] == 200 else {}
            )
        if should.startswith("0.x-only hub"):
            # Our hub speaks both.
            return {"status": 200, "Last-Event-ID": None, "replayed": [], "live": ["liveA"]}
        given = case["input"]
        [(_, topic)] = [each for each in pairs(given["query"].encode()) if each[0] == "topic"]
        isReader = any(name == "Authorization" for name, _ in given.get("headers", ()))
        names = [
            name
            for name, topics, private in before
            if topic in topics and (isReader or not private)
        ]
        place = "earliest"
        if "no restart" in should:
            cursors = [value for name, value in given.get("headers", ()) if name == "Last-Event-ID"]
            cursors += [value for name, value in pairs(given["query"].encode()) if name != "topic"]
            [place] = cursors
            names = names[names.index(place) + 1 :]
        elif '"earliest" and everything kept' not in should:
            raise AssertionError(should)
        if self.channel.history.maxEvents:
            names = names[-self.channel.history.maxEvents :]
        return {**observed, "Last-Event-ID": place, "replayed": names}

    def test_history(self) -> None:
        """
        Each client gets its missed updates, and new ones, as observed, or as it should be: nothing
        is lost by a restart, and unknown IDs are reported.
        """
        a, b, c = ("a",), ("b",), ("c",)
        self.begin()
        self.compare("S0")
        self.publish(Published("e1", a), Published("e2", b), Published("e3", a, True))
        self.publish(Published("e4", b), Published(STRANGE, a), Published("e6", ("a", "b")))
        self.publish(Published("e7", c, True), Published("e8", a))
        lives = [("liveA", "a"), ("liveB", "b"), ("liveC", "c"), ("liveZ", "z"), ("liveAB", "a b")]
        self.compare("S1", *[Published(name, (topic,)) for name, topic in lives])
        self.publish(*[Published(name, a) for name in ("dup", "mid", "dup", "end")])
        self.compare("S2", Published("live2", a))
        for state, live in ("S5", "r1"), ("S6", "r2"), ("S9", "r3"):
            self.compare(state, Published(live, a))

    def test_short(self) -> None:
        """
        The same holds if only three updates are kept.  (Keeping none, S4 and S8, is not possible:
        updates would have no IDs.)
        """
        a = ("a",)
        self.begin(history=History(maxEvents=3))
        self.publish(*[Published(f"s{number}", a) for number in range(1, 7)])
        for state, live in ("S3", "s7"), ("S7", "s8"):
            self.compare(state, Published(live, a))


class PublishingTests(HubCase):
    """
    Replays the cases about publishing.
    """

    #: Cases in which our hub differs from the observation: the recommended and the actual result.
    OURS: dict[str, int] = {
        "200": 200,
        "400": 400,
        "400 is acceptable; never let it into a header or a log line raw": 400,
        "400 or 415": 415,
        "400 or read it as a form": 200,
        "403": 403,
        "accept as data": 200,
        "either; as observed": 400,
        "keep it (or 400)": 200,
        "limit of our own, 413 above": 413,
    }

    def test_observed(self) -> None:
        """
        An update is published or refused as observed, or as recommended; and subscribers receive
        the same lines.
        """
        everything = f"Bearer {token({'mercure': {'publish': ['*'], 'subscribe': ['*']}})}"
        for case in mercureCases("publish"):
            given, observed = case["input"], case["observed"]
            if "chunked" in case["name"]:
                # Tested with real connections.
                continue
            self.serve(origins="*", publishOrigins=["*"])
            watcher = self.get("topic=*", [("Authorization", everything)])
            stranger = self.get("topic=*")
            before = len(watcher.body)
            body = given.get("body", "").encode("latin-1" if "body_is" in given else "utf-8")
            form = [["Content-Type", "application/x-www-form-urlencoded"]]
            headers = dict(given.get("headers", form))
            if "token" not in given:
                headers.setdefault("Authorization", everything)
            method, target = given.get("method", "POST"), given.get("target", PATH)
            answer = self.client.request(method, target, headers, body)
            self.clock.settle()
            status = self.OURS.get(case["recommend"], observed["status"])
            if "application/json" in case["name"]:
                # Ours are batches, and this is not one.
                status = 400
            self.assertEqual(answer.status, status, case)
            sent = watcher.body[before:].decode()
            if answer.status != 200:
                self.assertEqual(sent, "", case)
                self.assertEqual("Allow" in answer.headers, answer.status == 405)
                continue
            made = answer.body.decode()
            self.assertEqual(answer.headers.get("Content-Type"), "text/plain; charset=utf-8")
            self.assertIn(f"id: {made}\n", sent)
            if "sse" in observed and "sse_is" not in observed and observed["status"] == 200:
                expected = observed["sse"].replace("<id>", made)
                if case["recommend"] == 'send "retry: 0"':
                    expected = "retry: 0\n" + expected
                # The order of the fields is our own.
                self.assertEqual(sorted(sent.split("\n")), sorted(expected.split("\n")), case)
            isPrivate = observed.get("anonymous_subscriber") == "nothing"
            self.assertEqual(len(stranger.events), 0 if isPrivate else 1, case)


class TokenTests(HubCase):
    """
    Replays the cases about tokens.
    """

    now = 1_800_000_000.0

    def tokenOf(self, given: dict[str, Any]) -> str:
        """
        Make the token of a case.
        """
        if "jws" in given:
            return str(given["jws"])
        if "claims_json" in given:
            return handmade(given["claims_json"], secret=KEY)
        return handmade(claimsOf(given["claims"]), secret=KEY)

    def outcome(self, case: dict[str, Any], **options: Any) -> dict[str, Any]:
        """
        Use the token of a case for every action.
        """
        headers = {
            "Authorization": f"Bearer {self.tokenOf(case['input'])}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self.serve(now=lambda: self.now, **options)
        body = b"topic=https://example.com/t&data=x"
        published = self.client.request("POST", PATH, headers, body)
        stream = self.get("topic=*", headers.items())
        self.successResultOf(self.hub.publish("https://example.com/t", "y", private=True))
        self.clock.settle()
        received = len(stream.events) == 1 if stream.status == 200 else None
        self.serve(anonymous=False, now=lambda: self.now, **options)
        return {
            "publish": published.status,
            "receives_private": received,
            "subscribe_main": stream.status,
            "subscribe_closed": self.get("topic=*", headers.items()).status,
        }

    #: Differences from the observation: for these cases the whole token is invalid.
    BAD = ("401", "last one wins, or 401", "either", "401, as for any non-string", "401: ")

    def test_claims(self) -> None:
        """
        A token does what the specification requires; and on a hub of 0.x alone, with the statuses
        of others, what was observed, except for cases that should be refused.
        """
        for case in cases("tokens", "token-claims"):
            observed, should = case["observed"], case["recommend"]
            expected = {name: observed[name] for name in self.outcome(case)}
            if should.startswith(self.BAD) and observed["subscribe_main"] == 200:
                expected |= {"publish": 401, "receives_private": None}
                expected |= {"subscribe_main": 401, "subscribe_closed": 401}
            elif should.startswith("treat as unknown members"):
                expected |= {"publish": 401, "receives_private": False}
            alone = self.outcome(case, protocols=["0.x"], unauthorized=True)
            self.assertEqual(alone, expected, case)
            if expected["publish"] == 401 and expected["subscribe_main"] == 200:
                expected["publish"] = 403
            if "at+jwt" not in case["name"]:
                self.assertEqual(self.outcome(case), expected, case)

    def test_private(self) -> None:
        """
        A private update goes to subscribers that have selected one of its topics, and may read one
        of them.
        """
        for case in cases("tokens", "token-private"):
            given = case["input"]
            self.serve()
            bearer = f"Bearer {token({'mercure': {'subscribe': given['mercure.subscribe']}})}"
            query = "&".join(f"topic={quote(each)}" for each in given["selectors"])
            stream = self.get(query, [("Authorization", bearer)])
            topics = given["topics_of_private_update"]
            self.successResultOf(self.hub.publish(topics, "x", private=True))
            self.clock.settle()
            self.assertEqual(len(stream.events), case["observed"]["copies"], case)

    def test_grants(self) -> None:
        """
        An update is published if the token grants all of its topics.
        """
        for case in cases("tokens", "token-publish-grant"):
            given = case["input"]
            if "" in given["topics"]:
                continue
            self.serve()
            headers = {
                "Authorization": f"Bearer {token({'mercure': {'publish': given['mercure.publish']}})}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            body = "&".join(f"topic={quote(each)}" for each in given["topics"])
            answer = self.client.request("POST", PATH, headers, body.encode())
            observed = case["observed"]["publish"]
            self.assertEqual(answer.status, 403 if observed == 401 else observed, case)
