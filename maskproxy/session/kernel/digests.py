# cython: boundscheck=False, wraparound=False
"""HMAC-SHA-256 (RFC 2104) of many short values under one key.

The states of SHA-256 behind the key's two blocks are computed once and copied for each value: setting up the key is
most of the cost otherwise. They are OpenSSL's ``SHA256_CTX``, plain memory that begins with the eight words of the
state (openssl/sha.h), used through the libcrypto that Python's own ``_hashlib`` is linked with: by address, as headers
may not be there. ``SHA256_Transform`` is old and public; ``EVP_MD_CTX_copy_ex``, of the interface that came after it,
allocates memory for every copy. Where it is not found, or does not give what ``hmac`` gives, copies of Python's hash
objects do the same, more slowly.
"""

import ctypes
import hashlib
import hmac

import cython

from maskproxy.base.secret import Secret

if cython.compiled:
    from cython.cimports.libc.string import memcpy, memset
    from cython.cimports.maskproxy.session.kernel.digests import Transform

Functions = tuple[int, int]
"""Addresses of SHA256_Init and SHA256_Transform."""

_INNER, _OUTER = 0x36, 0x5C
_BLOCK = cython.declare(cython.Py_ssize_t, 64)  # bytes that SHA-256 takes at a time
_SIZE = cython.declare(cython.Py_ssize_t, 32)  # of a digest, and of the state within a context
_CONTEXT = 256  # bytes; SHA256_CTX has 112


class Keyed:
    """``compute`` leaves its result in ``digest``."""

    def __init__(self, key: Secret[bytes], prefix: bytes, functions: Functions | None = None) -> None:
        """``prefix`` goes before each value. Without OpenSSL's ``functions`` hash objects are copied."""
        if len(prefix) >= _BLOCK:
            raise ValueError("a prefix is shorter than a block")
        inner, outer = (bytes(byte ^ pad for byte in _block(key.reveal())) for pad in (_INNER, _OUTER))
        self._digest = bytearray(_SIZE)
        self.digest = self._digest
        self._prefix = prefix
        self._inner_hash = hashlib.sha256(inner + prefix)
        self._outer_hash = hashlib.sha256(outer)
        if cython.compiled:
            self._transform = cython.NULL
            if functions is not None:
                self._transform = cython.cast(Transform, cython.cast(cython.size_t, functions[1]))
                self._inner, self._outer = _state(inner, functions), _state(outer, functions)
                self._context = bytearray(_CONTEXT)
                self._block = bytearray(_BLOCK)
                # the outer message is one digest behind one block: 96 bytes, in bits at the end (FIPS 180-4, 5.1.1)
                self._outer_block = bytearray(_SIZE) + b"\x80" + (96 * 8).to_bytes(31, "big")

    def compute(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        if cython.compiled and self._transform != cython.NULL:
            return self._compiled(source, start, size)
        value: bytes = source[start : start + size]
        inner = self._inner_hash.copy()
        inner.update(value)
        outer = self._outer_hash.copy()
        outer.update(inner.digest())
        self._digest[:] = outer.digest()
        return 0

    def _compiled(self, source: cython.p_const_uchar, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        if cython.compiled:
            context: cython.p_uchar = self._context
            block: cython.p_uchar = self._block
            state: cython.p_const_uchar = self._inner
            prefix: cython.p_const_uchar = self._prefix
            filled: cython.Py_ssize_t = len(self._prefix)
            bits: cython.ulonglong = 8 * cython.cast(cython.ulonglong, _BLOCK + filled + size)
            memcpy(context, state, _SIZE)
            memcpy(block, prefix, filled)
            while size >= _BLOCK - filled:
                memcpy(block + filled, source + start, _BLOCK - filled)
                self._transform(context, block)
                start += _BLOCK - filled
                size -= _BLOCK - filled
                filled = 0
            memcpy(block + filled, source + start, size)
            filled += size
            block[filled] = 0x80
            filled += 1
            if filled > _BLOCK - 8:
                memset(block + filled, 0, _BLOCK - filled)
                self._transform(context, block)
                filled = 0
            memset(block + filled, 0, _BLOCK - 8 - filled)
            _write(block, _BLOCK - 8, bits >> 32)
            _write(block, _BLOCK - 4, bits)
            self._transform(context, block)
            block = self._outer_block
            _write_state(block, context)
            state = self._outer
            memcpy(context, state, _SIZE)
            self._transform(context, block)
            _write_state(self.digest, context)
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def _write_state(to: cython.p_uchar, context: cython.p_const_uchar) -> cython.void:
    """The words are as the machine has them; a digest has the first byte first."""
    words: cython.p_const_uint = cython.cast(cython.p_const_uint, context)
    number: cython.int
    for number in range(8):
        _write(to, 4 * number, words[number])


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _write(to: cython.p_uchar, at: cython.Py_ssize_t, word: cython.uint) -> cython.void:
    to[at] = word >> 24
    to[at + 1] = word >> 16 & 0xFF
    to[at + 2] = word >> 8 & 0xFF
    to[at + 3] = word & 0xFF


def _block(key: bytes) -> bytes:
    return (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")


def _state(block: bytes, functions: Functions) -> bytearray:
    """A SHA256_CTX that has seen one block."""
    state = bytearray(_CONTEXT)
    context = ctypes.addressof((ctypes.c_char * _CONTEXT).from_buffer(state))
    init = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(functions[0])
    transform = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(functions[1])
    if init(context) != 1:
        raise ValueError("SHA-256 cannot be computed")
    transform(context, block)
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
        found = _address(library.SHA256_Init), _address(library.SHA256_Transform)
    except (ImportError, AttributeError, OSError):
        return None
    key, prefix = bytes(range(40)), b"text\0"
    try:
        tried = Keyed(Secret(key), prefix, found)
    except ValueError:
        return None
    texts = [b"x" * size for size in (*range(140), 1000)]
    right = all(digest_of(tried, text) == hmac.digest(key, prefix + text, "sha256") for text in texts)
    return found if right else None


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


FUNCTIONS = _functions()
