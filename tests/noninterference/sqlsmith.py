"""Statements by sqlsmith (Debian's package), which reads what a database holds and makes up anything over it.

It picks functions and operators blindly. Nearly all of a server's are on no list of ours, and a statement of it has a
dozen, so it is shown those that are: by a view in front of ``pg_proc`` and by changing operators of a database that
serves for nothing else. What differs between any two sessions, such as clocks, is left out too."""

import re
import subprocess
from collections.abc import Collection
from typing import Final

import postgast
from psycopg import sql

from maskproxy.core.sql.functions import FUNCTIONS, OPERATORS, TYPES
from tests.support.debian import debian_binary
from tests.support.servers import Server

SECONDS: Final = 300

_OUTSIDE: Final = (
    *("now", "statement_timestamp", "transaction_timestamp", "age", "current_database", "pg_backend_pid"),
    *("pg_my_temp_schema", "pg_postmaster_start_time", "pg_conf_load_time", "inet_client_port", "inet_server_port"),
)
_POLYMORPHIC: Final = ("anyarray", "anyelement", "anynonarray", "anycompatible", "anycompatiblearray")

# --exclude-catalog keeps it from naming relations of this schema, and it writes pg_proc without a schema. What the
# scope may not see at all goes, since the first name of it would end a statement's analysis.
_SHOWN: Final = """
SET allow_system_table_mods = on;
DO $$ DECLARE unseen record; BEGIN
    FOR unseen IN SELECT relname, relkind FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND relname <> ALL ({seen})
    LOOP
        EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', CASE unseen.relkind
            WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, unseen.relname);
    END LOOP;
END $$;
DROP FUNCTION public.cust_code, public.cust_code_def, public.tell CASCADE;
ALTER TABLE public.persons DROP COLUMN memo, DROP COLUMN place, ALTER COLUMN code TYPE text;
ALTER TABLE public.accounts DROP COLUMN pin_length, DROP COLUMN pin;
CREATE VIEW information_schema.pg_proc AS
    SELECT p.* FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile <> 'v'
        AND p.proname = ANY ({functions}) AND p.proname <> ALL ({outside})
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_type AS t
            WHERE t.oid = ANY (p.prorettype || p.proargtypes::oid[]) AND t.typname <> ALL ({types}));
UPDATE pg_catalog.pg_operator AS o SET oprresult = 0  -- it leaves out operators without a result
    WHERE o.oprname <> ALL ({operators}) OR EXISTS (
        SELECT FROM pg_catalog.pg_type AS t
        WHERE t.oid IN (o.oprleft, o.oprright, o.oprresult) AND t.typname <> ALL ({types}));
ALTER DATABASE {database} SET search_path = information_schema, pg_catalog, public
"""
_ARRAY: Final = re.compile(r"as _(\w+)\)")  # its name for arrays, which nobody else writes
# Which rows are sampled is drawn anew each time, and masked tables cannot be.
_SAMPLE: Final = re.compile(r"tablesample (system|bernoulli) \([\d.]+\)")


def statements(server: Server, template: str, seen: Collection[str], seed: int, count: int) -> list[str]:
    """What sqlsmith makes over some relations of a database like ``template``. Raises debian.Unavailable."""
    program = debian_binary("sqlsmith", "usr/bin/sqlsmith")
    name = f"{template}_smith"
    with server.admin() as admin:
        identifier = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, sql.Identifier(template)))
    lists = {
        "seen": seen,
        "functions": FUNCTIONS,
        "outside": _OUTSIDE,
        "operators": OPERATORS,
        "types": [*TYPES, *_POLYMORPHIC],
    }
    with server.admin(name) as admin:
        literals = {key: sql.Literal(sorted(each)) for key, each in lists.items()}
        admin.execute(sql.SQL(_SHOWN).format(database=identifier, **literals))
    arguments = [f"--target={server.dsn(name)}", "--dry-run", "--exclude-catalog", f"--seed={seed}"]
    done = subprocess.run(
        [program, *arguments, f"--max-queries={count}"], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return [_ARRAY.sub(r"as \1[])", _SAMPLE.sub("", each.strip())) for each in postgast.split(done.stdout)]
