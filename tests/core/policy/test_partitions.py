"""Tables partitioned by a column that a scope may not see."""

from dataclasses import replace

import pytest

from maskproxy.base.refs import TableRef
from maskproxy.core.policy.document import RulesDocument
from tests.support.catalogs import read_catalog
from tests.support.rules import compiled

PARTITIONED = """
CREATE TABLE public.people (
id int4
ssn text
);
CREATE TABLE public.people_low (
id int4
ssn text
) INHERITS (public.people);
CREATE VIEW public.seen (id) AS SELECT id FROM public.people;
"""


@pytest.mark.parametrize("key", ["id", "ssn"])
@pytest.mark.parametrize("terms", ["", "deny: [public.people.ssn]", "use: {a: any}", "clear: [a]"])
def test_partitions_by_a_hidden_column_are_not_seen(key: str, terms: str) -> None:
    """The order of their rows, and which part they are in, would tell its values."""
    known = read_catalog(PARTITIONED)
    people = known.tables[TableRef("public", "people")]
    known = replace(known, tables={**known.tables, people.ref: replace(people, partition_key=(key,))})
    labels = "labels: {a: [public.people.ssn]}\nmasks: {a: {mask: redact}}\n"
    scopes = f"scopes: {{s: {{select: ['*.*'], {terms}}}}}\n"
    found = compiled(known, RulesDocument.parse("version: 1\ndatabase: shop\n" + labels + scopes, "r.yaml"))
    catalog = found.scopes["s"].catalog
    tables = {ref.name for ref in catalog.visible_tables() if catalog.tables[ref].visible_columns}
    hides = key == "ssn" and terms[:3] not in ("use", "cle")
    assert tables == (set() if hides else {"people", "people_low", "seen"})
    assert len([warning for warning in found.warnings if "rows lie by a column" in warning.text]) == (2 if hides else 0)
