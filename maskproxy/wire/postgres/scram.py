"""SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it ("SASL Authentication" chapter), both sides.

    client-first   n,,n=,r=<client nonce>           the name is empty: the startup packet holds it
    server-first   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
    client-final   c=<gs2 header>,r=<nonces>,p=<proof>
    server-final   v=<server signature>

The server side has two properties beyond the RFC. A principal may hold several valid credentials: they share one salt
and the proof is tried against each, always all of them. An unknown principal gets a verifier of its own that takes the
same work and can never match, so that nothing tells it from a wrong password.

Channel binding ends at a proxy that terminates TLS, so SCRAM-SHA-256-PLUS is not offered.
Nonces come from the caller: nothing here is random.
"""

import re
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac, sha256
from hmac import compare_digest, digest

from maskproxy.base.errors import ProtocolError

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 4096  # PostgreSQL's default (scram_iterations); real and mock verifiers must not differ in it
MAX_ITERATIONS = 1_000_000  # a hostile server may ask for more work than we are ready to do
SALT_SIZE = 16
KEY_SIZE = 32

_HASH = "sha256"
_PRINTABLE = "[!-+\\--~]+"  # RFC 5802, section 7: printable ASCII but the comma
_BASE64 = "[A-Za-z0-9+/]+={0,2}"
_EXTENSIONS = "(?:,[A-Za-z]=[^,\0]*)*"  # unknown ones are ignored; a mandatory one (m=) comes first and so never fits
_CLIENT_FIRST = re.compile(f"(?P<gs2>[ny],,)(?P<bare>n=[^,\0]*,r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS})")
_CLIENT_FINAL = re.compile(
    f"(?P<bare>c=(?P<gs2>{_BASE64}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS}),p=(?P<proof>{_BASE64})"
)
_SERVER_FIRST = re.compile(
    f"r=(?P<nonce>{_PRINTABLE}),s=(?P<salt>{_BASE64}),i=(?P<iterations>[1-9][0-9]{{0,9}}){_EXTENSIONS}"
)
_SERVER_FINAL = re.compile(f"v=(?P<signature>{_BASE64}){_EXTENSIONS}")


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server stores of one password. Whoever has them can play the server, so they are never shown."""

    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


_DUMMY = ScramKeys(bytes(KEY_SIZE), bytes(KEY_SIZE))


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """Several credentials of one principal under one salt; without keys nothing can match."""

    salt: bytes = field(repr=False)
    iterations: int
    keys: tuple[ScramKeys, ...]


def saslprep(password: str) -> str:
    """Normalise as RFC 4013 says; what it prohibits is used as it is, like PostgreSQL's ``pg_saslprep`` callers do."""
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    return prepared if prepared and _allowed(prepared) else password


_PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _allowed(prepared: str) -> bool:
    if any(prohibited(character) for character in prepared for prohibited in _PROHIBITED):
        return False
    if not any(map(stringprep.in_table_d1, prepared)):
        return True
    # RFC 3454, section 6: right-to-left text starts and ends so and holds nothing left-to-right
    ends = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
    return ends and not any(map(stringprep.in_table_d2, prepared))


Salting = Callable[[str, bytes, int], bytes]
"""``salted_password``, or a cache of it for passwords that are used again and again."""


def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    """Return what all keys of a password come from (SaltedPassword in RFC 5802, section 3). Slow by design."""
    secret = saslprep(password).encode("utf-8", "surrogateescape")
    return pbkdf2_hmac(_HASH, secret, salt, iterations)


def _client_key(salted: bytes) -> tuple[bytes, ScramKeys]:
    client_key = digest(salted, b"Client Key", _HASH)
    return client_key, ScramKeys(sha256(client_key).digest(), digest(salted, b"Server Key", _HASH))


