# cython: boundscheck=False, wraparound=False
"""HMAC-SHA-256 (RFC 2104) of many short values under one key.

The states of SHA-256 behind the key's two blocks are computed once and copied for each value: setting up the key is
most of the cost otherwise. They are OpenSSL's ``SHA256_CTX``, plain memory that may be copied (openssl/sha.h), used
through the libcrypto that Python's own ``_hashlib`` is linked with: by address, as headers may not be there. These
functions are old and public; ``EVP_MD_CTX_copy_ex``, which replaces them, allocates memory for every copy. Where
they are not found, or do not give what ``hmac`` gives, copies of Python's hash objects do the same, more slowly.
"""

import ctypes
import hashlib
import hmac

import cython

from maskproxy.base.secret import Secret

if cython.compiled:
    from cython.cimports.libc.string import memcpy
    from cython.cimports.maskproxy.session.kernel.digests import Final, Update

Functions = tuple[int, int, int]
"""Addresses of SHA256_Init, SHA256_Update and SHA256_Final."""

_BLOCK = 64
_INNER, _OUTER = 0x36, 0x5C
_SIZE = cython.declare(cython.size_t, 32)  # bytes of a digest
_CONTEXT = cython.declare(cython.size_t, 256)  # bytes; SHA256_CTX has 112


class Keyed:
    """``compute`` leaves its result in ``digest``."""

    def __init__(self, key: Secret[bytes], prefix: bytes, functions: Functions | None = None) -> None:
        """``prefix`` goes before each value. Without OpenSSL's ``functions`` hash objects are copied."""
        block = _block(key.reveal())
        self._digest = bytearray(_SIZE)
        self.digest = self._digest
        self._work = bytearray(_CONTEXT)
        inner, outer = (bytes(byte ^ pad for byte in block) for pad in (_INNER, _OUTER))
        inner += prefix
        self._inner_hash = hashlib.sha256(inner)
        self._outer_hash = hashlib.sha256(outer)
        if cython.compiled:
            self._update = cython.NULL
            if functions is not None:
                self._inner = _state(inner, functions)
                self._outer = _state(outer, functions)
                self._update = cython.cast(Update, cython.cast(cython.size_t, functions[1]))
                self._final = cython.cast(Final, cython.cast(cython.size_t, functions[2]))

    def compute(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        if cython.compiled and self._update != cython.NULL:
            work: cython.p_uchar = self._work
            state: cython.p_const_uchar = self._inner
            memcpy(work, state, _CONTEXT)
            if self._update(work, source + start, size) != 1 or self._final(self.digest, work) != 1:
                raise ValueError("SHA-256 cannot be computed")
            state = self._outer
            memcpy(work, state, _CONTEXT)
            if self._update(work, self.digest, _SIZE) != 1 or self._final(self.digest, work) != 1:
                raise ValueError("SHA-256 cannot be computed")
            return 0
        value: bytes = source[start : start + size]
        inner = self._inner_hash.copy()
        inner.update(value)
        outer = self._outer_hash.copy()
        outer.update(inner.digest())
        self._digest[:] = outer.digest()
        return 0


def _block(key: bytes) -> bytes:
    return (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")


def _state(start: bytes, functions: Functions) -> bytearray:
    """A SHA256_CTX that has seen ``start``."""
    state = bytearray(_CONTEXT)
    context = (ctypes.c_char * _CONTEXT).from_buffer(state)
    arguments = {0: (ctypes.c_void_p,), 1: (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)}
    init, update = (ctypes.CFUNCTYPE(ctypes.c_int, *arguments[each])(functions[each]) for each in arguments)
    if init(ctypes.addressof(context)) != 1 or update(ctypes.addressof(context), start, len(start)) != 1:
        raise ValueError("SHA-256 cannot be computed")
    return state


def keyed(key: Secret[bytes], prefix: bytes) -> Keyed:
    return Keyed(key, prefix, FUNCTIONS)


def digest_of(keyed: Keyed, value: bytes) -> bytes:
    keyed.compute(value, 0, len(value))
    return bytes(keyed.digest[:32])


def _functions() -> Functions | None:
    """OpenSSL's, if they do what they should."""
    if not cython.compiled:
        return None
    try:
        import _hashlib

        library = ctypes.CDLL(_hashlib.__file__)
        found = (_address(library.SHA256_Init), _address(library.SHA256_Update), _address(library.SHA256_Final))
    except (ImportError, AttributeError, OSError):
        return None
    key, prefix = bytes(range(40)), b"text\0"
    try:
        tried = Keyed(Secret(key), prefix, found)
    except ValueError:
        return None
    texts = [b"x" * size for size in (0, 1, 50, 51, 55, 56, 64, 119, 1000)]
    right = all(digest_of(tried, text) == hmac.digest(key, prefix + text, "sha256") for text in texts)
    return found if right else None


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


FUNCTIONS = _functions()
