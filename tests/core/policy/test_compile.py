"""What each scope sees, and every way in which rules can be wrong."""

import random

import pytest

from maskproxy.base.errors import ConfigurationError, Refused
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.compile import RuleSet, Scope
from maskproxy.core.policy.document import RulesDocument
from tests.support.catalogs import catalog, read_catalog
from tests.support.rules import compiled, read_rules

SHOP = catalog("shop")
HEAD = "version: 1\ndatabase: shop\n"


def rules(text: str, known: Catalog = SHOP) -> RuleSet:
    return compiled(known, RulesDocument.parse(HEAD + text, "r.yaml"))


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        rules(text)
    return str(caught.value).splitlines()


def sees(scope: Scope) -> dict[str, str]:
    """table.column to ``clear`` or the name of its mask, for what is visible."""
    return {
        f"{ref.name}.{column.name}": mask.name
        if (mask := scope.masks.get(ColumnRef(ref.schema, ref.name, column.name)))
        else "clear"
        for ref in scope.catalog.visible_tables()
        for column in scope.catalog.tables[ref].visible_columns
    }


def test_the_demo() -> None:
    demo = compiled(SHOP, read_rules("rules/demo.yaml"))
    assert demo.warnings == ()
    support = sees(demo.scopes["support"])
    assert {column for column in support if column.startswith("payroll")} == set()
    assert support == {
        "customers.id": "clear", "customers.name": "token", "customers.email": "email", "customers.ssn": "partial",
        "customers.phone": "partial", "customers.dob": "truncate", "customers.balance": "clear",
        "customers.created_at": "clear", "customers.tags": "clear",
        "orders.id": "clear", "orders.customer_id": "clear", "orders.total": "clear", "orders.status": "clear",
        "orders.created_at": "clear",
    }  # fmt: skip
    assert demo.scopes["break-glass"].unrestricted
    ssn = demo.scopes["support"].masks[ColumnRef("public", "customers", "ssn")]
    assert (ssn.rule, str(ssn.location), ssn.label) == ("masks.pii.ssn", "rules/demo.yaml:16", "pii.ssn")
    notes = demo.scopes["support"].denied[ColumnRef("public", "customers", "notes")]
    assert (notes.rule, str(notes.location)) == ("scopes.support.deny", "rules/demo.yaml:24")


def test_a_label_without_a_mask_is_denied_and_a_clear_label_needs_none() -> None:
    text = """
labels: {secret: [public.customers.ssn]}
scopes:
  a: {select: [public.customers]}
  b: {select: [public.customers], clear: [secret]}
"""
    found = rules(text)
    assert "customers.ssn" not in sees(found.scopes["a"])
    assert found.scopes["a"].denied[ColumnRef("public", "customers", "ssn")].rule == "labels.secret"
    assert sees(found.scopes["b"])["customers.ssn"] == "clear"


def test_a_column_with_several_labels_takes_the_strictest_mask_and_is_clear_only_if_all_are() -> None:
    text = """
labels: {a: [public.customers.ssn], b: ["*.*.ssn"], c: [public.customers.id]}
masks: {a: {mask: partial, keep_last: 4}, b: {mask: redact}, c: {mask: "null"}}
scopes:
  neither: {select: [public.customers]}
  one: {select: [public.customers], clear: [b]}
  both: {select: [public.customers], clear: [a, b]}
"""
    found = rules(text)
    assert [sees(found.scopes[name])["customers.ssn"] for name in ("neither", "one", "both")] == [
        "redact",
        "partial",
        "clear",
    ]


def test_a_mask_in_one_document_and_a_stricter_one_in_another() -> None:
    first = RulesDocument.parse(
        HEAD + "labels: {a: [public.customers.ssn]}\nmasks: {a: {mask: partial, keep_last: 4}}\n"
        "scopes: {s: {select: [public.customers]}}\n", "a.yaml"
    )  # fmt: skip
    second = RulesDocument.parse(HEAD + "masks: {a: {mask: partial, keep_last: 2}}\n", "b.yaml")
    for documents in ([first, second], [second, first]):
        found = compiled(SHOP, *documents)
        mask = found.scopes["s"].masks[ColumnRef("public", "customers", "ssn")]
        assert mask.location.file == "b.yaml"
        assert found.digest == compiled(SHOP, first, second).digest
    assert compiled(SHOP, first).digest != compiled(SHOP, first, second).digest


