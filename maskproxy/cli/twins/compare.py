"""Both twins are told the same, and what they send is compared byte by byte.

Nothing is left out but the name of the twin's own database and tokens, which differ: the right twin's are put in terms
of the left one's first.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Final

from maskproxy.base.refs import ColumnRef
from maskproxy.cli.twins.statements import Play
from maskproxy.cli.twins.transcript import Address, Frame, RawSession, raw_session, render
from maskproxy.wire.postgres.backend_messages import IDLE, BackendType

SESSION_PLAYS: Final = 25
_REFUSED: Final = tuple(f"C{code}\0".encode() for code in ("42501", "42601", "42P01", "42703", "0A000", "54000"))
_SHOWN: Final = 3  # frames of a difference


@dataclass(frozen=True, slots=True)
class Difference:
    """Statements that the twins answered differently. The values in the answers were generated."""

    play: Play
    left: str
    right: str


@dataclass(slots=True)
class Results:
    """``endings``: by column, how its statements ended: ``served``, ``refused``, ``failed``, ``differs``."""

    endings: dict[ColumnRef, Counter[str]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unsteady: int = 0

    def add(self, play: Play, ending: str) -> None:
        self.endings.setdefault(play.target.column, Counter())[ending] += 1


class Tokens:
    """Of the right twin's tokens the left one's: as text, and as they are in binary."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        known = {right.encode(): left.encode() for right, left in tokens.items()}
        self._known = dict(known)
        words = "|".join(sorted((re.escape(right) for right in tokens), key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])".encode()) if tokens else None
        binary: dict[bytes, bytes] = {}
        for right, left in tokens.items():
            binary |= dict(zip(_binary(right), _binary(left), strict=False))
        self._known |= binary
        self._binary = re.compile(b"|".join(map(re.escape, binary)), re.DOTALL) if binary else None

    def replace(self, payload: bytes) -> bytes:
        for pattern in (self._pattern, self._binary):
            if pattern is not None:
                payload = pattern.sub(lambda found: self._known[found[0]], payload)
        return payload


def _binary(token: str) -> list[bytes]:
    """Numbers of four and eight bytes, UUIDs, bytea."""
    if token.isdecimal():
        number = int(token)
        return [number.to_bytes(size) for size in (4, 8) if number < 1 << (8 * size - 1)]
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", token):
        return [bytes.fromhex(token.replace("-", ""))]
    return [bytes.fromhex(token[2:])] if re.fullmatch(r"\\+x[0-9a-f]{32}", token) else []


class Comparison:
    def __init__(self, addresses: Sequence[Address], names: Sequence[str], tokens: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._names = [name.encode() for name in names]
        self._tokens = Tokens(tokens)
        self.results = Results()

    def run(self, plays: Iterator[Play]) -> Results:
        with ThreadPoolExecutor(2) as threads:
            while batch := list(islice(plays, SESSION_PLAYS)):
                answers = threads.map(lambda side: self._ask(side, batch), (0, 1))
                for play, left, right in zip(batch, *answers, strict=True):
                    self._judge(play, left, right)
        return self.results

    def _ask(self, side: int, plays: Sequence[Play]) -> list[list[Frame]]:
        """One session; another where the last one was closed."""
        answers: list[list[Frame]] = []
        while len(answers) < len(plays):
            with raw_session(self._addresses[side]) as session:
                for play in plays[len(answers) :]:
                    answers.append(self._normal(side, list(_perform(session, play))))
                    if not session.open:
                        break
        return answers

    def _normal(self, side: int, frames: list[Frame]) -> list[Frame]:
        if side == 0:
            return frames
        own, other = self._names[1], self._names[0]
        return [(kind, self._tokens.replace(payload.replace(own, other))) for kind, payload in frames]

    def _judge(self, play: Play, left: list[Frame], right: list[Frame]) -> None:
        if left != right:
            first, again = self._ask(0, [play])[0], self._ask(0, [play])[0]
            other = self._ask(1, [play])[0]
            if first != again or first == other:  # a clock, a plan: it tells nothing of the twin
                self.results.unsteady += 1
            else:
                self.results.add(play, "differs")
                self.results.differences.append(_difference(play, first, other))
                return
        self.results.add(play, _ending(left))


def _perform(session: RawSession, play: Play) -> list[Frame]:
    """As simple queries; a single one then prepared, for text and for binary results."""
    start = len(session.frames) if session.open else 0  # a login that is refused is the answer
    for statement in play.statements:
        session.query(statement)
    if session.status != IDLE:
        session.query("ROLLBACK")
    if len(play.statements) == 1:
        session.execute_twice(play.statements[0])
    return session.frames[start:]


def _ending(frames: Sequence[Frame]) -> str:
    errors = [payload for kind, payload in frames if kind in (BackendType.ERROR_RESPONSE, 0)]
    if not errors:
        return "served"
    return "refused" if any(code in each for each in errors for code in _REFUSED) else "failed"


def _difference(play: Play, left: Sequence[Frame], right: Sequence[Frame]) -> Difference:
    pairs = [(a, b) for a, b in zip_longest(left, right, fillvalue=(0, b"nothing more")) if a != b][:_SHOWN]
    return Difference(play, *("\n".join(_readable(frame) for frame in side) for side in zip(*pairs, strict=True)))


def _readable(frame: Frame) -> str:
    """Binary values with a dot for what cannot be printed."""
    return "".join(each if each.isprintable() else "." for each in render([frame]))
