"""
Tests for L{twisted_sse.hub.mercure.update}.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus, urlencode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.vectors import mercureCases
from twisted_sse import Event, EventStreamParser
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.reserved import isReserved
from twisted_sse.hub.mercure.update import (
    MOST_FIELDS,
    Kind,
    Rules,
    Update,
    kindOf,
    updatesIn,
)
from twisted_sse.hub.refused import Refused
from twisted_sse.stream.options import LONGEST_ID

HUB = "https://hub.example/.well-known/mercure"

V0 = Rules(Dialect.V0, HUB)
V1 = Rules(Dialect.V1, HUB)

FORM = b"application/x-www-form-urlencoded"

#: The body limit in the tests of observed requests.
MOST_BYTES = 2**20 + 100

#: Decisions of the resource that were observed, too: about the token, the method, the path, and
#: reading a body in pieces.
OF_THE_RESOURCE = {
    "publish: invalid topic and no token",
    "publish: PUT",
    "publish: PATCH",
    "publish: POST with trailing slash in the path",
    "publish: chunked request body",
}

#: The statuses of our hub where the recommendation differs from the observation, or leaves a
#: choice.
CHOSEN = {
    "publish: empty topic value": 400,
    "publish: data absent": 200,
    "publish: data bad UTF-8 percent-encoded": 400,
    "publish: data Latin-1 with charset=iso-8859-1": 400,
    "publish: stray percent sign in data": 200,
    "publish: bad percent escape in data": 200,
    "publish: semicolon inside data": 200,
    "publish: id with LF": 400,
    "publish: id earliest": 200,
    "publish: id used a second time": 200,
    "publish: id bad UTF-8": 400,
    "publish: retry=0": 200,
    "publish: retry=007": 200,
    "publish: retry=99999999999999999999": 400,
    "publish: type mercure": 200,
    "publish: Content-Type absent": 415,
    "publish: Content-Type application/json": 400,
    "publish: Content-Type malformed parameter": 200,
    "publish: multipart/form-data": 415,
    "publish: topic with LF": 400,
    "publish: topic bad UTF-8": 400,
    "publish: 2000 topics": 400,
    "publish: data of 1 MiB": 200,
    "publish: data of 9 MiB": 413,
}


def parsedEvent(sse: str) -> tuple[object, ...]:
    """
    @return: a client's interpretation of the text of one event: its type, data, and the time to
        reconnect.
    """
    parser = EventStreamParser()
    [event] = parser.feed(sse.encode())
    return event.type, event.data, parser.retry


def form(rules: Rules, body: str | bytes) -> Update:
    """
    Read a form.
    """
    [update] = updatesIn(Kind.FORM, body if isinstance(body, bytes) else body.encode(), rules)
    return update


class ObservedTests(SynchronousTestCase):
    """
    Tests with the requests sent to the deployed hub.
    """

    def test_observed(self) -> None:
        """
        Each request is accepted or refused as it should be, and its event is the observed one.
        """
        for case in mercureCases("publish"):
            if case["name"] in OF_THE_RESOURCE:
                continue
            sent, observed, recommended = case["input"], case["observed"], case["recommend"]
            if recommended in ("as observed", "200", "403"):
                self.assertNotIn(case["name"], CHOSEN)
                status = observed["status"] if recommended == "as observed" else int(recommended)
            else:
                status = CHOSEN[case["name"]]
            status, update = self.answer(sent, case["name"], status)
            if update is not None and "sse" in observed and observed["status"] == 200:
                expected = parsedEvent(observed["sse"])
                if case["name"] == "publish: retry=0":
                    expected = (*expected[:2], 0)
                self.assertEqual(
                    parsedEvent(update.event.encode().decode()), expected, case["name"]
                )
                if observed["body"] != "<id>":
                    self.assertEqual(update.event.id, observed["body"], case["name"])
                self.assertIs(update.private, "anonymous_subscriber" in observed, case["name"])

    def answer(self, sent: dict[str, Any], name: str, status: int) -> tuple[int, Update | None]:
        """
        Read a request, and check the status.
        """
        headers = dict(sent.get("headers", [["Content-Type", FORM.decode()]]))
        contentType = headers.get("Content-Type")
        body = sent["body"].encode("latin-1" if "body_is" in sent else "utf-8")
        update = None
        try:
            kind = kindOf(contentType and contentType.encode(), None)
            if len(body) > MOST_BYTES:
                raise Refused(413, "of the resource")
            [update] = updatesIn(kind, body, V0)
        except Refused as e:
            self.assertEqual(e.status, status, (name, str(e)))
        else:
            self.assertEqual(status, 200, name)
        return status, update

    def test_all(self) -> None:
        """
        Every observed request is tested here, or belongs to the resource.
        """
        names = {case["name"] for case in mercureCases("publish")}
        self.assertEqual((OF_THE_RESOURCE | set(CHOSEN)) - names, set())


class FormTests(SynchronousTestCase):
    """
    Tests for updates in forms.
    """

    def refusal(self, body: str | bytes, rules: Rules = V1) -> tuple[int, str]:
        """
        @return: the status and the reason with which a form is refused.
        """
        refused = self.assertRaises(Refused, form, rules, body)
        self.assertTrue(len(str(refused)) < 200, refused)
        return refused.status, str(refused)

    def test_update(self) -> None:
        """
        A form has all fields of an update.
        """
        body = "topic=urn:a&data=x%0Ay&private=on&id=urn:1&type=news&retry=5&topic=urn:b"
        for rules in (V0, V1):
            self.assertEqual(
                form(rules, body),
                Update(("urn:a", "urn:b"), Event("x\ny", "news", "urn:1", 5), True),
            )

    def test_least(self) -> None:
        """
        An update needs only a topic: then its data is empty, and it is still an event.
        """
        update = form(V1, "topic=urn:a")
        self.assertEqual(update, Update(("urn:a",), Event(""), False))
        self.assertEqual(update.event.encode(), b"data: \n\n")

    def test_private(self) -> None:
        """
        The presence of C{private} makes an update private, whatever its value.
        """
        for field in ["private", "private=", "private=off", "private=0", "privat%65=false"]:
            self.assertTrue(form(V1, f"topic=a&{field}").private, field)
        for field in ["Private=on", "private[]=on", "data=private"]:
            self.assertFalse(form(V1, f"topic=a&{field}").private, field)

    def test_first(self) -> None:
        """
        The first value of a repeated field is used, but all topics are.
        """
        update = form(V1, "data=1&topic=b&id=x&data=2&topic=a&id=y&topic=b")
        self.assertEqual(update, Update(("b", "a", "b"), Event("1", id="x"), False))

    def test_empty(self) -> None:
        """
        Fields that are empty, as browsers send them, are absent; unknown ones are ignored.
        """
        self.assertEqual(
            form(V1, "topic=a&id=&type=&retry=&target=x&event=y"), Update(("a",), Event(""), False)
        )

    def test_topicMissing(self) -> None:
        """
        An update without a topic, or with an empty one, is refused.
        """
        for body in ["", "data=x", "Topic=a", "topic[]=a", "topics=a"]:
            self.assertEqual(
                self.refusal(body), (400, "topic is missing: an update needs at least one")
            )
        self.assertEqual(self.refusal("topic="), (400, "topic is empty"))
        self.assertEqual(self.refusal("topic=a&topic"), (400, "topic 2 is empty"))

    def test_everything(self) -> None:
        """
        In 1.0 publishing to all topics is refused; in 0.x C{*} is a topic like any other.
        """
        self.assertEqual(
            self.refusal("topic=a&topic=*"),
            (400, "topic 2 must not be *, which stands for all topics"),
        )
        self.assertEqual(form(V0, "topic=*").topics, ("*",))
        self.assertEqual(form(V1, "topic=**").topics, ("**",))

    def test_reserved(self) -> None:
        """
        Publishing in the hub's namespace is refused, whatever the other topics are.
        """
        for topic in ["/.well-known/mercure/x", "https://x/a/../.well-known/%6Dercure", "mercure"]:
            body = f"topic=urn:a&topic={quote_plus(topic)}"
            why = "topic 2 is in the namespace of the hub itself, where publishing is not allowed"
            self.assertEqual(self.refusal(body, V0), (403, why))
            self.assertEqual(self.refusal(body, V1), (400, why))

    def test_characters(self) -> None:
        """
        Control characters and characters that only format text are refused in topic, ID and type,
        in both protocols, and named.
        """
        for field in ["topic", "id", "type"]:
            for encoded, code in [
                ("%00", "U+0000"),
                ("%0A", "U+000A"),
                ("%0D", "U+000D"),
                ("%09", "U+0009"),
                ("%7F", "U+007F"),
                ("%C2%85", "U+0085"),
                ("%E2%80%8B", "U+200B"),
                ("%E2%80%AE", "U+202E"),
                ("%EF%BB%BF", "U+FEFF"),
            ]:
                body = f"{field}=a{encoded}b" + ("" if field == "topic" else "&topic=a")
                for rules in (V0, V1):
                    status, why = self.refusal(body, rules)
                    self.assertEqual(status, 400)
                    self.assertTrue(why.startswith(f"{field} contains {code}, "), why)

    def test_data(self) -> None:
        """
        Data may have any character.
        """
        text = "\0\t\r\n\x1b\x7f\x85\u200b\u2028\ufeff\U0001f600"
        for rules in (V0, V1):
            update = form(rules, f"topic=a&data={quote_plus(text)}")
            self.assertEqual(update.event.data, text)

    def test_IDs(self) -> None:
        """
        An ID may be any text on one line; in 1.0 the hub's own IDs are reserved.
        """
        for id in ['a "b" [1]', "w é", "-1", "*", "earliest ", "Earliest", "a#", " "]:
            for rules in (V0, V1):
                self.assertEqual(form(rules, f"topic=a&id={quote_plus(id)}").event.id, id)
        for id, why in [
            ("#x", "id must not begin with #"),
            ("#", "id must not begin"),
            ("earliest", "id must not be earliest"),
        ]:
            body = f"topic=a&id={quote_plus(id)}"
            self.assertEqual(form(V0, body).event.id, id)
            status, found = self.refusal(body, V1)
            self.assertEqual(status, 400)
            self.assertTrue(found.startswith(why), found)

    def test_longID(self) -> None:
        """
        An ID that no client could send back is too long.
        """
        self.assertIsNotNone(form(V1, "topic=a&id=" + "x" * LONGEST_ID))
        for id in ["x" * (LONGEST_ID + 1), "%C3%A9" * (LONGEST_ID // 2 + 1)]:
            self.assertEqual(self.refusal(f"topic=a&id={id}")[0], 413)

    def test_type(self) -> None:
        """
        The type of the hub's own events is reserved in 1.0.
        """
        self.assertEqual(form(V0, "topic=a&type=mercure").event.event, "mercure")
        self.assertEqual(
            self.refusal("topic=a&type=mercure"),
            (400, "type must not be mercure, which only the hub itself uses"),
        )
        self.assertEqual(form(V1, "topic=a&type=Mercure").event.event, "Mercure")

    def test_retry(self) -> None:
        """
        The time to reconnect must be ASCII digits; 0 is allowed.
        """
        self.assertEqual(form(V1, "topic=a&retry=0").event.retry, 0)
        for value in ["%2B5", "-5", "1.5", "x", "+5", "%D9%A1", "5s", f"{2**64}"]:
            self.assertEqual(
                self.refusal(f"topic=a&retry={value}"),
                (400, "retry must be a number of milliseconds in digits"),
            )

    def test_notUTF8(self) -> None:
        """
        A form that is not UTF-8 is refused, whether the field is known or not.
        """
        for field in ["topic=a%FF", "topic=a&data=%C0%80", "topic=a&x=%ED%A0%80", "topic=a&%FF"]:
            self.assertEqual(self.refusal(field), (400, "the form must be percent-encoded UTF-8"))
        self.assertEqual(self.refusal(b"topic=a&data=\xff")[0], 400)

    def test_limits(self) -> None:
        """
        The number of topics, their length, and the number of fields are limited; the limits of
        topics can be changed.
        """
        topics = "&".join(["topic=urn:a"] * 1001)
        why = "there are 1001 topics: an update has at most 1000"
        self.assertEqual(self.refusal(topics, V0), (400, why))
        self.assertEqual(self.refusal(topics, V1), (413, why))
        self.assertEqual(len(form(V1, topics[12:]).topics), 1000)
        for topic in ["x" * 8192, "%C3%A9" * 4096]:
            self.assertIsNotNone(form(V1, f"topic={topic}"))
            for rules in (V0, V1):
                self.assertEqual(
                    self.refusal(f"topic={topic}x", rules), (413, "topic is longer than 8192 bytes")
                )
        self.assertIsNotNone(form(V1, "topic=a" + "&" * (MOST_FIELDS - 1)))
        self.assertEqual(self.refusal("topic=a" + "&" * MOST_FIELDS)[0], 413)
        strict = Rules(Dialect.V1, HUB, maxTopics=1, maxTopicSize=5)
        self.assertEqual(self.refusal("topic=a&topic=b", strict)[0], 413)
        self.assertEqual(self.refusal("topic=abcdef", strict)[0], 413)

    def test_longTopic(self) -> None:
        """
        A topic of 100 kB is refused, and not repeated in the reason.
        """
        self.assertEqual(
            self.refusal("topic=" + "x" * 100_000), (413, "topic is longer than 8192 bytes")
        )

    @given(
        st.lists(
            st.text(
                st.characters(exclude_categories=["Cs", "Cc", "Cf"], exclude_characters="*"),
                min_size=1,
            )
            .map("urn:{}".format)
            .filter(lambda topic: not isReserved(topic, HUB)),
            min_size=1,
        ),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.booleans(),
        st.integers(0, 10**9) | st.none(),
    )
    def test_roundTrip(
        self, topics: list[str], data: str, private: bool, retry: int | None
    ) -> None:
        """
        Updates arrive as sent, as a form and as JSON.
        """
        fields: list[tuple[str, object]] = [("topic", topic) for topic in topics]
        fields.append(("data", data))
        sent: dict[str, object] = {"topics": topics, "data": data, "private": private}
        if private:
            fields.append(("private", "on"))
        if retry is not None:
            fields.append(("retry", retry))
            sent["retry"] = retry
        expected = Update(tuple(topics), Event(data, retry=retry), private)
        for rules in (V0, V1):
            self.assertEqual(form(rules, urlencode(fields)), expected)
            for kind, body in [(Kind.LIST, json.dumps([sent])), (Kind.LINES, json.dumps(sent))]:
                self.assertEqual(list(updatesIn(kind, body.encode(), rules)), [expected])


class BatchTests(SynchronousTestCase):
    """
    Tests for batches, which are an extension.
    """

    def refusal(self, value: object, rules: Rules = V1) -> str:
        """
        @return: the reason with which the second update of a list, and of lines, is refused.
        """
        good = '{"topic":"urn:a"}'
        bad = json.dumps(value)
        refused = self.assertRaises(
            Refused, list, updatesIn(Kind.LIST, f"[{good},{bad}]".encode(), rules)
        )
        self.assertEqual(refused.more, {"update": 2})
        inLine = self.assertRaises(
            Refused, list, updatesIn(Kind.LINES, f"{good}\n{bad}".encode(), rules)
        )
        self.assertEqual(inLine.more, {"line": 2})
        self.assertEqual(inLine.status, refused.status)
        why = str(refused).removeprefix("update 2: ")
        self.assertEqual(why, str(inLine).removeprefix("line 2: "))
        self.assertTrue(why.endswith("; nothing was published"), why)
        return why

    def test_updates(self) -> None:
        """
        Each update has its own fields, and data that is not text is sent as JSON.
        """
        sent = [
            {"topic": "urn:a", "data": "x", "id": "1", "type": "t", "retry": 0, "private": True},
            {"topics": ["urn:a", "urn:b"], "data": {"é": [1, None]}, "id": None, "type": None},
            {"topic": "urn:c"},
            {"topic": "urn:d", "data": None, "private": False, "retry": None},
        ]
        expected = [
            Update(("urn:a",), Event("x", "t", "1", 0), True),
            Update(("urn:a", "urn:b"), Event('{"é":[1,null]}'), False),
            Update(("urn:c",), Event(""), False),
            Update(("urn:d",), Event("null"), False),
        ]
        body = json.dumps(sent).encode()
        self.assertEqual(list(updatesIn(Kind.LIST, body, V1)), expected)
        body = b"\r\n\n".join(json.dumps(each).encode() for each in sent)
        self.assertEqual(list(updatesIn(Kind.LINES, body, V1)), expected)

    def test_refused(self) -> None:
        """
        An invalid update is named, with the reason.
        """
        for value, why in [
            (7, "it must be an object"),
            (["urn:a"], "it must be an object"),
            ({}, "topic is missing"),
            ({"topics": []}, "topic is missing"),
            ({"topic": "a", "topics": ["b"]}, "give either topic or topics"),
            ({"topic": ["a"]}, "topic must be a string"),
            ({"topic": None}, "topic must be a string"),
            ({"topics": "a"}, "topic must be a string"),
            ({"topics": ["a", 7]}, "topic must be a string"),
            ({"topic": ""}, "topic is empty"),
            ({"topic": "a\n"}, "topic contains U+000A"),
            ({"topic": "*"}, "topic must not be *"),
            ({"topic": "mercure"}, "topic is in the namespace"),
            ({"topic": "a" * 9000}, "topic is longer than 8192 bytes"),
            ({"topic": "a", "data": "\ud800"}, "data '\\ud800' has the lone surrogate"),
            ({"topic": "a", "private": "off"}, "private must be true or false"),
            ({"topic": "a", "private": None}, "private must be true or false"),
            ({"topic": "a", "private": 1}, "private must be true or false"),
            ({"topic": "a", "id": 1}, "id must be a non-empty string"),
            ({"topic": "a", "id": ""}, "id must be a non-empty string"),
            ({"topic": "a", "id": "#1"}, "id must not begin with #"),
            ({"topic": "a", "type": ["x"]}, "type must be a non-empty string"),
            ({"topic": "a", "type": "mercure"}, "type must not be mercure"),
            ({"topic": "a", "retry": 2**64}, "retry is too large"),
            ({"topic": "a", "retry": "5"}, "retry must be an int"),
            ({"topic": "a", "retry": True}, "retry must be an int"),
            ({"topic": "a", "retry": -1}, "retry must be an int"),
            ({"topic": "a", "retry": 1.5}, "retry must be an int"),
            (
                {"topic": "a", "event": "x"},
                "unknown field 'event': the fields are data, id, private",
            ),
        ]:
            found = self.refusal(value)
            self.assertTrue(found.startswith(why), (value, found))

    def test_surrogates(self) -> None:
        """
        Half of a surrogate pair, which JSON can have, is refused in topics, IDs and types.
        """
        for field in ["topic", "id", "type"]:
            self.assertIn("lone surrogate", self.refusal({"topic": "a", field: "x\ud800"}))

    def test_noList(self) -> None:
        """
        JSON that is not a list is refused, even a single object.
        """
        for body, why in [
            (b'{"topic": "urn:t", "data": "x"}', "must be a list"),
            (b"7", "must be a list"),
            (b"", "this is not JSON"),
            (b"[", "this is not JSON"),
            (b"[]", "the batch is empty"),
            (b"\xff", "not UTF-8"),
            (b"[" * 100_000, "nested too deeply"),
        ]:
            refused = self.assertRaises(Refused, list, updatesIn(Kind.LIST, body, V1))
            self.assertEqual(refused.status, 400)
            self.assertIn(why, str(refused))

    def test_status(self) -> None:
        """
        The status is that of the refused update.
        """
        for rules, status in [(V0, 403), (V1, 400)]:
            body = b'[{"topic":"mercure"}]'
            refused = self.assertRaises(Refused, list, updatesIn(Kind.LIST, body, rules))
            self.assertEqual(refused.status, status)


class KindTests(SynchronousTestCase):
    """
    Tests for L{kindOf}.
    """

    def test_kinds(self) -> None:
        """
        A form, JSON and JSON lines are distinguished, whatever their case and parameters.
        """
        for contentType, kind in [
            (FORM, Kind.FORM),
            (b"Application/X-WWW-Form-Urlencoded;charset=UTF-8", Kind.FORM),
            (FORM + b"; =", Kind.FORM),
            (b"application/json", Kind.LIST),
            (b"application/x-ndjson; charset=utf-8", Kind.LINES),
            (b"application/jsonl", Kind.LINES),
        ]:
            self.assertIs(kindOf(contentType, None), kind)

    def test_refused(self) -> None:
        """
        Other types are refused, and so are other charsets and codings.
        """
        for contentType in [None, b"", b"text/plain", b"multipart/form-data; boundary=x"]:
            refused = self.assertRaises(Refused, kindOf, contentType, None)
            self.assertEqual(refused.status, 415)
            self.assertIn(b"accept-post", refused.headers)
        refused = self.assertRaises(Refused, kindOf, FORM + b"; charset=iso-8859-1", None)
        self.assertEqual(refused.status, 400)
        self.assertEqual(self.assertRaises(Refused, kindOf, FORM, b"gzip").status, 415)
