"""Texts that differ in literals only share a plan: over what people ask, it is what a new analysis would have said."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from maskproxy.base.refs import Generation
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.ruleset import Scope
from maskproxy.proxy.catalogs import load_catalog
from tests.noninterference.generated import TwinQueries
from tests.noninterference.twins import SCHEMA, rules_text
from tests.session.mutated import check_together
from tests.support.rules import compiled
from tests.support.servers import Server
from tests.usability.generate import generate
from tests.usability.suites import EVERYDAY, SUITES, texts

TPC = Path(__file__).parent / "tpc"


@pytest.mark.parametrize(("suite", "mutated", "least"), [("tpc-h", 4, 60), ("tpc-ds", 1, 50), ("everyday", 2, 350)])
def test_a_plan_that_is_shared_is_the_text_s_own(postgres18: Server, suite: str, mutated: int, least: int) -> None:
    rules = SUITES[suite].rules.read_text(encoding="utf-8")
    scope = scope_of(postgres18, definitions(suite), rules, SUITES[suite].scope)
    statements = [query.text for query in texts(suite).values()]
    assert check_together(statements, scope, ("public",), mutated) >= least


@pytest.mark.parametrize("variant", ["hidden", "realistic"])
def test_of_generated_queries_too(postgres18: Server, variant: str) -> None:
    scope = scope_of(postgres18, SCHEMA, rules_text(f"{variant}_base", "shop"), "agent")
    statements = [TwinQueries(seed).statement() for seed in range(80)]
    assert check_together(statements, scope, ("public",), 2) >= 80


def definitions(suite: str) -> str:
    """A script that makes its tables."""
    if suite == "everyday":
        return (EVERYDAY / "schema.sql").read_text(encoding="utf-8")
    tables = generate((TPC / f"{suite.replace('-', '')}.yaml").read_text(encoding="utf-8"))
    return ";".join(table.definition() for table in tables)


def scope_of(server: Server, script: str, rules: str, name: str) -> Scope:
    database = server.create_database(script)

    async def load() -> Scope:
        connection = await asyncpg.connect(server.dsn(database))
        try:
            catalog = await load_catalog(connection, Generation(1))
        finally:
            await connection.close()
        return compiled(catalog, RulesDocument.parse(rules, name)).combine((name,))

    return asyncio.run(load())
