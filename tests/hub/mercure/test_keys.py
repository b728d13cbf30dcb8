"""
Tests for L{twisted_sse.hub.mercure.keys}.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile

from cryptography.hazmat.primitives import serialization
from jwt.algorithms import get_default_algorithms
from twisted.trial.unittest import SynchronousTestCase

from tests.support.keys import SECRET, privateKey, privatePEM, publicPEM
from twisted_sse.checks import InvalidOption
from twisted_sse.hub.mercure.keys import ALGORITHMS, readKey, readSigningKey

#: The kind of key of each algorithm; none for a secret.
KINDS = {
    **dict.fromkeys(["HS256", "HS384", "HS512"], ""),
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}


class KeyCase(SynchronousTestCase):
    """
    Shared parts of these tests.
    """

    def refused(self, given: str, algorithm: str | None = None, private: bool = False) -> str:
        """
        Check that a key is refused.

        @return: the error, which begins with the name of the option and does not show any part of
            the key.
        """
        read = readSigningKey if private else readKey
        error = self.assertRaises(InvalidOption, read, "the-key", given, algorithm)
        text = str(error)
        self.assertTrue(text.startswith("the-key "), text)
        self.assertEqual(text.count("\n"), 0)
        for part in given.split():
            if len(part) > 20 and not given.startswith("file:"):
                self.assertNotIn(part, text)
        return text

    def write(self, content: bytes) -> str:
        """
        @return: C{file:PATH} of a file with this content.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "key")
        with open(path, "wb") as file:
            file.write(content)
        return f"file:{path}"


