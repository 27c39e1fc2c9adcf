"""How records travel to the recorder over its unix socket, and how it answers.

    worker -> recorder    u32 length, record      big endian; one JSON object of at most MAX_RECORD bytes
    recorder -> worker    u64 count, u64 index    the answer to all records of this connection up to ``count``

``count`` numbers the records of one connection from 1. An answer covers the records since the answer before. ``index``
is the place in the log of the last of them, and those before it have the indexes before it; or it is ``REFUSED``: none
of them is recorded, and nobody will try again. Requests are pipelined; answers come in order.
"""

from collections.abc import Iterator
from struct import Struct

LENGTH = Struct(">I")
ANSWER = Struct(">QQ")
REFUSED = 2**64 - 1

MAX_LINE = 65_535  # a leaf of the C2SP tlog-tiles format carries its length in 16 bits
MAX_RECORD = MAX_LINE - len(b'"i":18446744073709551615,')  # the recorder adds the index


class FramingError(Exception):
    """The other side does not keep to the format; the connection is closed."""


def encode_record(record: bytes) -> bytes:
    """Raises FramingError when the record is longer than may be sent."""
    if len(record) > MAX_RECORD:
        raise FramingError(f"a record of {len(record)} bytes is over the limit of {MAX_RECORD}")
    return LENGTH.pack(len(record)) + record


def take_answers(buffer: bytearray) -> Iterator[tuple[int, int | None]]:
    """Removes all whole answers: (count, index), index None for REFUSED."""
    whole = len(buffer) // ANSWER.size * ANSWER.size
    answers = bytes(buffer[:whole])
    del buffer[:whole]
    for count, index in ANSWER.iter_unpack(answers):
        yield count, None if index == REFUSED else index
