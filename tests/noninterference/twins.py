"""Two databases of one server that differ in protected values only, each behind the same proxy with the same rules.

The second is a copy of the first, filled anew: so relations have the same OIDs in both, which RowDescription shows.
The proxy logs in with a superuser, the worst role it could be given: nothing but the proxy refuses anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from maskproxy.base.secret import Secret
from maskproxy.cli.embedded import SUPERUSER
from maskproxy.cli.twins.transcript import Address, Frame, RawSession, raw_session
from tests.support.proxies import Served, run_proxy
from tests.support.servers import Server

HERE = Path(__file__).parent
SCHEMA = (HERE / "schema.sql").read_text(encoding="utf-8")
COMMON = (HERE / "common.sql").read_text(encoding="utf-8")
VARIANTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hidden": (("left.sql",), ("right.sql",)),
    "realistic": (("left.sql",), ("realistic.sql",)),
    "filtered": (("left.sql", "behind_few.sql"), ("right.sql", "behind_many.sql")),
}
"""Rule file -> the values of its two twins. Those of ``filtered`` differ in rows behind row filters, too."""

SIDES = ("left", "right")
PROTECTED: Mapping[str, str] = {
    "customers": "email, ssn, phone, dob, salary, notes ->> 'ssn', notes ->> 'med'",
    "payroll": "salary, iban",
    "persons": "code, tags[1], device, host(address), photo::text, seen, nick, secret, memo, (place).street",
    "employees": "badge",
    "events": "secret",
    "accounts": "email, pin, ceiling::text",
    "routes": "code",
}
BEHIND = "hiddenrow"
"""What texts say in rows behind the filters."""

LONG = 6  # characters of a value that is looked for as it is

SCOPES = {"agent": ["agent"], "other": ["agent"], "writer": ["writer"], "root": ["break-glass"]}
TABLES = "customers, orders, payroll, persons, employees, events, accounts, visits, routes, tickets, slots"

# What everybody may see of the tables, which must be alike in the twins whatever was written. Not of it: what is
# behind the filters.
CLEAR = """
SELECT ARRAY(SELECT (id, name)::text FROM public.customers WHERE id < 500 ORDER BY 1),
       ARRAY(SELECT o::text FROM public.orders AS o WHERE id < 500 AND total >= 0 ORDER BY 1),
       ARRAY(SELECT (tableoid::regclass, id, city)::text FROM public.persons
             WHERE memo IS DISTINCT FROM 'behind' ORDER BY 1),
       ARRAY(SELECT (tableoid::regclass, id, customer_id, kind)::text FROM public.events
             WHERE kind <> 'draft' ORDER BY 1),
       ARRAY(SELECT (id, owner, spent)::text FROM public.accounts ORDER BY 1),
       ARRAY(SELECT (id, word)::text FROM public.visits ORDER BY 1),
       ARRAY(SELECT (id, word)::text FROM public.routes ORDER BY 1),
       ARRAY(SELECT t::text FROM public.tickets AS t ORDER BY 1),
       ARRAY(SELECT oid::regclass::text FROM pg_class WHERE oid >= 16384 ORDER BY 1)
"""

# What a statement could have left behind: rows and where they lie, and objects that were not there.
FINGERPRINT = """
SELECT (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.customers AS t),
       (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.orders AS t),
       (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.payroll AS t),
       (SELECT sum(hashtext(tableoid::text || ctid::text || t::text)::int8) FROM public.persons AS t),
       (SELECT sum(hashtext(tableoid::text || ctid::text || t::text)::int8) FROM public.events AS t),
       (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.accounts AS t),
       (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.visits AS t),
       (SELECT sum(hashtext(tableoid::text || ctid::text || t::text)::int8) FROM public.routes AS t),
       (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.tickets AS t),
       (SELECT sum(hashtext(ctid::text || t::text)::int8) FROM public.slots AS t),
       (SELECT last_value FROM public.tickets_id_seq), (SELECT last_value FROM public.slots_id_seq),
       (SELECT sum(oid::int8) FROM pg_class WHERE oid >= 16384), (SELECT sum(oid::int8) FROM pg_proc),
       (SELECT sum(oid::int8) FROM pg_namespace WHERE nspname NOT LIKE 'pg_t%'),
       (SELECT sum(oid::int8) FROM pg_extension), (SELECT count(*) FROM pg_largeobject_metadata),
       (SELECT count(*) FROM pg_description WHERE objoid >= 16384)
