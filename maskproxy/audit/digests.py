"""Keyed digests: equal values can be matched by whoever holds the key, and nobody else can test a guess.

A plain hash of a text with a short literal, or of a birth date, is found by trying; hence HMAC-SHA-256 with the audit
key, cut to 128 bits. There is deliberately no salt: the same parameter in two records must be recognisable as the same.
Parameters are digested as the client sent them, so text and binary forms of one value differ.
"""

import hashlib
import hmac
from collections.abc import Callable

from maskproxy.base.secret import Secret

TEXT, PARAMETER = b"text\0", b"parameter\0"  # what goes before the value
_LENGTH = 16

Hmac = Callable[[bytes], bytes]
"""HMAC-SHA-256 under the audit key of ``TEXT`` or ``PARAMETER`` and the value."""


def text_digest(key: Secret[bytes], text: str) -> str:
    """Digest of a statement's text, literals included."""
    return _digest(key, TEXT, _bytes(text))


def parameter_digest(key: Secret[bytes], value: bytes | None) -> str | None:
    """Digest of one parameter; NULL is None, it hides nothing."""
    return None if value is None else _digest(key, PARAMETER, value)


def shape_digest(stripped: str) -> str:
    """Digest of a text without literals, to group statements of one shape. Needs no key."""
    return hashlib.sha256(_bytes(stripped)).digest()[:_LENGTH].hex()


class Digests:
    """The same for many values: ``text`` and ``parameter`` are functions that have prepared the key."""

    __slots__ = ("_parameter", "_text")

    def __init__(self, text: Hmac, parameter: Hmac) -> None:
        self._text = text
        self._parameter = parameter

    def text(self, text: str) -> str:
        return self._text(_bytes(text))[:_LENGTH].hex()

    def parameter(self, value: bytes) -> str:
        return self._parameter(value)[:_LENGTH].hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _digest(key: Secret[bytes], domain: bytes, value: bytes) -> str:
    return hmac.digest(key.reveal(), domain + value, "sha256")[:_LENGTH].hex()
