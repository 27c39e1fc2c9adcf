"""What may be seen in one database: its catalog and its rules, compiled together, replaced as a whole.

A control connection of our own (asyncpg, never with settings a client chose) loads the catalog; it is loaded again
every few seconds, when a result disagrees with it, after DDL that went through us, and on reload. Rules are compiled
against each new catalog; columns that are not as they were when the rules were read, or as their lock says, are NULL.
A catalog that cannot be loaded leaves the policies as they were. Rules that do not fit the database as it is now make
it unavailable: old ones would speak of columns that are others by now. Before the first success it is too, and logins
say so.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

import asyncpg
import structlog

from maskproxy.base import limits
from maskproxy.base.errors import BackendUnavailable, ConfigurationError
from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.base.secret import Secret
from maskproxy.core.catalog import Catalog
from maskproxy.core.plan import Stamp
from maskproxy.core.policy.compile import RuleSet, compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import Reviewed, reviewed, with_new_columns
from maskproxy.core.policy.lock import Lock
from maskproxy.core.settings import Database, Settings
from maskproxy.proxy.catalogs import load_catalog
from maskproxy.proxy.tls import database_context
from maskproxy.session.enforce import Policy
from maskproxy.store.configuration import load_lock, load_rules, read_password

REFRESH_SECONDS = 5.0
_RETRY_SECONDS = 0.5

_MAX_NAMED = 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WrittenRules:
    """What was written down: the rules, and what was reviewed."""

    documents: tuple[RulesDocument, ...]
    lock: Lock | None = None


def load_written(settings: Settings, database: str) -> WrittenRules:
    """Raises ConfigurationError."""
    return WrittenRules(tuple(load_rules(settings, database)), load_lock(settings, database))


def label_keys(master: Secret[bytes]) -> Callable[[str], bytes]:
    """The key of each label's tokens, derived from the master key: equal values of two labels get different tokens."""

    def derive(label: str) -> bytes:
        return hmac.new(master.reveal(), b"maskproxy token " + label.encode(), hashlib.sha256).digest()

    return derive


async def connect_control(database: Database) -> asyncpg.Connection:
    """Our own connection to a database. Raises OSError, asyncpg.PostgresError, TimeoutError, ConfigurationError."""
    password = read_password(database)
    return await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        database=database.dbname,
        password=None if password is None else password.reveal(),
        ssl=database_context(database) or False,
        timeout=limits.BACKEND_CONNECT_SECONDS,
        command_timeout=limits.BACKEND_CONNECT_SECONDS,
        server_settings={"application_name": "maskproxy control"},
    )


class DatabasePolicies:
    """Catalog and rules of one database in one worker. ``on_change`` is called after they were replaced."""

    def __init__(self, database: Database, rules: WrittenRules, token_key: Secret[bytes]) -> None:
        self.database = database
        self.on_change: Callable[[], None] = lambda: None
        self._written = rules
        self._keys = label_keys(token_key)
        self._catalog: Catalog | None = None
        self._seen: Reviewed | None = None
        self._warned: frozenset[ColumnRef] = frozenset()
        self._rules: RuleSet | None = None
        self._generation = 0
        self._policies: dict[tuple[str, ...], Policy] = {}
        self._refresh = asyncio.Event()

    @property
    def available(self) -> bool:
        return self._rules is not None

    @property
    def generation(self) -> Generation:
        return Generation(self._generation)

    def unrestricted(self, scopes: tuple[str, ...]) -> bool:
        """Whether these scopes together lift every restriction; False for scopes that the rules do not know."""
        known = {} if self._rules is None else self._rules.scopes
        return bool(scopes) and all(name in known and known[name].unrestricted for name in scopes)

    def policy(self, scopes: tuple[str, ...]) -> Policy:
        """Raises BackendUnavailable before the first catalog, Refused for a scope that the rules do not have."""
        if self._rules is None or self._catalog is None:
            raise BackendUnavailable(f'database "{self.database.name}" is not available')
        policy = self._policies.get(scopes)
        if policy is None:
            stamp = Stamp(self._rules.generation, self._catalog.generation)
            policy = Policy.of(self._rules.combine(scopes), stamp, self.database.search_path)
            self._policies[scopes] = policy
        return policy

    def compiled(self, written: WrittenRules) -> RuleSet | None:
        """These rules against today's catalog; None while there is none. Raises ConfigurationError."""
        if self._catalog is None:
            return None
        return self._compile(written, self._catalog, reviewed(written.lock, self._catalog), lenient=False)

    def replace(self, written: WrittenRules, rules: RuleSet | None) -> None:
        """Use rules that ``compiled`` accepted."""
        self._written = written
        if rules is not None and self._catalog is not None:
            self._seen = reviewed(written.lock, self._catalog)
            self._install(rules)

    def _compile(self, written: WrittenRules, catalog: Catalog, seen: Reviewed, *, lenient: bool) -> RuleSet:
        generation = Generation(self._generation + 1)
        name = self.database.name
        return compile_rules(written.documents, catalog, name, self._keys, generation, seen=seen, lenient=lenient)

    def refresh(self) -> None:
        """Load the catalog now rather than at its time."""
        self._refresh.set()

    async def run(self) -> None:
        """Keep the catalog fresh for ever."""
        while True:
            try:
                connection = await connect_control(self.database)
                try:
                    await self._watch(connection)
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ConfigurationError) as error:
                log.warning("database not available", database=self.database.name, reason=_reason(error))
            await asyncio.sleep(_RETRY_SECONDS)

    async def _watch(self, connection: asyncpg.Connection) -> None:
        while True:
            self._take(await load_catalog(connection, Generation(0)))
            self._refresh.clear()
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._refresh.wait()
            except TimeoutError:
                pass

    def _take(self, loaded: Catalog) -> None:
        if self._catalog is not None and replace(loaded, generation=self._catalog.generation) == self._catalog:
            return
        before = self._catalog
        self._catalog = replace(loaded, generation=Generation(1 if before is None else before.generation + 1))
        fresh = self._seen is None
        seen = reviewed(self._written.lock, self._catalog) if self._seen is None else self._seen
        try:
            rules = self._compile(self._written, self._catalog, seen, lenient=not fresh)
        except ConfigurationError as error:
            log.error("rules do not fit the catalog", database=self.database.name, problems=str(error))
            self._withdraw()
            return
        self._seen = with_new_columns(seen, self._catalog)
        self._install(rules)

    def _install(self, rules: RuleSet) -> None:
        self._rules = rules
        self._generation = rules.generation
        self._policies.clear()
        log.info("policies in force", database=self.database.name, rules=rules.generation, digest=rules.digest)
        if fresh := rules.drifted.keys() - self._warned:
            columns = ", ".join(map(str, sorted(fresh)[:_MAX_NAMED]))
            log.warning("columns nobody has reviewed are NULL", database=self.database.name, columns=columns)
        self._warned = frozenset(rules.drifted)
        self.on_change()

    def _withdraw(self) -> None:
        self._rules = None
        self._policies.clear()
        self.on_change()


def _reason(error: BaseException) -> str:
    """Server errors at login and of our own fixed statements hold no row values."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
