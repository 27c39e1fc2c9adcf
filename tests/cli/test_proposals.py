import pytest

from maskproxy.base.refs import ColumnRef
from maskproxy.cli.proposals import Because, is_card_number, is_iban, propose, render_rules
from maskproxy.core.policy.document import RulesDocument
from tests.support.catalogs import catalog, read_catalog
from tests.support.rules import compiled


def proposed(column: str, type_name: str = "text", values: tuple[str, ...] = ()) -> tuple[str, Because] | None:
    known = read_catalog(f"CREATE TABLE public.t (\n{column} {type_name}\n);")
    found = propose(known, {ColumnRef("public", "t", column): values})
    return (found[0].label, found[0].because) if found else None


@pytest.mark.parametrize(
    ("column", "type_name", "label"),
    [
        ("email", "text", "pii.email"),
        ("contactEmail", "text", "pii.email"),
        ("e_mail_address", "text", "pii.email"),
        ("ssn", "text", "pii.national-id"),
        ("ssn", "int8", "pii.national-id.int"),
        ("lesson", "text", None),
        ("mobile_no", "text", "pii.phone"),
        ("phone", "int8", "pii.phone.int"),
        ("date_of_birth", "date", "pii.birth"),
        ("dob", "text", "pii.birth.text"),
        ("lastName", "text", "pii.name"),
        ("name", "varchar(50)", "pii.name"),
        ("name", "varchar(10)", "pii.name.text"),
        ("file_name", "text", None),
        ("username", "text", "pii.name"),
        ("home_address", "text", "pii.address"),
        ("ip_address", "inet", "pii.address.other"),
        ("salary", "numeric(12,2)", "finance.pay"),
        ("password_hash", "text", "secret"),
        ("api_key", "uuid", "secret"),
        ("tokenizer", "text", None),
        ("notes", "text", "free-text"),
        ("payload", "jsonb", "free-text"),
        ("id", "int4", None),
        ("status", "text", None),
    ],
)
def test_names_and_types(column: str, type_name: str, label: str | None) -> None:
    found = proposed(column, type_name)
    assert (found and found[0]) == label


@pytest.mark.parametrize(
    ("values", "label"),
    [
        (("ann@example.com", "bob@example.org"), "pii.email"),
        (("ann@example.com", "", "x"), "pii.email"),
        (("ann@example.com", "a", "b", "c"), None),
        (("123-45-6789",), "pii.national-id"),
        (("4111 1111 1111 1111",), "finance.card"),
        (("DE89 3704 0044 0532 0130 00",), "finance.account"),
        (("+1 (555) 010-1234",), "pii.phone"),
        (("2024-01-01",), "pii.phone"),  # eight digits in groups: better masked than not
        (("12345678", "99"), None),
        (("shipped", "open"), None),
        ((), None),
    ],
)
def test_values(values: tuple[str, ...], label: str | None) -> None:
    found = proposed("x", values=values)
    assert found == (None if label is None else (label, Because.VALUES))


def test_check_digits() -> None:
    assert is_card_number("4111-1111-1111-1111")
    assert not is_card_number("4111-1111-1111-1112")
    assert not is_card_number("4111")
    assert is_iban("gb82 west 1234 5698 7654 32")
    assert not is_iban("GB82 WEST 1234 5698 7654 33")


def test_the_rules_compile_whatever_the_names() -> None:
    known = catalog("shop")
    rules = render_rules("shop", propose(known, {}), known)
    found = compiled(known, RulesDocument.parse(rules, "r.yaml"))
    assert found.warnings == ()
    scope = found.scopes["agent"]
    assert {f"{column.column}:{mask.name}" for column, mask in scope.masks.items()} == {
        "name:token", "email:email", "ssn:partial", "phone:partial", "dob:truncate", "notes:null", "salary:null",
        "iban:partial",
    }  # fmt: skip


def test_an_empty_database() -> None:
    known = read_catalog("")
    found = compiled(known, RulesDocument.parse(render_rules("shop", [], known), "r.yaml"))
    assert list(found.scopes) == ["agent"]
