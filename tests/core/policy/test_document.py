import pytest

from maskproxy.base.errors import ConfigurationError
from maskproxy.core.policy.document import RulesDocument, json_schema
from tests.support.rules import ROOT, read_rules

HEAD = "version: 1\ndatabase: shop\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        RulesDocument.parse(text, "r.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("path", ["rules/demo.yaml", "rules/strict.yaml"])
def test_shipped_rules_are_valid_and_name_their_schema(path: str) -> None:
    document = read_rules(path)
    assert document.database == "shop"
    assert (ROOT / path).read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def test_the_schema_in_rules_is_the_one_of_the_models() -> None:
    # stale? python -m maskproxy.core.policy.document > rules/schema.json
    assert (ROOT / "rules/schema.json").read_text() == json_schema()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("database: shop\n", "r.yaml:1: `version` is missing"),
        ("version: 2\ndatabase: shop\n", "r.yaml:1: `version`: should be 1"),
        (HEAD + "lables: {}\n", "r.yaml:3: unknown key `lables`: did you mean `labels`?"),
        (HEAD + "labels:\n  a: public.t.c\n", "r.yaml:4: `labels.a`: should be a valid"),
        (HEAD + "masks:\n  a: {mask: parital}\n", "r.yaml:4: `masks.a`: unknown mask `parital`: did you mean"),
        (HEAD + "masks:\n  a: {mask: null}\n", 'r.yaml:4: `masks.a`: write the mask `null` in quotes: {mask: "null"}'),
        (HEAD + "masks:\n  a: redact\n", "r.yaml:4: `masks.a`: must be a mapping with the key `mask`"),
        (HEAD + "masks:\n  a: {mask: [x]}\n", "r.yaml:4: `masks.a`: unknown mask"),
        (HEAD + "masks:\n  a: {mask: partial, keep: 4}\n", "r.yaml:4: unknown key `keep`: did you mean `keep_last`?"),
        (HEAD + "masks:\n  a: {mask: round}\n", "r.yaml:4: `masks.a.to` is missing"),
        (HEAD + "masks:\n  a: {mask: truncate, to: week}\n", "r.yaml:4: `masks.a.to`: should be 'year', 'quarter'"),
        (HEAD + "scopes:\n  s: {use: {a: never}}\n", "r.yaml:4: `scopes.s.use.a`: should be 'refuse', 'masked'"),
        (HEAD + "scopes:\n  s: {unrestricted: yes}\n", "r.yaml:4: `scopes.s.unrestricted`: should be a valid boolean"),
        (
            HEAD + "scopes:\n  s: {unrestricted: true, select: [public.t], deny: []}\n",
            "r.yaml:4: `scopes.s`: an unrestricted scope takes no other keys: remove deny, select",
        ),
        (HEAD + "scopes:\n  s: {limits: {rows: 0}}\n", "r.yaml:4: `scopes.s.limits.rows`"),
    ],
)  # fmt: skip
def test_problems_have_their_line(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected), problems(text)


def test_the_example_of_the_design_is_of_this_format() -> None:
    text = (
        HEAD
        + """
labels: {pii.email: ["*.*.email"], pii.ssn: [public.customers.ssn]}
masks: {pii.email: {mask: email}, pii.ssn: {mask: partial, keep_last: 4}}
scopes:
  support:
    select: [public.customers, public.orders]
    deny:   [public.customers.notes]
    clear:  [pii.name]
    use:    {pii.ssn: refuse, pii.email: equality}
    rows:   {public.orders: "created_at > now() - interval '90 days'"}
    limits: {rows: 10000, statements_per_minute: 120, seconds: 30}
  support-write: {include: [support], insert: [public.orders], update: [public.orders.status]}
  break-glass: {unrestricted: true}
trust: {functions: [public.order_total]}
"""
    )
    assert set(RulesDocument.parse(text, "r.yaml").model.scopes) == {"support", "support-write", "break-glass"}
