"""What is measured: TPC-H, TPC-DS and the everyday queries, each with its tables, rules and texts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

from tests.support.servers import APP, Server
from tests.usability.generate import generate
from tests.usability.tpc.queries import queries
from tests.usability.twins import Table, Twins, run_twins

HERE = Path(__file__).parent
EVERYDAY = HERE / "everyday"


@dataclass(frozen=True, slots=True)
class Query:
    """``same``: the result must be the twin's; False for what no two runs or databases have in common."""

    text: str
    same: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """``tables``: those with masked columns."""

    prepare: Callable[[Server], str]
    rules: Path
    scope: str
    tables: tuple[Table, ...]

    @contextmanager
    def run(self, server: Server) -> Iterator[Twins]:
        with run_twins(server, self.prepare(server), self.rules, self.scope, self.tables) as twins:
            yield twins


def _tpc(name: str) -> Callable[[Server], str]:
    def prepare(server: Server) -> str:
        tables = generate((HERE / "tpc" / f"{name}.yaml").read_text(encoding="utf-8"))
        database = server.create_database(";".join(table.definition() for table in tables), name)
        with psycopg.connect(server.dsn(database, APP), autocommit=True) as connection:
            for table in tables:
                with connection.cursor().copy(f"COPY {table.name} FROM STDIN") as copy:
                    for row in table.rows:
                        copy.write_row(row)
            connection.execute("ANALYZE")
        return database

    return prepare


def _everyday(server: Server) -> str:
    return server.create_database((EVERYDAY / "schema.sql").read_text(encoding="utf-8"), "everyday")


def _public(*names: str) -> tuple[Table, ...]:
    return tuple(Table("public", name) for name in names)


SUITES: Mapping[str, Suite] = {
    "tpc-h": Suite(
        prepare=_tpc("tpch"),
        rules=HERE / "tpc" / "tpch_rules.yaml",
        scope="analyst",
        tables=_public("customer", "supplier", "orders"),
    ),
    "tpc-ds": Suite(
        prepare=_tpc("tpcds"),
        rules=HERE / "tpc" / "tpcds_rules.yaml",
        scope="analyst",
        tables=_public("customer", "customer_address", "store", "call_center", "web_site", "store_sales"),
    ),
    "everyday": Suite(
        prepare=_everyday,
        rules=EVERYDAY / "rules.yaml",
        scope="agent",
        tables=(
            Table("public", "customers", hidden=("notes",)),
            *_public("orders", "payments"),
            Table("hr", "employees"),
            *(Table("crm", name) for name in ("leads", "tickets")),
        ),
    ),
}


def everyday() -> Mapping[str, Query]:
    """By theme and title, such as ``joins: left join``."""
    found: dict[str, Query] = {}
    for path in sorted(EVERYDAY.glob("*.yaml")):
        if path.name != "rules.yaml":
            cases = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
            found |= {f"{path.stem}: {title}": _query(case) for title, case in cases.items()}
    return found


def _query(case: Any) -> Query:
    return Query(case) if isinstance(case, str) else Query(case["sql"], case["compare"] != "served")


def texts(suite: str) -> Mapping[str, Query]:
    if suite == "everyday":
        return everyday()
    return {name: Query(text) for name, text in queries(suite).items()}