def derive_keys(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramKeys:
    """Return what to store of a password (RFC 5802, section 3). Slow by design."""
    return _client_key(salted_password(password, salt, iterations))[1]


def mock_verifier(user: str, secret: bytes) -> ScramVerifier:
    """Return a verifier for an unknown principal: always the same salt for the same name, and no key that fits."""
    salt = digest(secret, user.encode("utf-8", "surrogateescape"), _HASH)[:SALT_SIZE]
    return ScramVerifier(salt, ITERATIONS, ())


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _printable(nonce: bytes | str) -> str:
    """Take text as it is and random bytes in base64."""
    return nonce if isinstance(nonce, str) else b64encode(nonce).decode()


def _fields(pattern: re.Pattern[str], message: bytes) -> re.Match[str]:
    try:
        fields = pattern.fullmatch(message.decode("utf-8"))
    except UnicodeDecodeError:
        fields = None
    if fields is None:
        raise ProtocolError("malformed SCRAM message")
    return fields


def _base64(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except ValueError:
        raise ProtocolError("malformed SCRAM message", detail="A field is not base64.") from None


class ScramServer:
    """One exchange as a server: ``first``, then ``final``. ``matched`` is the index of the key the proof fits, or None.

    Both raise ProtocolError for a malformed message; a wrong proof is not an error but None from ``final``.
    """

    def __init__(self, verifier: ScramVerifier, nonce: bytes | str) -> None:
        self.matched: int | None = None
        self._verifier = verifier
        self._nonce = _printable(nonce)
        self._gs2 = ""
        self._transcript = ""

    def first(self, client_first: bytes) -> bytes:
        fields = _fields(_CLIENT_FIRST, client_first)
        self._gs2 = fields["gs2"]
        self._nonce = fields["nonce"] + self._nonce
        salt = b64encode(self._verifier.salt).decode()
        server_first = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        self._transcript = f"{fields['bare']},{server_first}"
        return server_first.encode()

    def final(self, client_final: bytes) -> bytes | None:
        """Return the server's final message, or None when the proof fits no key."""
        fields = _fields(_CLIENT_FINAL, client_final)
        if _base64(fields["gs2"]) != self._gs2.encode():
            raise ProtocolError("SCRAM channel binding check failed")
        if fields["nonce"] != self._nonce:
            raise ProtocolError("SCRAM nonces do not match")
        proof = _base64(fields["proof"])
        if len(proof) != KEY_SIZE:
            raise ProtocolError("malformed SCRAM message", detail="The proof has a wrong length.")
        transcript = f"{self._transcript},{fields['bare']}".encode()
        keys = self._verifier.keys or (_DUMMY,)
        fits = [self._fits(key, proof, transcript) for key in keys]  # no early end: time must not tell which fitted
        if not any(fits) or not self._verifier.keys:
            return None
        self.matched = fits.index(True)
        return b"v=" + b64encode(digest(keys[self.matched].server_key, transcript, _HASH))

    @staticmethod
    def _fits(keys: ScramKeys, proof: bytes, transcript: bytes) -> bool:
        client_key = _xor(proof, digest(keys.stored_key, transcript, _HASH))
        return compare_digest(sha256(client_key).digest(), keys.stored_key)


class ScramClient:
    """One exchange as a client: ``first``, ``continue_``, ``finish``. Raises ProtocolError when the server cheats."""

    def __init__(self, password: str, nonce: bytes | str, salting: Salting = salted_password) -> None:
        self._password = password
        self._salting = salting
        self._nonce = _printable(nonce)
        self._transcript = b""
        self._server_key = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    @property
    def _bare(self) -> str:
        return f"n=,r={self._nonce}"

    def continue_(self, server_first: bytes) -> bytes:
        """Return the client's final message. The work the server may ask for is bounded by MAX_ITERATIONS."""
        fields = _fields(_SERVER_FIRST, server_first)
        nonce, iterations = fields["nonce"], int(fields["iterations"])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ProtocolError("SCRAM nonces do not match")
        if iterations > MAX_ITERATIONS:
            raise ProtocolError(f"SCRAM iteration count is above {MAX_ITERATIONS}")
        client_key, keys = _client_key(self._salting(self._password, _base64(fields["salt"]), iterations))
        final = f"c=biws,r={nonce}"  # base64 of "n,,"
        self._transcript = b",".join((self._bare.encode(), server_first, final.encode()))
        self._server_key = keys.server_key
        proof = _xor(client_key, digest(keys.stored_key, self._transcript, _HASH))
        return f"{final},p={b64encode(proof).decode()}".encode()

    def finish(self, server_final: bytes) -> None:
        """Check that the server knows the password, too."""
        signature = _base64(_fields(_SERVER_FINAL, server_final)["signature"])
        expected = digest(self._server_key, self._transcript, _HASH)
        if not self._server_key or not compare_digest(signature, expected):
            raise ProtocolError("the server's SCRAM signature is wrong")