COMBINED = """
labels: {ssn: [public.customers.ssn], email: [public.customers.email], pay: [public.payroll.salary]}
masks: {ssn: {mask: partial}, email: {mask: email}, pay: {mask: round, to: 1000}}
scopes:
  a: {select: [public.customers], clear: [ssn, email]}
  b: {select: [public.customers], clear: [email], deny: [public.payroll.iban]}
  c: {select: [public.payroll]}
  d: {select: [public.orders], deny: [public.customers.phone, public.orders]}
  glass: {unrestricted: true}
"""


def test_several_scopes_are_as_strict_as_the_strictest() -> None:
    found = rules(COMBINED)
    both = sees(found.combine(("a", "b")))
    assert (both["customers.ssn"], both["customers.email"]) == ("partial", "clear")
    wide = sees(found.combine(("a", "c")))
    assert (wide["customers.ssn"], wide["payroll.salary"], wide["payroll.iban"]) == ("clear", "round", "clear")
    assert "payroll.iban" not in sees(found.combine(("b", "c")))
    assert "customers.phone" not in sees(found.combine(("a", "d")))
    assert not any(column.startswith("orders") for column in sees(found.combine(("a", "d"))))


def test_unrestricted_counts_only_alone() -> None:
    found = rules(COMBINED)
    assert found.combine(("glass",)).unrestricted
    assert found.combine(("glass", "glass")).unrestricted
    both = found.combine(("glass", "b"))
    assert not both.unrestricted
    assert sees(both) == sees(found.scopes["b"])


def test_no_scope_and_unknown_scopes_are_refused() -> None:
    found = rules(COMBINED)
    with pytest.raises(Refused, match="no scope is granted"):
        found.combine(())
    with pytest.raises(Refused, match="no scope x"):
        found.combine(("a", "x"))


def test_order_never_matters() -> None:
    shuffle = random.Random(7).sample
    names = ["a", "b", "c", "d", "glass"]
    expected = rules(COMBINED).combine(tuple(names))
    lines = COMBINED.strip().splitlines()
    for _ in range(20):
        scopes = "\n".join(shuffle(lines[3:], len(lines) - 3))
        labels, masks = shuffle(lines[:2], 2)
        found = rules(f"{labels}\n{masks}\nscopes:\n{scopes}\n").combine(tuple(shuffle(names, len(names))))
        assert sees(found) == sees(expected)
        assert {str(column): denial.rule for column, denial in found.denied.items()} == {
            str(column): denial.rule for column, denial in expected.denied.items()
        }


def test_include_reads_as_if_the_lists_were_written_here() -> None:
    text = """
labels: {ssn: [public.customers.ssn]}
masks: {ssn: {mask: redact}}
scopes:
  base: {select: [public.customers], deny: [public.customers.notes]}
  more: {include: [base], select: [public.orders]}
  lead: {include: [more], clear: [ssn]}
"""
    found = rules(text)
    lead = sees(found.scopes["lead"])
    assert lead["customers.ssn"] == "clear"
    assert lead["orders.id"] == "clear"
    assert "customers.notes" not in lead
    assert sees(found.scopes["base"])["customers.ssn"] == "redact"


FAMILY = """
CREATE TABLE public.people (
id int4
email text
);
CREATE TABLE public.people_old (
id int4
email text
ssn text
) INHERITS (public.people);
CREATE TABLE public.people_older (
email text
) INHERITS (public.people_old);
"""


def test_tables_that_share_rows_share_labels_and_denials() -> None:
    text = """
labels: {mail: [public.people_older.email], number: [public.people_old.ssn], id: [public.people.id]}
masks: {mail: {mask: email}, id: {mask: redact}}
scopes:
  a: {select: [public.people, public.people_old]}
  b: {select: ["public.*"], deny: [public.people_older.email]}
"""
    found = rules(text, read_catalog(FAMILY))
    assert sees(found.scopes["a"]) == {
        "people.id": "redact", "people.email": "email", "people_old.id": "redact", "people_old.email": "email",
    }  # fmt: skip
    assert set(sees(found.scopes["b"])) == {"people.id", "people_old.id"}


GENERATED = """
CREATE TABLE public.people (
id int4
email text
ssn text
domain text GENERATED FROM (email)
both text GENERATED FROM (email, ssn)
size point GENERATED FROM (ssn)
plain int4 GENERATED FROM (id)
);
CREATE TABLE public.people_part (
ssn text
other text
plain int4 GENERATED FROM (other)
) INHERITS (public.people);
"""


