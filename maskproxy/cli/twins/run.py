"""The test of non-interference for a user's own schema, rules and scope, from the schema to the results."""

import asyncio
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from maskproxy.base.errors import ConfigurationError, MaskproxyError
from maskproxy.base.refs import ColumnRef
from maskproxy.cli.embedded import EmbeddedPostgres, write_private
from maskproxy.cli.rulesets import GENERATION, connected
from maskproxy.cli.twins.compare import Comparison, Results
from maskproxy.cli.twins.databases import BASE, SERVER, TWINS, database, differing, make_base, make_twins
from maskproxy.cli.twins.layout import read_layout
from maskproxy.cli.twins.proxy import ProxyNotStarted, twin_proxy
from maskproxy.cli.twins.rebuild import Note, rebuild
from maskproxy.cli.twins.schema import Schema, read_schema
from maskproxy.cli.twins.statements import make_plays
from maskproxy.cli.twins.targets import Subject, subjects
from maskproxy.cli.twins.values import Answers, Filler, Rows, read_filters
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.compile import compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import reviewed
from maskproxy.core.policy.ruleset import RuleSet
from maskproxy.core.settings import Settings
from maskproxy.proxy.catalogs import load_catalog
from maskproxy.proxy.policies import label_keys
from maskproxy.store.configuration import load_key, load_lock, load_rules


class NothingToCompare(MaskproxyError):
    """The scope leaves nothing that could be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``protect``: columns or labels that must not be in clear, whatever the rules say."""

    database: str
    scopes: tuple[str, ...]
    protect: tuple[str, ...]
    queries: int
    seed: int


@dataclass(frozen=True, slots=True)
class Findings:
    subjects: Sequence[Subject]
    results: Results
    notes: Sequence[Note]

    @property
    def passed(self) -> bool:
        """Where nothing was served of what differs, nothing was tried."""
        return not self.results.differences and any(
            self.results.endings.get(each.target.column, Counter())["served"]
            for each in self.subjects
            if not each.alone
        )


Told = Callable[[str], None]
"""What is done now, for who waits."""


async def run(settings: Settings, wish: Wish, told: Told) -> Findings:
    """Raises BackendUnavailable, ConfigurationError, NothingToCompare, ProxyNotStarted, PostgresNotStarted."""
    documents = load_rules(settings, wish.database)
    told("reading definitions, no rows")
    async with connected(settings.databases[wish.database]) as connection:
        trusted = [name for document in documents for name in document.model.trust.functions]
        schema = await read_schema(connection, trusted)
    with _directory() as directory, EmbeddedPostgres(directory / "postgres", settings=SERVER) as server:
        return await _Run(settings, wish, told, documents, directory, server).run(schema)


@contextmanager
def _directory() -> Iterator[Path]:
    """One that an unprivileged server can reach."""
    directory = Path(tempfile.mkdtemp(prefix="maskproxy-twins-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Run:
    settings: Settings
    wish: Wish
    told: Told
    documents: Sequence[RulesDocument]
    directory: Path
    server: EmbeddedPostgres

    async def run(self, schema: Schema) -> Findings:
        self.told("making the twins")
        chance = Random(self.wish.seed)  # noqa: S311 - test data
        await make_base(self.server)
        async with database(self.server, BASE) as base:
            notes = await rebuild(base, schema)
            ruleset = self._compile(await load_catalog(base, GENERATION), notes)
            scope = ruleset.combine(self.wish.scopes)
            if scope.unrestricted:
                raise NothingToCompare(f"scope {scope.name} is unrestricted: it sees everything")
            layout = await read_layout(base)
            read_filters(layout, scope)
            protected = _protected(self.wish.protect, ruleset)
            filler = Filler(base, layout, Answers(layout, scope, ruleset, protected), chance)
            roots = [table for table in layout.tables.values() if not table.is_partition]
            tables = [(table, await filler.fill(table)) for table in roots]
        notes += await make_twins(self.server, tables)
        told = await differing(self.server, layout)
        found = subjects(layout, scope, ruleset, filler.rows, protected, told)
        if not found:
            raise NothingToCompare(f"scope {scope.name} neither masks nor denies anything")
        results = await self._compare(found, filler.rows, chance)
        return Findings(found, results, notes)

    def _compile(self, catalog: Catalog, notes: Sequence[Note]) -> RuleSet:
        """As the proxies will, with the key of their tokens."""
        file = self.directory / "keys" / "token.key"
        file.parent.mkdir(mode=0o700)
        write_private(file, hashlib.sha256(f"twins {self.wish.seed}".encode()).digest())  # same seed, same tokens
        keys = label_keys(load_key(file))
        lock = load_lock(self.settings, self.wish.database)
        try:
            return compile_rules(
                self.documents, catalog, self.wish.database, keys, GENERATION, seen=reviewed(lock, catalog)
            )
        except ConfigurationError as error:
            if not notes:
                raise
            missing = "; ".join(f"{note.name}: {note.reason}" for note in notes)
            raise NothingToCompare(
                f"the rules do not fit what could be made again of the schema: {error.message}", detail=missing
            ) from None

    async def _compare(self, found: Sequence[Subject], rows: Rows, chance: Random) -> Results:
        self.told("starting the proxy")
        async with twin_proxy(
            self.directory,
            self.server,
            TWINS,
            self.settings,
            self.wish.database,
            self.documents,
            self.wish.scopes,
        ) as addresses:
            self.told(f"sending {self.wish.queries} statements to both")
            comparison = Comparison(addresses, TWINS, rows.tokens)
            plays = make_plays([each.target for each in found], self.wish.queries, chance)
            try:
                return await asyncio.to_thread(comparison.run, plays)
            except OSError as error:
                raise ProxyNotStarted("the proxy before the twins has ended", detail=str(error)) from error


def _protected(wanted: Sequence[str], ruleset: RuleSet) -> frozenset[ColumnRef]:
    """Columns of that name or with that label. Raises NothingToCompare for what is neither."""
    found: set[ColumnRef] = set()
    for name in wanted:
        labelled = {column for column, labels in ruleset.labels.items() if name in labels}
        named = {
            ref
            for table in ruleset.catalog.tables.values()
            for column in table.columns
            if str(ref := ColumnRef(table.ref.schema, table.ref.name, column.name)) == name
        }
        if not labelled | named:
            raise NothingToCompare(f"--protect {name}: no column and no label has this name")
        found |= labelled | named
    return frozenset(found)
