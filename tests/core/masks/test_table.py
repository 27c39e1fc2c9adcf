"""What holds for every mask on every type it can be bound to."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.types import Domain
from maskproxy.core.masks.definition import MaskRule, Misfit, bind
from maskproxy.core.masks.table import MASKS, AnyMask
from tests.core.masks.columns import COLUMNS, KEY, ColumnType, fits, pad, values

RULES: list[dict[str, object]] = [
    {"mask": "null"},
    {"mask": "redact"},
    {"mask": "token"},
    {"mask": "token", "prefix": "person-", "length": 20},
    {"mask": "partial", "keep_last": 4},
    {"mask": "partial", "keep_first": 2, "keep_last": 1, "char": "•"},
    {"mask": "email"},
    {"mask": "bucket", "width": 10},
    {"mask": "bucket", "width": 0.25},
    {"mask": "round", "to": 1000},
    {"mask": "round", "to": 0.5},
    {"mask": "truncate", "to": "year"},
    {"mask": "truncate", "to": "month"},
    {"mask": "truncate", "to": "hour"},
]


def make(rule: dict[str, object]) -> MaskRule:
    return MASKS[str(rule["mask"])].model_validate(rule)


def bound_pairs() -> list[tuple[dict[str, object], ColumnType]]:
    return [
        (rule, column)
        for rule in RULES
        for column in COLUMNS
        if callable(bind(make(rule), column.type, column.typmod, KEY))
    ]


PAIRS = st.sampled_from(bound_pairs()).flatmap(lambda pair: st.tuples(st.just(pair), values(pair[1])))


@given(PAIRS)
def test_the_result_fits_the_column_or_is_null(drawn: tuple[tuple[dict[str, object], ColumnType], object]) -> None:
    (rule, column), value = drawn
    apply = bind(make(rule), column.type, column.typmod, KEY)
    assert callable(apply)
    masked = apply(value)
    assert masked is None or fits(masked, column)
    if isinstance(masked, str) and (column.type.element or column.type).domain is Domain.TEXT:
        assert pad(masked, column) == masked
    if isinstance(masked, str) and (column.type.element or column.type).domain is Domain.JSON:
        json.loads(masked)


@given(PAIRS)
def test_a_value_is_masked_the_same_way_every_time(drawn: tuple[tuple[dict[str, object], ColumnType], object]) -> None:
    (rule, column), value = drawn
    first, second = (bind(make(rule), column.type, column.typmod, KEY) for _ in range(2))
    assert callable(first)
    assert callable(second)
    assert first(value) == second(value)


KEEPING = st.sampled_from([pair for pair in bound_pairs() if not make(pair[0]).coarsens])


@given(KEEPING.flatmap(lambda pair: st.tuples(st.just(pair), values(pair[1]))))
def test_the_value_itself_never_comes_back(drawn: tuple[tuple[dict[str, object], ColumnType], object]) -> None:
    (rule, column), value = drawn
    apply = bind(make(rule), column.type, column.typmod, KEY)
    assert callable(apply)
    if apply(value) == value:
        assert looks_masked(rule, value)


def looks_masked(rule: dict[str, object], value: object) -> bool:
    """The fixed points: the constant of `redact`, and texts whose hidden part is mask characters already."""
    match rule:
        case {"mask": "redact"}:
            return True
        case {"mask": "partial" | "email"}:
            assert isinstance(value, str)
            local = value.rstrip(" ").rpartition("@")[0] if rule["mask"] == "email" and "@" in value[1:] else value
            hidden = local[2:] if "char" in rule else local[1:] if rule["mask"] == "email" else local[:-4]
            return all(char in "*•" for char in hidden.rstrip(" ")[: len(hidden) - 1]) or not value.strip(" *•@")
        case _:
            return False


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_a_mask_binds_or_says_why_not(rule: dict[str, object], column: ColumnType) -> None:
    bound = bind(make(rule), column.type, column.typmod, KEY)
    if isinstance(bound, Misfit):
        assert bound.reason
    else:
        assert (bound is None) == (rule["mask"] == "null")


def test_the_table_and_the_type_of_the_rules_file_name_the_same_masks() -> None:
    assert set(MASKS.values()) == set(get_args(get_args(AnyMask)[0]))
    for name, mask in MASKS.items():
        assert get_args(mask.model_fields["mask"].annotation) == (name,)
        assert mask.leaks
        assert mask.domains
    assert len({mask.rank for mask in MASKS.values()}) >= 6