def test_a_generated_column_has_the_labels_of_its_sources() -> None:
    text = """
labels: {mail: [public.people.email], number: [public.people.ssn]}
masks: {mail: {mask: token}, number: {mask: redact}}
scopes:
  none: {select: [public.people]}
  mail: {select: [public.people], clear: [mail]}
  all: {select: [public.people], clear: [mail, number]}
"""
    found = rules(text, read_catalog(GENERATED))
    none, mail = sees(found.scopes["none"]), sees(found.scopes["mail"])
    names = ("email", "domain", "both", "size", "plain", "id")
    assert [none[f"people.{name}"] for name in names] == ["token", "token", "redact", "null", "clear", "clear"]
    assert [mail[f"people.{name}"] for name in names] == ["clear", "clear", "redact", "null", "clear", "clear"]
    assert set(sees(found.scopes["all"]).values()) == {"clear"}
    warned = [str(problem) for problem in found.warnings]
    assert warned == [
        "r.yaml:5: mask `redact` of label `number` makes public.people.size NULL: masks do not know its type point"
    ]


def test_a_generated_column_is_denied_with_any_of_its_sources() -> None:
    text = """
labels: {number: [public.people.ssn]}
scopes:
  label: {select: [public.people]}
  deny: {select: [public.people], deny: [public.people.email]}
  part: {select: [public.people], deny: [public.people_part.other]}
  own: {select: [public.people], clear: [number], deny: [public.people.domain]}
"""
    found = rules(text, read_catalog(GENERATED))
    hidden = {name: {str(ref).split(".")[-1] for ref in scope.denied} for name, scope in found.scopes.items()}
    assert hidden["label"] == {"ssn", "both", "size"}
    assert hidden["deny"] == {"email", "domain", "both", "ssn", "size"}
    assert {"plain"} < hidden["part"]  # the part computes it otherwise, and reading the parent reads the part
    assert hidden["own"] == {"domain"}


def test_a_mask_that_shows_a_part_does_so_for_a_generated_column_only_when_that_is_labelled_itself() -> None:
    """The end of ``reverse(ssn)`` is the beginning of ssn."""
    text = """
labels: {number: [LABELLED]}
masks: {number: {mask: partial, keep_last: 4}}
scopes: {s: {select: [public.people]}}
"""
    known = read_catalog(GENERATED)
    inherited = rules(text.replace("LABELLED", "public.people.ssn"), known)
    assert sees(inherited.scopes["s"])["people.ssn"] == "partial"
    assert sees(inherited.scopes["s"])["people.both"] == "null"
    assert any("makes public.people.both NULL: it is computed from" in str(each) for each in inherited.warnings)
    for both in ("public.people.both, public.people.ssn", "public.people.ssn, public.people.both"):
        assert sees(rules(text.replace("LABELLED", both), known).scopes["s"])["people.both"] == "partial"


def test_what_a_mask_cannot_represent_is_null_and_a_warning() -> None:
    text = """
labels: {a: ["public.customers.*"]}
masks: {a: {mask: email}}
scopes: {s: {select: [public.customers]}}
"""
    found = rules(text)
    seen = sees(found.scopes["s"])
    assert (seen["customers.email"], seen["customers.id"], seen["customers.tags"]) == ("email", "null", "email")
    assert found.scopes["s"].masks[ColumnRef("public", "customers", "id")].apply is None
    warned = [str(problem) for problem in found.warnings]
    assert "r.yaml:5: mask `email` of label `a` makes public.customers.id NULL: it does not work on type int4" in warned
    assert not any("email NULL" in warning or "tags NULL" in warning for warning in warned)


def test_a_type_that_masks_do_not_know_is_null() -> None:
    known = read_catalog("CREATE TABLE public.t (\nplace point\n);")
    found = rules('labels: {a: ["*.*.*"]}\nmasks: {a: {mask: redact}}\nscopes: {s: {select: [public.t]}}\n', known)
    assert sees(found.scopes["s"]) == {"t.place": "null"}
    assert "masks do not know its type point" in str(found.warnings[0])