"""

Play = Callable[["Twin"], list[Frame]]
"""What a client does; it returns what it was sent."""


@dataclass(slots=True)
class Twin:
    """One of the two: how to reach it through the proxy, and the way round it."""

    name: str
    addresses: Mapping[str, Address]
    server: Server
    values: str
    user: str = "agent"
    direct: psycopg.Connection = field(init=False)
    fingerprint: object = None

    @contextmanager
    def session(self, parameters: Mapping[str, str] | None = None, user: str | None = None) -> Iterator[RawSession]:
        with raw_session(self.addresses[user or self.user], parameters) as session:
            yield session

    def connect(self) -> None:
        self.direct = psycopg.connect(self.server.dsn(self.name), autocommit=True)

    def fill(self) -> None:
        self.direct.execute(f"TRUNCATE {TABLES} RESTART IDENTITY".encode())
        self.direct.execute((self.values + COMMON).encode())
        self.direct.execute(f"ANALYZE {TABLES}".encode())
        self.fingerprint = self.state()

    def make(self) -> None:
        """Anew from the database without rows, whose OIDs it shares with the other twin."""
        name, base = sql.Identifier(self.name), sql.Identifier(base_of(self.name))
        with self.server.admin() as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, base))
            admin.execute(sql.SQL("ALTER DATABASE {} SET statement_timeout = '5s'").format(name))
        self.connect()
        self.fill()

    def state(self) -> object:
        return self.direct.execute(FINGERPRINT).fetchone()

    def clear(self) -> object:
        return self.direct.execute(CLEAR).fetchone()

    def play(self, play: Play) -> list[Frame]:
        """What the client is sent. The twin's own name, which rule files are called by, is the same for both."""
        own, alike = self.name.encode(), base_of(self.name).encode()
        return [(kind, payload.replace(own, alike)) for kind, payload in play(self)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the same play was sent by both. ``noise``: the same twin did not answer twice alike either. ``marked``: what
    is clear differs afterwards."""

    left: list[Frame]
    right: list[Frame]
    noise: bool = False
    marked: bool = False

    @property
    def differs(self) -> bool:
        return self.left != self.right and not self.noise


@dataclass(slots=True)
class Twins:
    left: Twin
    right: Twin

    @property
    def both(self) -> tuple[Twin, Twin]:
        return self.left, self.right

    @contextmanager
    def as_user(self, user: str) -> Iterator[None]:
        before = [twin.user for twin in self.both]
        for twin in self.both:
            twin.user = user
        try:
            yield
        finally:
            for twin, name in zip(self.both, before, strict=True):
                twin.user = name

    def set_up(self, statements: Sequence[str]) -> None:
        for twin in self.both:
            for statement in statements:
                twin.direct.execute(statement.encode())

    def compare(self, play: Play, setup: Sequence[str] = ()) -> Outcome:
        """A difference is looked at again, with the first state of things: clocks and random numbers differ without a
        twin, too. Raises psycopg.Error when the setup fails."""
        self.set_up(setup)
        with ThreadPoolExecutor(2) as threads:
            left, right = threads.map(lambda twin: twin.play(play), self.both)
        marked = self.left.clear() != self.right.clear()
        noise = False
        if left != right:
            if self.restore():
                self.set_up(setup)
            noise = self.left.play(play) != left
        return Outcome(left, right, noise=noise, marked=marked)

    def restore(self) -> bool:
        """Undo what was changed. True if anything was."""
        if all(twin.state() == twin.fingerprint for twin in self.both):
            return False
        before = [twin.fingerprint for twin in self.both]
        for twin in self.both:
            twin.fill()
        if [twin.fingerprint for twin in self.both] != before:  # there is more than other rows
            for twin in self.both:
                twin.direct.close()
                twin.make()
        return True

    def secrets(self) -> frozenset[str]:
        """Every protected value of either twin that is too long to occur by chance."""
        found = {BEHIND}
        for twin in self.both:
            for table, columns in PROTECTED.items():
                for row in twin.direct.execute(f"SELECT {columns} FROM public.{table}".encode()).fetchall():
                    found |= {str(value) for value in row if value is not None and len(str(value)) >= LONG}
        return frozenset(found)


def base_of(name: str) -> str:
    return name.rpartition("_")[0] + "_base"


@contextmanager
def run_twins(server: Server) -> Iterator[Mapping[str, Twins]]:
    """Each variant's twins, behind one proxy."""
    twins: dict[str, Twins] = {}
    for variant, files in VARIANTS.items():
        with server.admin() as admin:
            base_name = sql.Identifier(f"{variant}_base")
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(base_name))  # of another file's
            admin.execute(sql.SQL("CREATE DATABASE {}").format(base_name))
        with psycopg.connect(server.dsn(f"{variant}_base"), autocommit=True) as base:
            base.execute(SCHEMA.encode())
        values = ["".join((HERE / file).read_text(encoding="utf-8") for file in each) for each in files]
        both = [Twin(f"{variant}_{side}", {}, server, each) for side, each in zip(SIDES, values, strict=True)]
        for twin in both:
            twin.make()
        twins[variant] = Twins(*both)
    everyone = [twin for pair in twins.values() for twin in pair.both]
    password = server.postgres.password
    served = {twin.name: Served(twin.name, rules_text(twin.name), SUPERUSER, password) for twin in everyone}
    first = everyone[0].name
    with run_proxy(server, first, grants=SCOPES, rules=rules_text("hidden_left", "shop"), others=served) as proxy:
        for twin in everyone:
            twin.addresses = {
                user: Address(proxy.direct_port, twin.name, user, Secret(proxy.tokens[user])) for user in SCOPES
            }
        yield twins
    for twin in everyone:
        twin.direct.close()


def rules_text(name: str, database: str | None = None) -> str:
    """The rules of the variant that ``name`` is a twin of."""
    text = (HERE / f"{name.rpartition('_')[0]}.yaml").read_text(encoding="utf-8")
    return text.replace("DATABASE", database or name)
