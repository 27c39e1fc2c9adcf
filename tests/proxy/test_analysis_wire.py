"""What crosses between a worker and its analysts, and what must not."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from maskproxy.base.errors import ColumnRefused, LimitExceeded, StatementError
from maskproxy.core.plan import Plan
from maskproxy.proxy.analysis_wire import pack_policy, pack_result, unpack_policy, unpack_result
from maskproxy.session.enforce import Policy, make_plan

TEXT = "SELECT id, email, name FROM customers"


def analysed(policy: Policy, text: str) -> Plan | StatementError:
    """As an analyst does it."""
    brief = unpack_policy(pack_policy(policy))
    return unpack_result(pack_result(make_plan(text, brief.scope, brief.search_path, brief.stamp)), policy)


def test_a_plan_comes_back_with_the_workers_own_masks(policies: dict[str, Policy]) -> None:
    policy = policies["support"]
    plan, own = analysed(policy, TEXT), policy.decide(TEXT)
    assert isinstance(plan, Plan)
    assert isinstance(own, Plan)
    assert plan.statements[0].outputs == own.statements[0].outputs
    for mask in plan.statements[0].outputs or ():
        assert mask is None or mask is policy.scope.masks[mask.column]
    assert (plan.text, plan.sql, plan.stamp, plan.touches_masked) == (own.text, own.sql, own.stamp, own.touches_masked)
    assert plan.statements[0].analysis is not None
    assert own.statements[0].analysis is not None
    assert plan.statements[0].analysis == replace(own.statements[0].analysis, uses=())


def test_an_analyst_has_no_mask_function(policies: dict[str, Policy]) -> None:
    masks = unpack_policy(pack_policy(policies["support"])).scope.masks
    assert masks.keys() == policies["support"].scope.masks.keys()
    assert all(mask.apply is None and mask.recipe is None for mask in masks.values())


@pytest.mark.parametrize("text", ["SELECT ssn || 'x' FROM payroll", "SELECT nothing FROM customers", "SELEC 1"])
def test_a_refusal_comes_back_whole(policies: dict[str, Policy], text: str) -> None:
    refusal, own = analysed(policies["support"], text), policies["support"].decide(text)
    assert isinstance(own, StatementError)
    assert type(refusal) is type(own)
    assert vars(refusal) == vars(own)


def test_a_refusal_names_its_column(policies: dict[str, Policy]) -> None:
    column = next(iter(policies["support"].scope.masks))
    error = ColumnRefused("permission denied", column=column, rule="masks.pii", location=None, hint="ask")
    back = unpack_result(pack_result(error), policies["support"])
    assert isinstance(back, ColumnRefused)
    assert (back.column, back.rule, back.hint, back.message) == (column, "masks.pii", "ask", "permission denied")


class Evil:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


def test_bytes_that_name_code_run_none(policies: dict[str, Policy], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no result"):
        unpack_result(pickle.dumps(Evil(tmp_path / "here")), policies["support"])
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        pickle.dumps(7),
        pickle.dumps(LimitExceeded),
        pickle.dumps(pack_policy),
        pickle.dumps({"a": "plan"}),
        pack_result(LimitExceeded("x"))[:-3],
    ],
)
def test_anything_else_is_no_result(policies: dict[str, Policy], data: bytes) -> None:
    with pytest.raises(ValueError, match="no result"):
        unpack_result(data, policies["support"])
