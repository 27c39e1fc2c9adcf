"""Which keys the sessions of a scope have."""

import re

from maskproxy.base.limits import MAX_SESSION_KEYS
from maskproxy.base.refs import ColumnRef
from tests.core.policy.test_compile import rules
from tests.support.catalogs import read_catalog


def test_a_scope_has_the_keys_of_its_tokens_only_and_does_not_show_them() -> None:
    text = """
labels: {a: [public.customers.name], b: [public.customers.ssn], c: [public.customers.email]}
masks: {a: {mask: token}, b: {mask: token}, c: {mask: email}}
scopes:
  both: {select: [public.customers]}
  one: {select: [public.customers], clear: [b]}
  none: {select: [public.orders]}
"""
    found = rules(text).scopes
    assert [len(found[name].settings) for name in ("both", "one", "none")] == [4, 2, 0]
    assert found["one"].settings.keys() < found["both"].settings.keys()
    for name, secret in found["both"].settings.items():
        assert re.fullmatch(r"maskproxy\.token_[0-9a-f]{16}_(inner|outer)", name)
        assert secret.reveal() not in repr(found["both"])
    assert found["both"].masks[ColumnRef("public", "customers", "email")].sql is not None


def test_a_label_whose_key_does_not_fit_into_the_startup_message_is_null_where_it_is_used() -> None:
    number = MAX_SESSION_KEYS + 1
    columns = "\n".join(f"c{index} text" for index in range(number))
    labels = ", ".join(f"l{index:02}: [public.t.c{index}]" for index in range(number))
    masks = ", ".join(f"l{index:02}: {{mask: token}}" for index in range(number))
    text = f"labels: {{{labels}}}\nmasks: {{{masks}}}\nscopes: {{s: {{select: [public.t]}}}}\n"
    found = rules(text, read_catalog(f"CREATE TABLE public.t (\n{columns}\n);"))
    scope = found.scopes["s"]
    without = [column.column for column, mask in scope.masks.items() if mask.sql is None]
    assert without == [f"c{number - 1}"]
    assert all(mask.apply for mask in scope.masks.values())
    assert scope.expressions[ColumnRef("public", "t", without[0])] == "NULL::text"
    assert len(scope.settings) == 2 * MAX_SESSION_KEYS
    last = (
        f"public.t.c{number - 1} is NULL in statements of scope `s` that use it: mask `token` of label `l{number - 1}`"
    )
    assert [str(problem) for problem in found.warnings] == [f"r.yaml:4: {last} has no SQL form there"]
