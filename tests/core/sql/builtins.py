"""What the allow-lists allow of a server's built-ins: every overload of a listed function, every listed operator, every
cast between listed types that calls a function. ``builtins.txt`` beside this file lists those that were reviewed.

``python -m tests.core.sql.builtins DSN...`` adds what these servers have. Review the diff by family before you keep it:
may it read anything but its arguments, take SQL or names in a string, change state, wait? Then strike the name off
``data/functions.txt``, ``operators.txt`` or ``types.txt`` instead."""

import sys
from pathlib import Path

import psycopg

from maskproxy.core.sql.functions import FUNCTIONS, OPERATORS, TYPES

REVIEWED = Path(__file__).parent / "builtins.txt"

_ALLOWED = """
SELECT format('function %%s %%s', p.oid::regprocedure, p.provolatile) FROM pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (%(functions)s)
UNION ALL
SELECT format('operator %%s %%s', o.oid::regoperator, p.provolatile)
FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprname = ANY (%(operators)s)
UNION ALL
SELECT format('cast %%s to %%s by %%s', k.castsource::regtype, k.casttarget::regtype, k.castfunc::regproc)
FROM pg_cast AS k JOIN pg_type AS s ON s.oid = k.castsource JOIN pg_type AS t ON t.oid = k.casttarget
WHERE k.oid < 16384 AND k.castfunc <> 0 AND s.typname = ANY (%(types)s) AND t.typname = ANY (%(types)s)
"""


def allowed(connection: psycopg.Connection) -> set[str]:
    """What a statement could reach on this server."""
    names = {"functions": list(FUNCTIONS), "operators": list(OPERATORS), "types": list(TYPES)}
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")
        return {row[0] for row in connection.execute(_ALLOWED, names).fetchall()}


def reviewed() -> set[str]:
    return set(REVIEWED.read_text(encoding="utf-8").splitlines())


def main(*dsns: str) -> None:
    found = reviewed() if REVIEWED.exists() else set()
    for dsn in dsns:
        with psycopg.connect(dsn) as connection:
            found |= allowed(connection)
    REVIEWED.write_text("".join(f"{line}\n" for line in sorted(found)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
