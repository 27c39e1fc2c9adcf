"""The allow-lists against the server's catalog, and against what a database defines."""

from dataclasses import replace

import psycopg
import pytest

from maskproxy.base.errors import Refused
from maskproxy.base.refs import Oid
from maskproxy.core.catalog import Catalog
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.functions import FUNCTIONS, OPERATORS, TYPES, Function, FunctionKind
from tests.core.sql.catalogs import shop
from tests.support.servers import Server

# Volatile, yet reading nothing: the clock and chance. pg_advisory_unlock_all gives back what cannot be taken here.
_VOLATILE = {
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "gen_random_uuid",
    "pg_advisory_unlock_all",
    "pg_is_in_recovery",
    "pg_partition_ancestors",  # asked about NULL only, see introspection.txt
    "random",
    "random_normal",
    "timeofday",
    "uuidv4",
    "uuidv7",
}

# What a function's name says of what it reads although it is immutable or stable by contract.
_SUSPICIOUS = (
    "_to_xml",
    "query_to",
    "pg_get",
    "regclass",
    "has_",
    "lo_",
    "pg_read",
    "pg_ls",
    "cursor",
    "ts_stat",
    "setting",
)


Builtins = dict[str, list[tuple[int, int | None, str, str, bool, list[str]]]]


@pytest.fixture(scope="module")
def builtins(postgres18: Server) -> Builtins:
    """By name: least and most arguments, kind, volatility, whether a set is returned, names of OUT columns."""
    with postgres18.admin() as admin:
        rows = admin.execute(
            """
            SELECT proname, least(args, pronargs - pronargdefaults), CASE WHEN provariadic = 0 THEN args END,
                   prokind::text, provolatile::text, proretset,
                   ARRAY(SELECT n FROM unnest(proargnames, proargmodes::text[]) AS u(n, m) WHERE m IN ('o', 't', 'b'))
            FROM pg_proc AS p LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid AND a.aggkind <> 'n',
                 coalesce(a.aggnumdirectargs, pronargs) AS args  -- the others stand in WITHIN GROUP
            WHERE pronamespace = 'pg_catalog'::regnamespace
            """
        ).fetchall()
    found: Builtins = {}
    for name, *rest in rows:
        found.setdefault(name, []).append(tuple(rest))
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function(name: str, builtins: Builtins) -> None:
    function = FUNCTIONS[name]
    overloads = [each for each in builtins[name] if _overlaps(function, each[0], each[1])]
    assert overloads, "no such built-in"
    for _, _, kind, volatility, returns_set, out in overloads:
        assert volatility != "v" or name in _VOLATILE
        assert {"a": "aggregate", "w": "window"}.get(kind, "scalar or table") in {
            FunctionKind.AGGREGATE: ("aggregate",),
            FunctionKind.WINDOW: ("window", "aggregate"),
        }.get(function.kind, ("scalar or table",))
        assert returns_set <= (function.kind in (FunctionKind.TABLE, FunctionKind.RECORD))
        assert name == "unnest" or tuple(out) == function.columns
    assert name == "pg_get_keywords" or not any(word in name for word in _SUSPICIOUS)


def _overlaps(function: Function, least: int, most: int | None) -> bool:
    upper = function.most if function.most is not None else 100
    return least <= upper and (most is None or most >= function.least)


def test_operators_and_types_are_built_in(postgres18: Server) -> None:
    with postgres18.admin() as admin:
        operators = _column(admin, "SELECT oprname FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace")
        types = _column(
            admin, "SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typrelid = 0"
        )
    assert operators >= OPERATORS
    assert types >= TYPES
    # regconfig names nothing but text search configurations
    assert [name for name in TYPES if name.startswith(("reg", "pg_", "any"))] == ["regconfig"]


def _column(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query.encode()).fetchall()}


def refused(sql: str, catalog: Catalog) -> str:
    with pytest.raises(Refused) as caught:
        analyse(sql, catalog)
    return caught.value.message


def test_a_function_of_the_database_may_stand_in_for_a_builtin() -> None:
    catalog = replace(shop("everything"), functions=frozenset({"upper", "current_setting", "to_regtype"}))
    assert "ambiguous" in refused("SELECT upper(o) FROM orders o", catalog)
    assert "ambiguous" in refused("SELECT current_setting('jit')", catalog)
    assert analyse("SELECT pg_catalog.upper(name), lower(name) FROM customers", catalog)


def test_a_type_of_the_database_may_stand_in_for_a_function_of_one_argument() -> None:
    catalog = replace(shop("everything"), types=frozenset({"left", "upper"}))
    assert "ambiguous" in refused("SELECT upper(name) FROM customers", catalog)
    assert analyse("SELECT left(name, 1) FROM customers", catalog)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM orders WHERE id = 1",
        "SELECT id FROM orders WHERE id IN (1, 2)",
        "SELECT id FROM orders WHERE id IN (SELECT id FROM customers)",
        "SELECT nullif(id, 1) FROM orders",
        "SELECT CASE id WHEN 1 THEN 2 END FROM orders",
        "SELECT id IS DISTINCT FROM 1 FROM orders",
        "SELECT 1 = ANY (ARRAY[1])",
        "SELECT 1 FROM orders JOIN customers USING (id)",
        "SELECT 1 FROM orders NATURAL JOIN customers",
    ],
)
def test_an_operator_of_the_database_may_stand_in_wherever_the_server_looks_it_up(sql: str) -> None:
    analyse(sql, shop("everything"))
    assert "operator =" in refused(sql, replace(shop("everything"), operators=frozenset({"="})))


@pytest.mark.parametrize(
    ("sql", "operator"),
    [
        ("SELECT id BETWEEN 1 AND 2 FROM orders", "<="),
        ("SELECT id NOT BETWEEN 1 AND 2 FROM orders", ">"),
        ("SELECT status LIKE 'a' FROM orders", "~~"),
        ("SELECT status NOT ILIKE 'a' FROM orders", "!~~*"),
        ("SELECT status SIMILAR TO 'a' FROM orders", "~"),
        ("SELECT -id FROM orders", "-"),
    ],
)
def test_operators_behind_syntax(sql: str, operator: str) -> None:
    analyse(sql, shop("everything"))
    assert f"operator {operator}" in refused(sql, replace(shop("everything"), operators=frozenset({operator})))


def test_a_qualified_operator_is_the_builtin() -> None:
    catalog = replace(shop("everything"), operators=frozenset({"="}))
    assert analyse("SELECT id FROM orders WHERE id OPERATOR(pg_catalog.=) 1", catalog)


def test_a_column_whose_type_has_a_cast_of_the_database_is_copied_only() -> None:
    catalog = replace(shop("everything"), cast_types=frozenset({Oid(3802)}))
    assert analyse("SELECT notes, id + 1 FROM customers", catalog)
    for sql in (
        "SELECT notes::text FROM customers",
        "SELECT id FROM customers WHERE notes = '{}'",
        "SELECT id FROM customers WHERE '{}' = ANY (SELECT notes FROM customers)",
        "SELECT 1 FROM customers a JOIN customers b USING (notes)",
    ):
        assert "user-defined cast" in refused(sql, catalog)
