"""The shop of the plays, its catalog and its rules."""

from pathlib import Path

import pytest

from maskproxy.base.refs import Generation, Oid, TableRef
from maskproxy.base.types import PG_TYPES
from maskproxy.core.catalog import Catalog, Column, Table
from maskproxy.core.plan import Stamp
from maskproxy.core.policy.compile import compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.session.enforce import Policy

RULES = Path(__file__).parent.parent / "plays" / "shop.yaml"
SHOP = {
    "customers": (1000, "id:23 name:25 email:25 ssn:25 phone:25 dob:1082 notes:3802"),
    "orders": (1001, "id:23 customer_id:23 total:1700"),
    "payroll": (1002, "employee_id:23 salary:1700 iban:25"),
}


def shop_catalog() -> Catalog:
    tables = {}
    for name, (oid, words) in SHOP.items():
        columns = tuple(
            Column(name=word.split(":")[0], type_oid=kind, type_name=PG_TYPES[kind].name, attnum=number)
            for number, word in enumerate(words.split(), 1)
            for kind in (Oid(int(word.split(":")[1])),)
        )
        ref = TableRef("public", name)
        tables[ref] = Table(ref=ref, oid=Oid(oid), columns=columns)
    return Catalog(generation=Generation(1), tables=tables)


@pytest.fixture(scope="session")
def policies() -> dict[str, Policy]:
    document = RulesDocument.parse(RULES.read_text(), str(RULES))
    rules = compile_rules([document], shop_catalog(), "shop", lambda label: label.encode().ljust(32), Generation(1))
    return {
        name: Policy.of(rules.combine((name,)), Stamp(Generation(number), Generation(1)), ("public",))
        for number, name in enumerate(rules.scopes, 1)
    }
