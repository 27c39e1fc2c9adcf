"""Keyed digests: equal values can be matched by whoever holds the key, and nobody else can test a guess.

A plain hash of a text with a short literal, or of a birth date, is found by trying; hence HMAC-SHA-256 with the audit
key, cut to 128 bits. There is deliberately no salt: the same parameter in two records must be recognisable as the same.
Parameters are digested as the client sent them, so text and binary forms of one value differ.
"""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from maskproxy.base.secret import Secret

if TYPE_CHECKING:
    from hashlib import _Hash

_LENGTH = 16
_BLOCK = 64  # bytes of SHA-256's


def text_digest(key: Secret[bytes], text: str) -> str:
    """Digest of a statement's text, literals included."""
    return _digest(key, b"text\0", text.encode("utf-8", "surrogatepass"))


def parameter_digest(key: Secret[bytes], value: bytes | None) -> str | None:
    """Digest of one parameter; NULL is None, it hides nothing."""
    return None if value is None else _digest(key, b"parameter\0", value)


def shape_digest(stripped: str) -> str:
    """Digest of a text without literals, to group statements of one shape. Needs no key."""
    return hashlib.sha256(stripped.encode("utf-8", "surrogatepass")).digest()[:_LENGTH].hex()


def _digest(key: Secret[bytes], domain: bytes, value: bytes) -> str:
    """HMAC (RFC 2104) of ``domain`` and ``value``, from copies of what is the same each time: ``hmac.digest`` takes
    nearly three times as long."""
    inside, outside = _begun(key, domain)
    inner, outer = inside.copy(), outside.copy()
    inner.update(value)
    outer.update(inner.digest())
    return outer.hexdigest()[: 2 * _LENGTH]


@lru_cache(maxsize=8)
def _begun(key: Secret[bytes], domain: bytes) -> "tuple[_Hash, _Hash]":
    secret = key.reveal()
    if len(secret) > _BLOCK:
        secret = hashlib.sha256(secret).digest()
    padded = secret.ljust(_BLOCK, b"\0")
    inside, outside = (hashlib.sha256(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    inside.update(domain)
    return inside, outside
