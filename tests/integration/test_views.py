"""Views on a real server: what they show is what they would show of tables that hold masked values."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.proxies import run_proxy
from tests.support.servers import APP, Server
from tests.usability.twins import Table, Twins, run, run_twins

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
PEOPLE = Table("public", "people", ("notes",))


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def database(request: pytest.FixtureRequest) -> tuple[Server, str]:
    server: Server = request.getfixturevalue(request.param)
    return server, server.create_database((HERE / "views.sql").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def twins(database: tuple[Server, str]) -> Iterator[Twins]:
    with run_twins(*database, HERE / "views.yaml", "support", (PEOPLE,)) as found:
        yield found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM contacts",
        "SELECT id, email FROM contacts WHERE who = (SELECT who FROM contacts WHERE id = 3)",
        "SELECT * FROM shouting",
        "SELECT count(*) FROM shouting WHERE rich",
        "SELECT * FROM early",
        "SELECT id FROM public.early WHERE public.early.id > 3",
        "SELECT * FROM per_domain ORDER BY n DESC, domain",
        "SELECT * FROM nested WHERE place = 'web'",
        "SELECT n.mail, count(*) FROM nested AS n GROUP BY n.mail HAVING count(*) > 2",
        "SELECT w.id, w.person::text FROM whole w",
        "SELECT row_to_json(c) FROM contacts c",
        "SELECT * FROM united",
        "SELECT text FROM united WHERE text LIKE 'a%'",
        "SELECT * FROM ranked",
        "SELECT * FROM behind",
        "SELECT id FROM behind WHERE email LIKE 'm%'",
        "SELECT a.id, b.id FROM contacts a JOIN people b ON a.email = b.email",
        "SELECT v.at FROM (SELECT * FROM nested) AS v ORDER BY v.mail, v.at LIMIT 5",
        "WITH c AS (SELECT * FROM contacts) SELECT DISTINCT left(c.email, 1) FROM c",
        "SELECT id FROM people WHERE EXISTS (SELECT FROM nested WHERE mail = people.email AND place = 'shop')",
        "TABLE contacts",
        "SELECT c.who, max(e.email) FROM contacts c LEFT JOIN early e USING (id) GROUP BY 1",
    ],
)
def test_a_view_shows_what_it_would_show_of_masked_tables(twins: Twins, sql: str) -> None:
    got, want = run(twins.masked, sql), run(twins.twin, sql)
    assert got.same(want), f"{got}\n{want}"
    assert got.rows


def test_below_a_view_tables_need_not_be_selected(database: tuple[Server, str], twins: Twins) -> None:
    server, name = database
    rules = (HERE / "views.yaml").read_text(encoding="utf-8")
    with (
        run_proxy(server, name, rules=rules, grants={"agent": ["views"]}) as proxy,
        psycopg.connect(proxy.dsn(), autocommit=True) as connection,
    ):
        for sql in ("SELECT id, email FROM contacts", "SELECT * FROM early", "SELECT mail FROM nested"):
            assert run(connection, sql).same(run(twins.masked, sql))
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT id FROM people")


def test_a_view_has_masks_of_its_own(twins: Twins) -> None:
    assert {row for (row,) in run(twins.masked, "SELECT place FROM visited").rows} == {"s***"}
    assert run(twins.masked, "SELECT count(*) FROM visited WHERE place = 'shop'").rows == (("0",),)
    assert run(twins.masked, "SELECT count(*) FROM visited WHERE place = 's***'").rows == (("30",),)
    assert {row for (row,) in run(twins.masked, "SELECT place FROM visits").rows} == {"shop", "web"}


def test_a_materialized_view_is_masked_as_it_is_stored(twins: Twins) -> None:
    got = run(twins.masked, "SELECT id, email, balance FROM kept")
    assert got.same(run(twins.twin, "SELECT id, email, balance FROM people"))
    assert {row for (row,) in run(twins.masked, "SELECT loud FROM kept").rows} == {None}


@pytest.mark.parametrize("sql", ["SELECT id FROM annotated", "SELECT notes FROM noted", "SELECT id FROM chosen"])
def test_what_a_denied_column_makes_does_not_exist(twins: Twins, sql: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        run(twins.masked, sql)
    assert len(run(twins.masked, "SELECT * FROM noted").columns) == 1


def test_a_view_on_system_relations_is_not_read(twins: Twins) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match='view "types" cannot be read'):
        run(twins.masked, "SELECT typname FROM types")


def test_a_view_keeps_its_owners_rights_where_nothing_is_evaluated(database: tuple[Server, str]) -> None:
    """A role that may read the view alone reads it through the proxy."""
    server, name = database
    rules = (HERE / "views.yaml").read_text(encoding="utf-8")
    with server.admin(name) as admin:
        admin.execute(f"REVOKE ALL ON people FROM {APP}, PUBLIC")
        admin.execute(f"ALTER TABLE people OWNER TO {admin.info.user}")
        admin.execute(f"ALTER VIEW contacts OWNER TO {admin.info.user}")
        admin.execute(f"GRANT SELECT ON contacts TO {APP}")
    with (
        run_proxy(server, name, rules=rules, grants={"agent": ["views"]}) as proxy,
        psycopg.connect(proxy.dsn(), autocommit=True) as connection,
    ):
        assert len(run(connection, "SELECT * FROM contacts").rows) == 20
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(connection, "SELECT id FROM contacts WHERE email < 'k'")