def test_tokens_are_keyed_by_label() -> None:
    text = """
labels: {a: [public.customers.name, public.orders.status], b: [public.customers.ssn]}
masks: {a: {mask: token}, b: {mask: token}}
scopes: {s: {select: ["*.*"]}}
"""
    masks = rules(text).scopes["s"].masks
    name, status, ssn = (
        masks[ColumnRef("public", *each)].apply
        for each in (("customers", "name"), ("orders", "status"), ("customers", "ssn"))
    )
    assert name
    assert status
    assert ssn
    assert name("x") == status("x") != ssn("x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("labels: {a: [public.custmers.ssn]}\n", "r.yaml:3: unknown table `public.custmers`: did you mean"),
        ("labels: {a: [public.customers.snn]}\n", "r.yaml:3: unknown column `public.customers.snn`: did you"),
        ("labels: {a: [customers.ssn]}\n", "r.yaml:3: `customers.ssn` is not of the form schema.table.column"),
        ("masks: {a: {mask: redact}}\n", "r.yaml:3: unknown label `a`"),
        ("scopes: {s: {select: [customers]}}\n", "r.yaml:3: `customers` is not of the form schema.table"),
        ("scopes: {s: {select: [public.custmers]}}\n", "r.yaml:3: unknown table `public.custmers`"),
        ("scopes: {s: {deny: [public.customers.x]}}\n", "r.yaml:3: unknown column `public.customers.x`"),
        ("scopes: {s: {deny: [x]}}\n", "r.yaml:3: `x` is not of the form schema.table.column or schema.table"),
        ("scopes: {s: {clear: [x]}}\n", "r.yaml:3: unknown label `x`"),
        ("scopes: {s: {use: {x: refuse}}}\n", "r.yaml:3: unknown label `x`"),
        ("scopes: {s: {include: [t]}}\n", "r.yaml:3: unknown scope `t`"),
        ("scopes: {s: {include: [s]}}\n", "r.yaml:3: scope `s` includes itself"),
        ("scopes: {s: {include: [g]}, g: {unrestricted: true}}\n", "r.yaml:3: scope `g` is unrestricted and"),
        ("scopes: {s: {rows: {orders: 'true'}}}\n", "r.yaml:3: `orders` is not of the form schema.table"),
        ("scopes: {s: {rows: {public.order: 'true'}}}\n", "r.yaml:3: unknown table `public.order`"),
        ("scopes: {s: {insert: [public.orders]}}\n", "r.yaml:3: `insert` of public.orders, which this scope"),
        ("scopes: {s: {update: [public.orders.status]}}\n", "r.yaml:3: `update` of public.orders, which this"),
        ("scopes: {s: {delete: [public.orders]}}\n", "r.yaml:3: `delete` of public.orders, which this scope does not"),
        ("scopes: {s: {delete: [public.orders.id]}}\n", "r.yaml:3: `public.orders.id` is not of the form schema.table"),
        ("scopes: {s: {insert: [public.orderz]}}\n", "r.yaml:3: unknown table `public.orderz`"),
        ("scopes: {s: {update: [public.orders.stat]}}\n", "r.yaml:3: unknown column `public.orders.stat`"),
        (
            "scopes: {s: {select: [public.orders], deny: [public.orders.status], update: [public.orders.status]}}\n",
            "r.yaml:3: `update` of public.orders.status, which this scope denies",
        ),
        ("trust: {functions: [public.f]}\n", "r.yaml:3: unknown function `public.f`"),
        ("trust: {functions: [f]}\n", "r.yaml:3: `f` is not of the form schema.function"),
        ("trust: {functions: [public.*]}\n", "r.yaml:3: `public.*`: name each function that is trusted"),
        ("trust: {functions: [public.lower]}\n", "r.yaml:3: function `public.lower` cannot be trusted: a built-in"),
    ],
)  # fmt: skip
def test_errors_have_their_line(text: str, expected: str) -> None:
    assert errors(text)[0].startswith(expected), errors(text)


def test_mutual_inclusion_is_an_error_for_both() -> None:
    assert len(errors("scopes:\n  s: {include: [t]}\n  t: {include: [s]}\n")) == 2


def test_a_scope_stands_once() -> None:
    first, second = (
        RulesDocument.parse(HEAD + "scopes: {s: {select: [public.orders]}}\n", name) for name in ("a.yaml", "b.yaml")
    )
    with pytest.raises(ConfigurationError, match=r"b.yaml:3: scope `s` stands already at a.yaml:3"):
        compiled(SHOP, second, first)


def test_rules_for_another_database() -> None:
    with pytest.raises(ConfigurationError, match=r"r.yaml:2: these rules are for database `crm`, not for `shop`"):
        compiled(SHOP, RulesDocument.parse("version: 1\ndatabase: crm\n", "r.yaml"))


def test_warnings() -> None:
    found = rules("labels: {a: ['*.*.nothing']}\nscopes: {s: {}, t: {select: ['x.*']}, u: {unrestricted: true}}\n")
    assert [str(problem) for problem in found.warnings] == [
        "r.yaml:3: `*.*.nothing` matches nothing in the database",
        "r.yaml:4: `x.*` matches nothing in the database",
        "r.yaml:4: scope `s` selects nothing",
    ]
    assert not found.scopes["s"].masks_table(TableRef("public", "customers"))
