"""Two values that look alike under a mask, for every mask of a realistic set of rules."""

from random import Random

import pytest

from maskproxy.base.refs import ColumnRef, Location, Oid
from maskproxy.base.types import PG_TYPES
from maskproxy.cli.twins.candidates import Candidates
from maskproxy.cli.twins.layout import Types
from maskproxy.cli.twins.pairs import alike, different, look_of, neighbours
from maskproxy.core.masks.definition import MaskRule, Misfit, bind
from maskproxy.core.masks.table import MASKS
from maskproxy.core.policy.decision import ColumnMask

NO_TYPES = Types(labels={}, bases={}, ranges={}, fields={})
OIDS = {"text": 25, "integer": 23, "bigint": 20, "numeric": 1700, "date": 1082, "text[]": 1009}
CASES = [
    ("text", {"mask": "partial", "keep_last": 4}),
    ("text", {"mask": "partial", "keep_first": 3, "keep_last": 2}),
    ("text", {"mask": "email"}),
    ("text", {"mask": "redact"}),
    ("text[]", {"mask": "redact"}),
    ("integer", {"mask": "bucket", "width": 100}),
    ("numeric", {"mask": "round", "to": 1000}),
    ("numeric", {"mask": "round", "to": 10}),
]


def mask_of(type: str, rule: dict[str, object]) -> ColumnMask:
    column = ColumnRef("public", "t", "c")
    pg_type = PG_TYPES[Oid(OIDS[type])]
    made: MaskRule = MASKS[str(rule["mask"])](**rule)
    apply = bind(made, pg_type, -1, b"k" * 32)
    assert not isinstance(apply, Misfit)
    name = str(rule["mask"])
    return ColumnMask(
        name=name, label="l", column=column, type=pg_type, apply=apply, rule="masks.l", location=Location("r.yaml", 1)
    )


def candidates(type: str, rule: dict[str, object], count: int = 600) -> list[str]:
    return Candidates(NO_TYPES, Random(1)).of(type, count, str(rule["mask"]))


@pytest.mark.parametrize(("type", "rule"), CASES)
def test_pairs_differ_and_look_alike(type: str, rule: dict[str, object]) -> None:
    look = look_of([mask_of(type, rule)])
    pairs = alike(candidates(type, rule), look)
    assert len(pairs) >= 20
    assert all(pair.left != pair.right and look(str(pair.left)) == look(str(pair.right)) for pair in pairs)
    everything = [value for pair in pairs for value in (pair.left, pair.right)]
    assert len(set(everything)) == len(everything)


def test_dates_look_alike_by_their_year() -> None:
    rule: dict[str, object] = {"mask": "truncate", "to": "year"}
    days = sorted({each[:10] for each in candidates("date", rule)})
    pairs = alike(days, look_of([mask_of("date", rule)]))
    assert len(pairs) >= 20
    assert all(str(pair.left)[:4] == str(pair.right)[:4] for pair in pairs)


def test_two_masks_must_both_show_the_same() -> None:
    rules: list[dict[str, object]] = [{"mask": "partial", "keep_last": 4}, {"mask": "partial", "keep_first": 2}]
    pairs = alike(candidates("text", rules[0]), look_of([mask_of("text", rule) for rule in rules]))
    assert pairs
    assert all((str(p.left)[:2], str(p.left)[-4:]) == (str(p.right)[:2], str(p.right)[-4:]) for p in pairs)


@pytest.mark.parametrize("type", ["text", "bigint"])
def test_tokens_of_neighbours_stand_in_one_order(type: str) -> None:
    """Whatever sorts tokens sorts those of both twins alike."""
    rule: dict[str, object] = {"mask": "token"}
    look = look_of([mask_of(type, rule)])
    pairs = neighbours(candidates(type, rule, 3_000), look, 20)
    assert len(pairs) == 20
    assert all(pair.looks == (look(str(pair.left))[0], look(str(pair.right))[0]) for pair in pairs)
    tokens = [pair.looks for pair in pairs if pair.looks]
    order = (lambda token: int(token)) if type == "bigint" else str
    assert sorted(range(20), key=lambda n: order(tokens[n][0])) == sorted(range(20), key=lambda n: order(tokens[n][1]))


def test_what_is_not_seen_just_differs() -> None:
    pairs = different(["a", "b", "c"])
    assert [(pair.left, pair.right) for pair in pairs] == [("a", "b")]