class ReadTests(KeyCase):
    """
    Tests for L{readKey}.
    """

    def test_everyAlgorithm(self) -> None:
        """
        For each algorithm a key verifies what PyJWT has signed with it, and nothing else.
        """
        self.assertEqual(set(KINDS), set(ALGORITHMS))
        for algorithm, kind in KINDS.items():
            key = readKey("key", publicPEM(kind) if kind else SECRET, algorithm)
            material = privateKey(kind) if kind else SECRET.encode()
            signature = get_default_algorithms()[algorithm].sign(b"signed", material)
            self.assertEqual(key.algorithm, algorithm)
            self.assertTrue(key.verify(b"signed", signature), algorithm)
            self.assertFalse(key.verify(b"changed", signature), algorithm)
            for wrong in (b"", signature[:-1], signature + b"x", bytes(len(signature))):
                self.assertFalse(key.verify(b"signed", wrong), algorithm)

    def test_usualAlgorithm(self) -> None:
        """
        Without an algorithm the key is for the usual one of its kind.
        """
        for kind, algorithm in (
            ("RSA", "RS256"),
            ("P-256", "ES256"),
            ("P-384", "ES384"),
            ("P-521", "ES512"),
            ("Ed25519", "EdDSA"),
            ("Ed448", "EdDSA"),
        ):
            self.assertEqual(readKey("key", publicPEM(kind)).algorithm, algorithm)
        self.assertEqual(readKey("key", SECRET).algorithm, "HS256")

    def test_unknownAlgorithm(self) -> None:
        """
        An algorithm that is not on the list is refused, above all C{none}.
        """
        for algorithm in ("none", "None", "hs256", "ES256K", "", "HS256 "):
            self.assertIn("it must be one of HS256", self.refused(SECRET, algorithm))

    def test_shortSecret(self) -> None:
        """
        A secret of less than 32 bytes is refused, whatever its number of characters.
        """
        self.assertIn("31 bytes", self.refused("x" * 31))
        self.assertIn("0 bytes", self.refused(""))
        # It may have been meant as the name of a file.
        self.assertIn("file:PATH", self.refused("key"))
        self.assertNotIn("file:PATH", self.refused(self.write(b"short")))
        for algorithm in ("HS256", "HS384", "HS512"):
            self.assertIn("at least 32", self.refused("short", algorithm))
            readKey("key", "x" * 32, algorithm)
        readKey("key", "\u00e9" * 16)

    def test_secretWithSpaces(self) -> None:
        """
        A secret with surrounding spaces or line ends is refused: it is easy to overlook that they
        are part of it.
        """
        for text in (
            f" {SECRET}",
            f"{SECRET} ",
            f"{SECRET}\n",
            f"{SECRET}\nanother",
            f"{SECRET}\0",
        ):
            self.assertIn("not printable", self.refused(text))

    def test_publicKeyAsSecret(self) -> None:
        """
        A public key is not accepted as a secret, in any form: anyone who has it could make tokens.
        """
        pem = publicPEM("RSA")
        self.assertIn("is PEM", self.refused(pem, "HS256"))
        public = privateKey("RSA").public_key()
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        der = public.public_bytes(serialization.Encoding.DER, spki)
        ssh = public.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        forms = {
            "PEM with its lines joined": pem.replace("\n", " "),
            "PEM with spaces around it": f"\n  {pem}  \n",
            "PEM in lower case": pem.lower(),
            "PEM with escaped line ends": pem.replace("\n", "\\n"),
            "PEM indented": pem.replace("\n", "\n    "),
            "a private key": privatePEM("P-256"),
            "a private key with a password": privatePEM("P-256", b"secret"),
            "DER in base64": base64.b64encode(der).decode(),
            "DER in base64, with lines": base64.encodebytes(der).decode(),
            "DER in base64url": base64.urlsafe_b64encode(der).decode().rstrip("="),
            "DER in hexadecimal": der.hex(),
            "SSH": ssh.decode(),
            "SSH with a comment": f" {ssh.decode()} me@here",
            "JWK": f' {{"kty": "oct", "k": "{SECRET}"}}',
            "JWK set": f'{{"keys": [{{"kty": "oct", "k": "{SECRET}"}}]}}',
        }
        for form, text in forms.items():
            for algorithm in ("HS256", "HS512"):
                self.assertTrue(self.refused(text, algorithm), form)
            if "P" not in form:
                self.assertTrue(self.refused(text), form)
        self.assertIn("not UTF-8", self.refused(self.write(der), "HS256"))

    def test_otherKind(self) -> None:
        """
        A key that does not fit the algorithm is refused, with an error that lists those that do.
        """
        self.assertIn("it is for ES256", self.refused(publicPEM("P-256"), "RS256"))
        self.assertIn("it is for ES384", self.refused(publicPEM("P-384"), "ES256"))
        self.assertIn("it is for EdDSA", self.refused(publicPEM("Ed25519"), "ES256"))
        self.assertIn("RS256 or", self.refused(publicPEM("RSA"), "EdDSA"))
        self.assertIn("needs a key in PEM", self.refused(SECRET, "RS256"))
        self.assertIn("no supported algorithm", self.refused(publicPEM("secp256k1")))

    def test_weakRSA(self) -> None:
        """
        An RSA key of less than 2048 bits is refused.
        """
        self.assertIn("1024 bits", self.refused(publicPEM("RSA1024")))

    def test_privateKey(self) -> None:
        """
        A private key is refused where tokens are only checked: anyone who reads the configuration
        could make tokens.  The error explains how to get the public key.
        """
        for password in (None, b"secret"):
            said = self.refused(privatePEM("P-256", password))
            self.assertIn("-pubout", said)

    def test_brokenPEM(self) -> None:
        """
        PEM without a readable key, or with several, is refused.
        """
        pem = publicPEM("P-256")
        self.assertIn("lines were joined", self.refused(pem.replace("-----END", "-----")))
        self.assertIn("2 blocks", self.refused(pem + publicPEM("P-384")))
        lines = pem.splitlines()
        self.assertIn("can be read", self.refused("\n".join([lines[0], lines[1], lines[-1]])))

    def test_certificate(self) -> None:
        """
        A certificate stands for its public key.
        """
        import datetime

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        key = privateKey("P-256")
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
        day = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 -- cryptography takes it for UTC
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
        pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        signature = get_default_algorithms()["ES256"].sign(b"signed", key)
        self.assertTrue(readKey("key", pem.decode()).verify(b"signed", signature))

    def test_file(self) -> None:
        """
        The line end at the end of a file is not part of the secret.
        """
        signature = get_default_algorithms()["HS256"].sign(b"signed", SECRET.encode())
        for end in ("", "\n", "\r\n"):
            key = readKey("key", self.write(f"{SECRET}{end}".encode()))
            self.assertTrue(key.verify(b"signed", signature))

    def test_badFile(self) -> None:
        """
        A file that cannot be read, is too large, or is not text is refused, with an error that
        names it.
        """
        self.assertIn("No such file", self.refused("file:/nowhere/at/all"))
        self.assertIn("is 'file:'", self.refused("file:"))
        self.assertIn("not UTF-8", self.refused("file:a\0b"))
        self.assertIn("Is a directory", self.refused("file:/"))
        self.assertIn("not UTF-8", self.refused(self.write(b"\xff" * 40)))
        self.assertIn("more than a key", self.refused(self.write(b"x" * 70000)))

    def test_repr(self) -> None:
        """
        A key is not shown.
        """
        self.assertEqual(repr(readKey("key", SECRET)), "<Key HS256>")
        self.assertEqual(repr(readSigningKey("key", SECRET)), "<SigningKey HS256>")


class SigningTests(KeyCase):
    """
    Tests for L{readSigningKey}.
    """

    def test_signs(self) -> None:
        """
        Its signatures are valid for the key that checks them.
        """
        for algorithm, kind in KINDS.items():
            signing = readSigningKey("key", privatePEM(kind) if kind else SECRET, algorithm)
            signature = signing.sign(b"signed")
            self.assertTrue(signing.checking().verify(b"signed", signature))
            configured = readKey("key", publicPEM(kind) if kind else SECRET, algorithm)
            self.assertTrue(configured.verify(b"signed", signature))

    def test_parameters(self) -> None:
        """
        The parameters that C{openssl ecparam -genkey} writes before the key do not count as a
        second key.
        """
        parameters = (
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        )
        readSigningKey("key", parameters + privatePEM("P-256"))

    def test_refused(self) -> None:
        """
        A public key, a key with a password, and a weak one are refused.
        """
        self.assertIn("only check tokens", self.refused(publicPEM("P-256"), private=True))
        self.assertIn("password", self.refused(privatePEM("P-256", b"secret"), private=True))
        self.assertIn("1024", self.refused(privatePEM("RSA1024"), private=True))
        self.assertIn("no supported algorithm", self.refused(privatePEM("secp256k1"), private=True))
        self.assertIn("it is for ES256", self.refused(privatePEM("P-256"), "RS256", True))
