"""The rules of a database compiled against its catalog of this moment, for commands that need both."""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from maskproxy.base.errors import BackendUnavailable
from maskproxy.base.refs import Generation
from maskproxy.cli.embedded import EmbeddedPostgres
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.compile import RuleSet, compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import reviewed
from maskproxy.core.settings import Database, Settings
from maskproxy.proxy.catalogs import load_catalog
from maskproxy.proxy.policies import connect_control, label_keys
from maskproxy.store.configuration import load_key, load_lock

GENERATION = Generation(1)


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A control connection. Raises BackendUnavailable with what to look at, ConfigurationError without a password.

    The demo's own database is started for as long as it is needed when the demo is not running.
    """
    with ExitStack() as stack:
        try:
            connection = await connect_control(database)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            data = demo_data(Path(database.location.file).parent)
            if data is None:
                # nothing of a row is in an error of the login
                raise BackendUnavailable(
                    f'database "{database.name}" cannot be reached at {database.host}:{database.port}',
                    detail=str(error) or type(error).__name__,
                    hint=f"check dsn, password and tls of the database ({database.location})",
                ) from None
            stack.enter_context(EmbeddedPostgres(data, database.port))
            connection = await connect_control(database)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)


def demo_data(directory: Path) -> Path | None:
    """Where the demo that made this directory keeps its database; None for settings of anything else."""
    data = directory / "postgres"
    return data if (directory / "demo.lock").exists() and data.exists() else None


async def read_catalog(database: Database) -> Catalog:
    """Raises BackendUnavailable, ConfigurationError."""
    async with connected(database) as connection:
        return await load_catalog(connection, GENERATION)


async def read_ruleset(settings: Settings, name: str, documents: Sequence[RulesDocument]) -> RuleSet:
    """Raises BackendUnavailable, ConfigurationError."""
    keys = label_keys(load_key(settings.keys.token))
    catalog = await read_catalog(settings.databases[name])
    lock = load_lock(settings, name)
    return compile_rules(documents, catalog, name, keys, GENERATION, seen=reviewed(lock, catalog))
