"""Lines of the log in short: what the narrow reader says is what the parser says."""

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maskproxy.audit.plain import COMPILED, Entry, parse_line, read_entry

LINES = [
    b'{"i":0,"id":"01A","type":"stmt.intent"}',
    b'{"i":12,"actor":{"id":"no","type":[{"ref":"no"}]},"id":"01A","ref":"01B","type":"stmt.outcome"}',
    b'{"i":7,"id":null,"ref":"","type":1}',
    b'{"i":7,"id":"a","id":2,"ref":3,"ref":"b","type":"x","type":{"type":"y"}}',
    b'{"i":7,"id":"a\\"b","ref":"\\\\","type":"\\u0041"}',
    b'{"i":7,"id":"\xc3\xa9"}',
    b'{"i":7,"id":"' + b"long" * 20 + b'\x7f","ref":"' + b"more" * 20 + b'\\n"}',
    b'{"i":7,"i":8,"id":"a"}',
    b'{"id":"a","i":8}',
    b'{"i":99999999999999999,"a":[null,1.5,{"b":"c"}]}',
    *(
        b'{"i":99999999999999999999,"a":1}',
        b'{"i":1.5,"a":1}',
        b'{"i":"1","a":1}',
        b'{"i":-1,"a":1}',
        b'{"i":01,"a":1}',
    ),
    *(b'{"i":1}', b'{"i":1,}', b'{"i":1,"a":1', b'{"i":1,"a":1}}', b'{"i": 1, "id": "a"}', b'{"i":,"a":1}', b'{"i":'),
    *(b"", b"{", b"\0" * 40, b"[1]", b'{"i"', b'{"a":1}', b'{"i":1 "a":2}', b'{"i":1,"id":"a'),
]


def told_by_the_parser(line: bytes) -> Entry | None:
    record = parse_line(line)
    if record is None:
        return None
    texts = (record.get(name) for name in ("type", "id", "ref"))
    return Entry(record["i"], *(each if isinstance(each, str) else None for each in texts))


@pytest.mark.parametrize("line", LINES)
def test_an_entry_is_what_the_parser_finds(line: bytes) -> None:
    assert read_entry(line) == told_by_the_parser(line)


@given(
    st.sampled_from(LINES),
    st.lists(
        st.tuples(
            st.integers(0, 250), st.integers(0, 2), st.sampled_from(b'{}[]":,\\idref0.1-nulty \n\x00\x1f\x7f\xc3')
        ),
        max_size=3,
    ),
)
@example(LINES[0], [(1, 0, ord("i"))])
def test_so_it_is_in_changed_lines(line: bytes, changes: list[tuple[int, int, int]]) -> None:
    for place, length, byte in changes:
        place %= len(line) + 1
        line = line[:place] + bytes([byte]) + line[place + length :]
    assert read_entry(line) == told_by_the_parser(line)


NAMES = st.sampled_from(["i", "id", "ref", "type", "types", "a"])
TEXTS = st.text(st.characters(min_codepoint=0x1E, max_codepoint=0x82), max_size=30) | st.text(max_size=9)
VALUES = st.recursive(
    TEXTS | st.none() | st.integers(0, 2**64 - 1) | st.floats(0, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.integers(0, 2**60), st.dictionaries(NAMES, VALUES, max_size=6))
def test_so_it_is_in_any_line(index: int, record: dict[str, object]) -> None:
    line = orjson.dumps({"i": index, **record})
    assert read_entry(line) == told_by_the_parser(line)


def test_the_parser_is_asked_about_what_is_not_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, not about what workers write; interpreted, about everything."""
    asked: list[bytes] = []
    monkeypatch.setattr("maskproxy.audit.plain.parse_line", lambda line: asked.append(line))
    plain, other = read_entry(LINES[1]), read_entry(LINES[4])
    assert other is None
    assert plain == (Entry(12, "stmt.outcome", "01A", "01B") if COMPILED else None)
    assert asked == [LINES[4]] if COMPILED else [LINES[1], LINES[4]]
