"""
Tests for L{twisted_sse.hub.mercure.tokens}.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.keys import SECRET, encode, handmade, privatePEM, publicPEM
from tests.support.mercure import NOW, OBSERVED_KEY, cases, claimsOf
from tests.support.vectors import mercureCases
from twisted_sse.checks import InvalidOption
from twisted_sse.hub.mercure.claims import DETAIL, LEEWAY
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.grants import Grants
from twisted_sse.hub.mercure.keys import FixedKeys, Key, readKey, readSigningKey
from twisted_sse.hub.mercure.minting import mint
from twisted_sse.hub.mercure.selectors import selector
from twisted_sse.hub.mercure.tokens import (
    MOST_CHARACTERS,
    MOST_KNOWN,
    MOST_PATTERNS,
    Token,
    Use,
    Verifier,
)
from twisted_sse.hub.mercure.unverified import Reason, Unverified

ISSUER = "https://issuer.example"
RESOURCE = "https://hub.example/.well-known/mercure"
TOPIC = "https://example.com/t"
BOTH = (Dialect.V0, Dialect.V1)

#: The claims of a token of 1.0 without any details.
ACCESS = {"iss": ISSUER, "aud": RESOURCE, "exp": NOW + 3600}
ACCESS_HEADER = {"alg": "HS256", "typ": "at+jwt"}
ALL = {"mercure": {"publish": ["*"], "subscribe": ["*"]}}


def keys(secret: str = SECRET, algorithm: str = "HS256") -> FixedKeys:
    """
    @return: a source with one key.
    """
    return FixedKeys([readKey("key", secret, algorithm)])


class ChangingKeys:
    """
    Keys that a test changes.

    @ivar asked: the requested C{kid}s.
    """

    def __init__(self, *held: Key) -> None:
        self.keys: tuple[Key, ...] | None = held
        self.coming: tuple[Key, ...] = held
        self.asked: list[str | None] = []

    def held(self) -> tuple[Key, ...] | None:
        """
        See L{KeySource.held}.
        """
        return self.keys

    async def find(self, identifier: str | None) -> tuple[Key, ...]:
        """
        See L{KeySource.find}.
        """
        self.asked.append(identifier)
        self.keys = self.coming
        return self.coming


#: Any JSON, mostly values that claims have.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([TOPIC, "*", "{", "/:", "exact", "urlpattern", "publish", DETAIL, "\ud800"])
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "actions",
                    "topics",
                    "match",
                    "match_type",
                    "payload",
                    "publish",
                    "subscribe",
                ]
            ),
            inner,
        )
    ),
    max_leaves=10,
)
CLAIMS = st.dictionaries(
    st.sampled_from(
        [
            *["iss", "aud", "exp", "nbf", "iat", "sub", "jti"],
            *["mercure", "https://mercure.rocks/", "authorization_details"],
        ]
    ),
    JSON,
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jwk"]), JSON)


class VerifierCase(SynchronousTestCase):
    """
    Shared parts of these tests.

    @ivar now: the time of day.
    """

    now = NOW

    def verifier(self, *dialects: Dialect, **sources: Any) -> Verifier:
        """
        @return: a verifier whose keys default to one secret.
        """
        sources = {
            "publisher": keys(),
            "subscriber": keys(),
            "issuers": {ISSUER: keys()},
            "resource": RESOURCE,
            "base": RESOURCE,
            **sources,
        }
        return Verifier(dialects or BOTH, now=lambda: self.now, **sources)

    def verify(
        self, verifier: Verifier, token: str, use: Use = Use.SUBSCRIBE, **accepted: Any
    ) -> Token:
        """
        Check a token, with a result that is available immediately.
        """
        return self.successResultOf(Deferred.fromCoroutine(verifier.verify(token, use, **accepted)))

    def refused(
        self, verifier: Verifier, token: str, use: Use = Use.SUBSCRIBE, **accepted: Any
    ) -> Unverified:
        """
        Check that a token is invalid, and that the error does not show any part of it.
        """
        checking = Deferred.fromCoroutine(verifier.verify(token, use, **accepted))
        error: Unverified = self.failureResultOf(checking, Unverified).value
        for part in token.split("."):
            if len(part) > 8:
                self.assertNotIn(part, repr(error))
        self.assertNotIn(SECRET, repr(error))
        self.assertFalse(str(error).endswith("."))
        return error


class ObservedTests(VerifierCase):
    """
    Tests that tokens of 0.x are judged as on the deployed hub, if that is correct.
    """

    def test_claims(self) -> None:
        """
        Our hub does what was observed, or what is recommended in place of it.
        """
        source = keys(OBSERVED_KEY)
        verifier = self.verifier(Dialect.V0, publisher=source, subscriber=source)
        for case in cases("tokens", "token-claims: "):
            given, observed = case["input"], case["observed"]
            if "jws" in given:
                token = given["jws"]
            else:
                claims = given.get("claims_json") or claimsOf(given["claims"])
                token = handmade(claims, secret=OBSERVED_KEY)
            advice = case["recommend"]
            for use, topics, permitted in (
                (Use.PUBLISH, "publish", observed["publish"] == 200),
                (Use.SUBSCRIBE, "subscribe", observed["receives_private"]),
            ):
                isBad = advice.startswith(("401", "either", "last one wins, or 401")) or (
                    advice == "as observed" and observed["subscribe_main"] == 401
                )
                if isBad:
                    self.refused(verifier, token, use)
                    continue
                grants = getattr(self.verify(verifier, token, use), topics)
                self.assertEqual(
                    grants.permits(TOPIC),
                    permitted and not advice.startswith("treat as unknown"),
                    case["name"],
                )

    def test_keys(self) -> None:
        """
        With one key each, a subscriber's token cannot publish, nor can one with another algorithm.
        """
        for case, publisher in zip(
            cases("tokens", "token-keys: "),
            (keys(SECRET, "HS256"), keys(OBSERVED_KEY, "HS512")),
            strict=True,
        ):
            verifier = self.verifier(Dialect.V0, publisher=publisher, subscriber=keys(OBSERVED_KEY))
            token = handmade(ALL, secret=OBSERVED_KEY)
            self.assertEqual(case["observed"], {"publish": 401, "subscribe": 200})
            self.refused(verifier, token, Use.PUBLISH)
            self.verify(verifier, token)

    def test_end(self) -> None:
        """
        A token is valid for its stated lifetime, however short that is.
        """
        for case in cases("tokens", "token-expiry: "):
            claims = claimsOf(case["input"]["claims"])
            token = self.verify(self.verifier(), handmade(claims))
            self.assertEqual(token.expires, claims.get("exp"))

    def test_all(self) -> None:
        """
        No case is omitted.
        """
        kinds = {case["name"].partition(":")[0] for case in mercureCases("tokens")}
        here = {"claims", "keys", "expiry", "publish-grant", "private"}
        # The last one is tested with Carriers.
        self.assertEqual(kinds, {f"token-{kind}" for kind in (*here, "carrier")})

    def test_publish(self) -> None:
        """
        A token can publish to topics if it grants each of them, as observed.
        """
        for case in cases("tokens", "token-publish-grant: "):
            claims = {"mercure": {"publish": case["input"]["mercure.publish"]}}
            token = self.verify(self.verifier(), handmade(claims), Use.PUBLISH)
            self.assertEqual(
                all(map(token.publish.permits, case["input"]["topics"])),
                case["observed"]["publish"] == 200,
                case["name"],
            )

    def test_private(self) -> None:
        """
        A private update is for subscribers that have selected one of its topics and are granted
        one, possibly another, as observed.
        """
        for case in cases("tokens", "token-private: "):
            given = case["input"]
            topics = given["topics_of_private_update"]
            claims = {"mercure": {"subscribe": given["mercure.subscribe"]}}
            token = self.verify(self.verifier(), handmade(claims))
            selected = Grants(map(selector, given["selectors"])).permitsAny(topics)
            self.assertEqual(
                selected and token.subscribe.permitsAny(topics),
                case["observed"]["copies"] == 1,
                case["name"],
            )


class AnythingTests(VerifierCase):
    """
    Tests for tokens with arbitrary content.
    """

    @given(CLAIMS, HEADERS, st.booleans(), st.booleans())
    def test_anything(
        self, claims: dict[str, Any], header: dict[str, Any], isNew: bool, isGood: bool
    ) -> None:
        """
        A token with any content is either valid, with usable grants, or L{Unverified}, with a line
        that can be logged.
        """
        if isGood:
            header = {**header, **(ACCESS_HEADER if isNew else {"alg": "HS256"})}
            claims = {**claims, **ACCESS} if isNew else claims
        verifier = self.verifier()
        for use in Use:
            checking = Deferred.fromCoroutine(verifier.verify(handmade(claims, header), use))
            results: list[Any] = []
            checking.addBoth(results.append)
            [result] = results
            if isinstance(result, Token):
                for grants in result.publish, result.subscribe:
                    grants.permits(TOPIC)
                json.dumps(result.payloadFor(TOPIC), allow_nan=False).encode()
                self.assertEqual(result.dialect, Dialect.V1 if isNew and isGood else Dialect.V0)
            else:
                result.trap(Unverified)
                self.assertLess(len(str(result.value).encode()), 500)


class SignatureTests(VerifierCase):
    """
    Tests for the key and the algorithm.
    """

    def test_ignored(self) -> None:
        """
        Keys and addresses of keys in a header are ignored, and so is anything else unknown.
        """
        forged = {
            "jwk": {"kty": "oct", "k": encode(b"x" * 32)},
            "jku": "https://evil.example/jwks",
            "x5u": "https://evil.example/cert",
            "x5c": ["AAAA"],
            "kid": "../../etc/passwd",
        }
        header = {"alg": "HS256", "zip": "DEF", "cty": "x", **forged}
        self.verify(self.verifier(), handmade(ALL, header))
        error = self.refused(self.verifier(), handmade(ALL, header, secret="x" * 32))
        self.assertEqual(error.reason, Reason.SIGNATURE)

    def test_algorithm(self) -> None:
        """
        The algorithm must be exactly that of the key, and never C{none}.
        """
        for algorithm in ("none", "None", "HS384", "hs256", "RS256", "", None, 1, ["HS256"]):
            error = self.refused(self.verifier(), handmade(ALL, {"alg": algorithm}))
            self.assertEqual(error.reason, Reason.ALGORITHM)
        self.assertIn(
            "'HS384', but the key is for HS256",
            str(self.refused(self.verifier(), handmade(ALL, {"alg": "HS384"}))),
        )
        self.assertEqual(
            self.refused(self.verifier(), handmade(ALL, {"typ": "JWT"})).reason, Reason.ALGORITHM
        )

    def test_confusion(self) -> None:
        """
        A token signed with the text of the public key, as a secret, is refused.
        """
        pem = publicPEM("RSA")
        verifier = self.verifier(subscriber=FixedKeys([readKey("key", pem)]))
        for text in (pem, pem.strip()):
            error = self.refused(verifier, handmade(ALL, {"alg": "HS256"}, secret=text))
            self.assertEqual(error.reason, Reason.ALGORITHM)
            error = self.refused(verifier, handmade(ALL, {"alg": "RS256"}, secret=text))
            self.assertEqual(error.reason, Reason.SIGNATURE)

    def test_publicKeys(self) -> None:
        """
        Tokens of all kinds of keys are checked.
        """
        for kind, algorithm in (
            ("RSA", "RS256"),
            ("RSA", "PS512"),
            ("P-256", "ES256"),
            ("P-521", "ES512"),
            ("Ed25519", "EdDSA"),
        ):
            signing = readSigningKey("key", privatePEM(kind), algorithm)
            source = FixedKeys([readKey("key", publicPEM(kind), algorithm)])
            signed = f"{encode(json.dumps({'alg': algorithm}).encode())}.{encode(b'{}')}"
            token = f"{signed}.{encode(signing.sign(signed.encode()))}"
            self.verify(self.verifier(subscriber=source), token)
            wrong = f"{signed}.{encode(bytes(64))}"
            error = self.refused(self.verifier(subscriber=source), wrong)
            self.assertEqual(error.reason, Reason.SIGNATURE)

    def test_otherSignature(self) -> None:
        """
        Anyone can derive an equally valid signature from one by ECDSA: a token has the same ID with
        it, so that it is revoked together with the first.
        """
        signing = readSigningKey("key", privatePEM("P-256"))
        verifier = self.verifier(subscriber=FixedKeys([signing.checking()]))
        text = mint(signing, Dialect.V0, {**ALL, "jti": "1"})
        signed, _, signature = text.rpartition(".")
        raw = urlsafe_b64decode(signature + "==")
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        turned = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
        other = f"{signed}.{encode(turned)}"
        self.assertNotEqual(other, text)
        known = [self.verify(verifier, each) for each in (text, other)]
        self.assertEqual([each.identifier for each in known], ["1", "1"])

    def test_noKey(self) -> None:
        """
        Without a key for its action, no token of 0.x is valid.
        """
        verifier = self.verifier(publisher=None)
        self.verify(verifier, handmade(ALL))
        self.assertEqual(self.refused(verifier, handmade(ALL), Use.PUBLISH).reason, Reason.KEY)
        empty = self.verifier(publisher=FixedKeys([]))
        self.assertEqual(self.refused(empty, handmade(ALL), Use.PUBLISH).reason, Reason.KEY)

    def test_namedKey(self) -> None:
        """
        If keys have names, that of the token selects the key; without one all keys are tried.
        """
        first = Key("HS256", b"1" * 32, "first")
        second = Key("HS256", b"2" * 32, "second")
        verifier = self.verifier(subscriber=FixedKeys([first, second]))
        for named in ("second", None, 7):
            header = {"alg": "HS256", "kid": named}
            self.verify(verifier, handmade(ALL, header, secret="2" * 32))
        header = {"alg": "HS256", "kid": "first"}
        error = self.refused(verifier, handmade(ALL, header, secret="2" * 32))
        self.assertEqual(error.reason, Reason.SIGNATURE)
        header = {"alg": "HS256", "kid": "third"}
        error = self.refused(verifier, handmade(ALL, header, secret="2" * 32))
        self.assertEqual(error.reason, Reason.KEY)

    def test_fetched(self) -> None:
        """
        Keys that are not held are requested, and requested again when a token names an unknown one.
        """
        old, new = Key("HS256", b"1" * 32, "old"), Key("HS256", b"2" * 32, "new")
        source = ChangingKeys(old)
        source.keys = None
        verifier = self.verifier(subscriber=source)
        token = handmade(ALL, {"alg": "HS256", "kid": "old"}, secret="1" * 32)
        self.verify(verifier, token)
        self.verify(verifier, token)
        self.assertEqual(source.asked, ["old"])
        source.coming = (old, new)
        rotated = handmade(ALL, {"alg": "HS256", "kid": "new"}, secret="2" * 32)
        self.verify(verifier, rotated)
        self.assertEqual(source.asked, ["old", "new"])

    def test_keyIsGone(self) -> None:
        """
        A token that was valid is refused after its key has been removed.
        """
        old, new = Key("HS256", b"1" * 32), Key("HS256", b"2" * 32)
        source = ChangingKeys(old)
        verifier = self.verifier(subscriber=source)
        token = handmade(ALL, secret="1" * 32)
        self.verify(verifier, token)
        source.keys = (new,)
        self.assertEqual(self.refused(verifier, token).reason, Reason.SIGNATURE)


class TimeTests(VerifierCase):
    """
    Tests for the times of a token.
    """

    def test_end(self) -> None:
        """
        A token is valid until C{exp} and not a moment longer, even if it is known already.
        """
        verifier = self.verifier()
        token = handmade({**ALL, "exp": NOW + 10.5})
        self.assertEqual(self.verify(verifier, token).expires, NOW + 10.5)
        self.now = NOW + 10.4
        self.verify(verifier, token)
        for now in (NOW + 10.5, NOW + 60):
            self.now = now
            error = self.refused(verifier, token)
            self.assertEqual(error.reason, Reason.EXPIRED)
        self.assertIn("50 seconds ago", str(error))

    def test_begin(self) -> None:
        """
        A token is valid from C{nbf} on, or a few seconds earlier.
        """
        verifier = self.verifier()
        self.verify(verifier, handmade({**ALL, "nbf": NOW + LEEWAY}))
        error = self.refused(verifier, handmade({**ALL, "nbf": NOW + LEEWAY + 1}))
        self.assertEqual(error.reason, Reason.EARLY)
        self.assertIn("becomes valid in 6 seconds", str(error))

    def test_numbers(self) -> None:
        """
        A time that is not a number, or is in milliseconds, makes the token invalid, in both
        dialects; however large it is, nothing else happens.
        """
        for name in ("exp", "nbf", "iat"):
            for value in (
                '"1900000000"',
                "true",
                "[]",
                "{}",
                "1900000000000",
                f"1{'0' * 400}",
                "1e300",
            ):
                for claims, header in ((ALL, None), (ACCESS, ACCESS_HEADER)):
                    others = json.dumps({k: v for k, v in claims.items() if k != name})
                    text = f'{others[:-1]}, "{name}": {value}}}'
                    error = self.refused(self.verifier(), handmade(text, header))
                    self.assertEqual(error.reason, Reason.CLAIMS, (name, value))
        for value in ("-1", "-1.5", "0", "1e3", f"-1{'0' * 400}", "-1e300", "0.0000001"):
            error = self.refused(self.verifier(), handmade(f'{{"exp": {value}}}'))
            self.assertEqual(error.reason, Reason.EXPIRED, value)
            self.verify(self.verifier(), handmade(f'{{"nbf": {value}}}'))

    def test_null(self) -> None:
        """
        A null claim counts as missing in 0.x; in 1.0 it makes the token invalid.
        """
        for name in ("exp", "nbf", "iat", "iss", "sub", "aud", "jti"):
            self.verify(self.verifier(), handmade({**ALL, name: None}))
            error = self.refused(self.verifier(), handmade({**ACCESS, name: None}, ACCESS_HEADER))
            self.assertEqual(error.reason, Reason.CLAIMS, name)


class DialectTests(VerifierCase):
    """
    Tests for the rules by which a token is judged.
    """

    def access(self, *details: Any, **claims: Any) -> str:
        """
        @return: a token of 1.0.
        """
        return handmade({**ACCESS, "authorization_details": details, **claims}, ACCESS_HEADER)

    def test_type(self) -> None:
        """
        A token of 1.0 is recognised by its type, in any case, with or without C{application/}.
        """
        for kind in ("at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"):
            token = handmade(ACCESS, {"alg": "HS256", "typ": kind})
            self.assertEqual(self.verify(self.verifier(), token).dialect, Dialect.V1)
        for header in ({"typ": "JWT"}, {"typ": None}, {}, {"typ": "at+jwt "}, {"typ": ["at+jwt"]}):
            token = handmade({**ACCESS, **ALL}, {"alg": "HS256", **header})
            self.assertEqual(self.verify(self.verifier(), token).dialect, Dialect.V0)
            error = self.refused(self.verifier(Dialect.V1), token)
            self.assertEqual(error.reason, Reason.TYPE)

    def test_noDowngrade(self) -> None:
        """
        On a hub of both dialects a token of 1.0 with any error is refused, even if it would be
        valid in 0.x, with a key for 0.x: its claim C{mercure} is ignored.
        """
        detail = {"type": DETAIL, "actions": ["publish"], "topics": [{"match": TOPIC}]}
        for claims in (
            ALL,
            {**ALL, **ACCESS, "exp": None},
            {**ALL, **ACCESS, "aud": "https://other.example"},
            {**ALL, **ACCESS, "iss": "https://other.example"},
            {**ALL, **ACCESS, "authorization_details": "x"},
        ):
            for use in Use:
                self.refused(self.verifier(), handmade(claims, ACCESS_HEADER), use)
                self.refused(self.verifier(Dialect.V1), handmade(claims, ACCESS_HEADER), use)
        token = self.verify(self.verifier(), self.access(detail, **ALL))
        self.assertEqual(token.dialect, Dialect.V1)
        self.assertTrue(token.publish.permits(TOPIC))
        self.assertFalse(token.subscribe.permits(TOPIC))
        self.assertFalse(token.publish.permits("other"))

    def test_keysApart(self) -> None:
        """
        The keys for 0.x do not work for 1.0, nor do those of an issuer for 0.x or another issuer.
        """
        other = "https://other.example"
        verifier = self.verifier(
            publisher=keys("0" * 32),
            subscriber=keys("0" * 32),
            issuers={ISSUER: keys("1" * 32), other: keys("2" * 32)},
        )
        self.verify(verifier, handmade(ACCESS, ACCESS_HEADER, "1" * 32))
        self.verify(verifier, handmade({**ACCESS, "iss": other}, ACCESS_HEADER, "2" * 32))
        self.verify(verifier, handmade(ALL, None, "0" * 32))
        for claims, header, secret in (
            (ACCESS, ACCESS_HEADER, "0" * 32),
            (ACCESS, ACCESS_HEADER, "2" * 32),
            ({**ACCESS, "iss": other}, ACCESS_HEADER, "1" * 32),
            ({**ALL, **ACCESS}, None, "1" * 32),
        ):
            error = self.refused(verifier, handmade(claims, header, secret))
            self.assertEqual(error.reason, Reason.SIGNATURE)

    def test_old(self) -> None:
        """
        A hub of 0.x alone judges every token by the rules of 0.x, as hubs of 0.x do.
        """
        verifier = self.verifier(Dialect.V0)
        token = self.verify(verifier, handmade(ALL, ACCESS_HEADER))
        self.assertEqual(token.dialect, Dialect.V0)
        self.assertTrue(token.publish.permits(TOPIC))

    def test_forgottenType(self) -> None:
        """
        A token with details but the wrong type is refused with that reason, where it would
        otherwise be one of 0.x without grants.
        """
        error = self.refused(self.verifier(), handmade({**ACCESS, "authorization_details": []}))
        self.assertEqual(error.reason, Reason.TYPE)
        self.assertIn("its typ is 'JWT'", str(error))

    def test_place(self) -> None:
        """
        A token of 1.0 is refused where only those of 0.x are allowed, even if it is valid and
        known.
        """
        verifier, token = self.verifier(), self.access()
        for _ in range(2):
            error = self.refused(verifier, token, accepted={Dialect.V0})
            self.assertEqual(error.reason, Reason.PRESENTED)
            self.verify(verifier, token, accepted={Dialect.V1})
        self.verify(verifier, handmade(ALL), accepted={Dialect.V0})

    def test_issuer(self) -> None:
        """
        The issuer must be trusted, by exactly its name.
        """
        for issuer in ("https://other.example", ISSUER + "/", ISSUER.upper(), "", "x" * 5000):
            error = self.refused(
                self.verifier(), handmade({**ACCESS, "iss": issuer}, ACCESS_HEADER)
            )
            self.assertEqual(error.reason, Reason.ISSUER)
            self.assertLess(len(str(error)), 300)
        without = {name: value for name, value in ACCESS.items() if name != "iss"}
        error = self.refused(self.verifier(), handmade(without, ACCESS_HEADER))
        self.assertEqual(error.reason, Reason.ISSUER)

    def test_audience(self) -> None:
        """
        The hub must be in the audience, by exactly its name; there may be others in it.
        """
        for audience in (RESOURCE, [RESOURCE], ["a", RESOURCE]):
            self.verify(self.verifier(), self.access(aud=audience))
        for audience in ("", [], ["a"], RESOURCE + "/", RESOURCE[:-1], "x" * 5000):
            error = self.refused(self.verifier(), self.access(aud=audience))
            self.assertEqual(error.reason, Reason.AUDIENCE)
            self.assertLess(len(str(error)), 300)
        self.assertIn(
            "['a'], but this hub is", str(self.refused(self.verifier(), self.access(aud=["a"])))
        )
        without = {name: value for name, value in ACCESS.items() if name != "aud"}
        error = self.refused(self.verifier(), handmade(without, ACCESS_HEADER))
        self.assertEqual(error.reason, Reason.AUDIENCE)

    def test_notRequired(self) -> None:
        """
        Claims that issuers must include, but a hub does not need, may be missing.
        """
        token = self.verify(self.verifier(), handmade(ACCESS, ACCESS_HEADER))
        self.assertEqual((token.subject, token.identifier, token.issuer), (None, None, ISSUER))
        token = self.verify(self.verifier(), self.access(sub="me", jti="1", client_id="c"))
        self.assertEqual((token.subject, token.identifier), ("me", "1"))

    def test_noResource(self) -> None:
        """
        A hub that trusts issuers must have a name.
        """
        error = self.assertRaises(InvalidOption, self.verifier, resource=None)
        self.assertEqual(error.name, "resourceIdentifier")
        self.verifier(Dialect.V0, resource=None)


class KnownTests(VerifierCase):
    """
    Tests for the cache of known tokens.
    """

    def test_known(self) -> None:
        """
        A token that has been checked is not checked again for the same use, and is the same object.
        """
        verifier = self.verifier()
        token = handmade(ALL)
        first = self.verify(verifier, token)
        self.assertIs(self.verify(verifier, token), first)
        self.assertIsNot(self.verify(verifier, token, Use.PUBLISH), first)

    def test_useApart(self) -> None:
        """
        A token that was valid for subscribing is not valid for publishing with another key.
        """
        verifier = self.verifier(publisher=keys("1" * 32))
        token = handmade(ALL)
        self.verify(verifier, token)
        self.assertEqual(self.refused(verifier, token, Use.PUBLISH).reason, Reason.SIGNATURE)

    def test_equalGrants(self) -> None:
        """
        Different tokens with the same grants share one object.
        """
        verifier = self.verifier()
        one, other = (
            self.verify(verifier, handmade({**ALL, "sub": sub})) for sub in ("one", "other")
        )
        self.assertIsNot(one, other)
        self.assertIs(one.subscribe, other.subscribe)
        self.assertIs(one.publish, other.publish)

    def test_bounded(self) -> None:
        """
        Of many tokens the most recently used ones are known.
        """
        verifier = self.verifier()
        tokens = [handmade({"sub": str(number)}) for number in range(MOST_KNOWN + 1)]
        known = [self.verify(verifier, token) for token in tokens]
        self.assertIs(self.verify(verifier, tokens[-1]), known[-1])
        self.assertIsNot(self.verify(verifier, tokens[0]), known[0])

    def test_large(self) -> None:
        """
        Fewer large tokens are cached, since their content takes memory.
        """
        verifier = self.verifier()
        payload = "x" * 10_000
        count = MOST_CHARACTERS // len(handmade({"mercure": {"payload": payload}}))
        tokens = [
            handmade({"mercure": {"payload": payload}, "sub": str(number)})
            for number in range(count + 1)
        ]
        known = [self.verify(verifier, token) for token in tokens]
        self.assertIsNot(self.verify(verifier, tokens[0]), known[0])
        self.assertIs(self.verify(verifier, tokens[-1]), known[-1])
        self.assertIs(self.verify(verifier, tokens[count // 2]), known[count // 2])

    def test_patterns(self) -> None:
        """
        Tokens with patterns, which need much memory, stay known while their number is limited.
        """
        verifier = self.verifier()
        plain = handmade(ALL)
        half = MOST_PATTERNS // 2
        tokens = [
            handmade({"mercure": {"subscribe": [f"/{n}/{i}/{{x}}" for i in range(half)]}})
            for n in range(3)
        ]
        known = [self.verify(verifier, token) for token in (*tokens[:2], plain)]
        for token, before in zip((*tokens[:2], plain), known, strict=True):
            self.assertIs(self.verify(verifier, token), before)
        last = self.verify(verifier, tokens[2])
        self.assertIs(self.verify(verifier, tokens[2]), last)
        self.assertIs(self.verify(verifier, tokens[1]), known[1])
        self.assertIs(self.verify(verifier, plain), known[2])
        self.assertIsNot(self.verify(verifier, tokens[0]), known[0])

    def test_samePatterns(self) -> None:
        """
        Tokens with the same pattern share it, however many they are.
        """
        verifier = self.verifier()
        claims = {"mercure": {"publish": ["/{x}"], "subscribe": ["/{x}", "*", "a"]}}
        tokens = [handmade({**claims, "sub": str(n)}) for n in range(MOST_PATTERNS + 1)]
        known = [self.verify(verifier, token) for token in tokens]
        self.assertIs(self.verify(verifier, tokens[0]), known[0])

    def test_checkedAgain(self) -> None:
        """
        A token that is checked again, since the keys have changed, takes no more room than before.
        """
        source = ChangingKeys()
        verifier = self.verifier(subscriber=source)

        def many(number: int, count: int) -> str:
            return handmade(
                {"mercure": {"subscribe": [f"/{number}/{i}/{{x}}" for i in range(count)]}}
            )

        for _ in range(2):
            source.keys = FixedKeys([readKey("key", SECRET)]).held()
            self.verify(verifier, many(0, 100))
        tokens = [many(number, MOST_PATTERNS // 2) for number in (1, 2)]
        known = [self.verify(verifier, token) for token in tokens]
        for token, before in zip(tokens, known, strict=True):
            self.assertIs(self.verify(verifier, token), before)

    def test_tooManyPatterns(self) -> None:
        """
        A token with more patterns than may be cached is valid, and displaces no other token.
        """
        verifier = self.verifier()
        plain = handmade(ALL)
        known = self.verify(verifier, plain)
        half = MOST_PATTERNS // 2 + 1
        lists = ([f"{{{name}}}{i}" for i in range(half)] for name in "ab")
        many = handmade({"mercure": dict(zip(("publish", "subscribe"), lists, strict=True))})
        first = self.verify(verifier, many)
        self.assertIsNot(self.verify(verifier, many), first)
        self.assertIs(self.verify(verifier, plain), known)

    def test_badOnes(self) -> None:
        """
        Invalid tokens are not cached, so that they cannot displace valid ones.
        """
        verifier = self.verifier()
        good = handmade(ALL)
        known = self.verify(verifier, good)
        for token in (handmade({"mercure": 1}), handmade(ALL, secret="x" * 32), "x"):
            self.refused(verifier, token)
        for number in range(MOST_KNOWN):
            self.refused(verifier, handmade({"exp": 1, "n": number}))
        self.assertIs(self.verify(verifier, good), known)

    def test_repr(self) -> None:
        """
        A token does not show its private content.
        """
        payload = {"mercure": {"payload": {"name": "Ada"}}, "sub": "7"}
        token = self.verify(self.verifier(), handmade(payload))
        self.assertNotIn("Ada", repr(token))
        self.assertEqual(token.payloadFor("x"), {"name": "Ada"})
