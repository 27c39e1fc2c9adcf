"""When something happened: a ULID, UTC to the microsecond, and the monotonic clock. Clocks come from the caller."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)  # ten bits at a time
_RANDOM_BITS = 80


@dataclass(frozen=True, slots=True)
class Moment:
    id: str  # ULID: sorts by time
    ts: str  # 2026-01-02T03:04:05.678901Z
    mono: int  # nanoseconds of the monotonic clock; comparable within one ``boot`` only


def ulid(milliseconds: int, randomness: int) -> str:
    """The 26 characters of 48 bits of time and 80 of randomness (https://github.com/ulid/spec)."""
    number = milliseconds << _RANDOM_BITS | randomness
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


class Moments:
    """Makes moments whose ids are unique and ascend, also while the wall clock stands still or goes back."""

    def __init__(self, wall_ns: Callable[[], int], mono_ns: Callable[[], int], random: Callable[[int], bytes]) -> None:
        self._wall_ns = wall_ns
        self._mono_ns = mono_ns
        self._random = random
        self._milliseconds = -1
        self._randomness = 0
        self._second = -1
        self._second_text = ""

    def now(self) -> Moment:
        microseconds = self._wall_ns() // 1000
        milliseconds = microseconds // 1000
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            # One bit is left free, so that counting up within a millisecond cannot overflow.
            self._randomness = int.from_bytes(self._random(_RANDOM_BITS // 8)) >> 1
        else:
            self._randomness += 1
        return Moment(ulid(self._milliseconds, self._randomness), self._iso(microseconds), self._mono_ns())

    def _iso(self, microseconds: int) -> str:
        second, fraction = divmod(microseconds, 1_000_000)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{fraction:06d}Z"
