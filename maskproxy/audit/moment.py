"""When something happened: a ULID, UTC to the microsecond, and the monotonic clock. Clocks come from the caller.

Compiled by Cython when a C compiler is there (``setup.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import cython

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)  # ten bits at a time
_RANDOM_BITS = 80
_RANDOM_BYTES: cython.Py_ssize_t = 10
_BLOCKS: cython.Py_ssize_t = 128  # that are asked for together
_COUNTED_BITS = 20  # of those; what is before them is written once and used again
_TAILS = tuple(pair.encode() for pair in _PAIRS)
_FRACTIONS = tuple(b"%03dZ" % number for number in range(1000))


@dataclass(frozen=True, slots=True)
class Moment:
    id: str  # ULID: sorts by time
    ts: str  # 2026-01-02T03:04:05.678901Z
    mono: int  # nanoseconds of the monotonic clock; comparable within one ``boot`` only

    @classmethod
    def of(cls, stamp: "Stamp") -> "Moment":
        return cls(stamp[0].decode(), stamp[1].decode(), stamp[2])


Stamp = tuple[bytes, bytes, int]
"""A moment as it stands in a record: the same three, id and time in ASCII."""


def ulid(milliseconds: int, randomness: int) -> str:
    """The 26 characters of 48 bits of time and 80 of randomness (https://github.com/ulid/spec)."""
    number = milliseconds << _RANDOM_BITS | randomness
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


@cython.cclass
class Moments:
    """Makes moments whose ids are unique and ascend, also while the wall clock stands still or goes back.

    Within a millisecond only the last four characters of an id and the last three digits of a time change, so the rest
    is kept."""

    _wall_ns: Callable[[], int]
    _mono_ns: Callable[[], int]
    _random: Callable[[int], bytes]
    _milliseconds: cython.longlong  # of the last id
    _high: int  # its randomness without the counted bits
    _counted: cython.int
    _id: bytes  # without the counted bits
    _shown: cython.longlong  # the millisecond of the last time
    _time: bytes
    _second: cython.longlong
    _date: str
    _block: bytes
    _at: cython.Py_ssize_t

    def __init__(self, wall_ns: Callable[[], int], mono_ns: Callable[[], int], random: Callable[[int], bytes]) -> None:
        self._wall_ns = wall_ns
        self._mono_ns = mono_ns
        self._random = random
        self._milliseconds = -1
        self._high = 0
        self._counted = 0
        self._id = b""
        self._shown = -1
        self._time = b""
        self._second = -1
        self._date = ""
        self._block = b""
        self._at = 0

    def now(self) -> Moment:
        return Moment.of(self.stamp())

    def stamp(self) -> Stamp:
        microseconds: cython.longlong = self._wall_ns() // 1000
        milliseconds: cython.longlong = microseconds // 1000
        counted: cython.int = self._counted + 1
        if milliseconds > self._milliseconds or counted >> _COUNTED_BITS:
            counted = self._begin(milliseconds)
        self._counted = counted
        if milliseconds != self._shown:
            self._show(milliseconds)
        return (
            self._id + _TAILS[counted >> 10] + _TAILS[counted & 1023],
            self._time + _FRACTIONS[microseconds - milliseconds * 1000],
            self._mono_ns(),
        )

    def _begin(self, milliseconds: int) -> int:
        """What ids begin with from now on; returns the first counted bits."""
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            # One bit is left free, so that counting up within a millisecond cannot overflow.
            randomness = int.from_bytes(self._some()) >> 1
        else:
            randomness = (self._high + 1) << _COUNTED_BITS
        self._high = randomness >> _COUNTED_BITS
        self._id = ulid(self._milliseconds, randomness)[: -_COUNTED_BITS // 5].encode()
        return randomness & ((1 << _COUNTED_BITS) - 1)

    def _some(self) -> bytes:
        """So much that a system call does not come with each millisecond."""
        if self._at >= len(self._block):
            self._block = self._random(_RANDOM_BYTES * _BLOCKS)
            self._at = 0
        self._at += _RANDOM_BYTES
        return self._block[self._at - _RANDOM_BYTES : self._at]

    def _show(self, milliseconds: int) -> None:
        self._shown = milliseconds
        second, fraction = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._date = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._time = f"{self._date}.{fraction:03d}".encode()
