"""Administration of principals, tokens and grants (``open_store``), and what workers follow (``watch``)."""

import asyncio
import contextlib
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Row, Select, Table, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from maskproxy.store import rows, tables
from maskproxy.store.engine import StoreError, create_file, existing_store, migrate, open_engine, store_path
from maskproxy.store.rows import IssuedToken, Principal, Token
from maskproxy.store.snapshot import Grant, GrantId, PrincipalKind, Snapshot, TokenId
from maskproxy.store.tokens import RANDOM_BYTES, new_token
from maskproxy.wire.postgres.scram import ITERATIONS, SALT_SIZE, derive_keys

POLL_SECONDS = 0.25
STALE_SECONDS = 30.0  # a worker that cannot read the store for longer must not go on believing its snapshot
MAX_TEXT = 200  # of purpose, ticket, approver, label: they go into every record of a session

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,62}")

log = structlog.get_logger("maskproxy.store")


def utc_now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def open_store(
    url: str, *, create: bool = True, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator["Store"]:
    """For administration: makes the file when ``create``, and brings its schema up to date. Raises StoreError."""
    if create:
        path = store_path(url)
        create_file(path)
    else:
        path = existing_store(url)
    try:
        async with open_engine(path, writes=True) as engine:
            await migrate(engine)
            yield Store(engine, clock)
    except SQLAlchemyError as error:
        raise StoreError(f'the control store "{path}" cannot be used', detail=type(error).__name__) from error


class Store:
    """Every change is one transaction and raises the generation. All methods raise StoreError when they refuse."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    async def add_principal(self, name: str, kind: PrincipalKind = PrincipalKind.AGENT) -> Principal:
        if not _NAME.fullmatch(name):
            raise StoreError(
                f'"{name}" is no name for a principal',
                hint="a letter, then letters, digits, _ . @ -; 63 characters at most",
            )
        principal = Principal(name, kind, self._clock(), None)
        row = {
            "name": name,
            "kind": kind.value,
            "created_at": principal.created_at,
            "scram_salt": secrets.token_bytes(SALT_SIZE),
            "scram_iterations": ITERATIONS,
        }
        try:
            async with self._change() as connection:
                await connection.execute(insert(tables.principals).values(row))
        except IntegrityError:
            raise StoreError(f'principal "{name}" exists already') from None
        return principal

    async def principals(self) -> list[Principal]:
        found = await self._read(select(tables.principals).order_by(tables.principals.c.name))
        return [rows.principal_of(row) for row in found]

    async def disable_principal(self, name: str) -> None:
        """For good: its sessions end, its tokens and grants stay in the books but open nothing."""
        async with self._change() as connection:
            row = await self._principal(connection, name)
            if row.disabled_at is None:
                disable = update(tables.principals).where(tables.principals.c.name == name)
                await connection.execute(disable.values(disabled_at=self._clock()))

    async def issue_token(self, principal: str, expires: datetime, label: str = "") -> IssuedToken:
        now = self._clock()
        if expires <= now:
            raise StoreError("a token must expire in the future")
        _check_text(label=label)
        secret = new_token(secrets.token_bytes(RANDOM_BYTES))
        token = IssuedToken(TokenId(_new_id("t")), secret, expires)
        async with self._change() as connection:
            row = await self._enabled_principal(connection, principal)
            keys = derive_keys(secret.reveal(), row.scram_salt, row.scram_iterations)
            values = {
                "id": token.id,
                "principal": principal,
                "label": label,
                "stored_key": keys.stored_key,
                "server_key": keys.server_key,
                "created_at": now,
                "expires_at": expires,
            }
            await connection.execute(insert(tables.tokens).values(values))
        return token

    async def tokens(self, principal: str | None = None) -> list[Token]:
        query = select(tables.tokens).order_by(tables.tokens.c.created_at, tables.tokens.c.id)
        if principal is not None:
            query = query.where(tables.tokens.c.principal == principal)
        return [rows.token_of(row) for row in await self._read(query)]

    async def revoke_token(self, id: TokenId | str) -> None:
        await self._revoke(tables.tokens, "token", id)

    async def create_grant(
        self,
        principal: str,
        database: str,
        scopes: Sequence[str],
        *,
        until: datetime,
        starts_at: datetime | None = None,
        purpose: str | None = None,
        ticket: str | None = None,
        approved_by: str | None = None,
    ) -> Grant:
        now = self._clock()
        starts_at = starts_at or now
        if until <= max(now, starts_at):
            raise StoreError("a grant must end in the future, and after it starts")
        if not scopes or not all(scopes):
            raise StoreError("a grant names one scope or more")
        _check_text(purpose=purpose, ticket=ticket, approved_by=approved_by, database=database)
        values = {
            "id": _new_id("g"),
            "principal": principal,
            "database": database,
            "scopes": list(dict.fromkeys(scopes)),
            "starts_at": starts_at,
            "until": until,
            "purpose": purpose,
            "ticket": ticket,
            "approved_by": approved_by,
            "created_at": now,
        }
        async with self._change() as connection:
            await self._enabled_principal(connection, principal)
            await connection.execute(insert(tables.grants).values(values))
            query = select(tables.grants).where(tables.grants.c.id == values["id"])
            return rows.grant_of((await connection.execute(query)).one())

    async def grants(self, principal: str | None = None, database: str | None = None) -> list[Grant]:
        """All that ever were, oldest first."""
        query = select(tables.grants).order_by(tables.grants.c.created_at, tables.grants.c.id)
        for column, wanted in ((tables.grants.c.principal, principal), (tables.grants.c.database, database)):
            if wanted is not None:
                query = query.where(column == wanted)
        return [rows.grant_of(row) for row in await self._read(query)]

    async def revoke_grant(self, id: GrantId | str) -> None:
        await self._revoke(tables.grants, "grant", id)

    async def snapshot(self) -> Snapshot:
        async with self._engine.begin() as connection:
            return await rows.load_snapshot(connection, self._clock())

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.begin() as connection:
            yield connection
            await connection.execute(update(tables.state).values(generation=tables.state.c.generation + 1))

    async def _read(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self._engine.begin() as connection:
            found: Sequence[Row[Any]] = (await connection.execute(query)).all()
            return found

    async def _principal(self, connection: AsyncConnection, name: str) -> Row[Any]:
        query = select(tables.principals).where(tables.principals.c.name == name)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise StoreError(f'principal "{name}" does not exist', hint=f"add it with: maskproxy principal add {name}")
        return row

    async def _enabled_principal(self, connection: AsyncConnection, name: str) -> Row[Any]:
        row = await self._principal(connection, name)
        if row.disabled_at is not None:
            raise StoreError(f'principal "{name}" is disabled')
        return row

    async def _revoke(self, table: Table, what: str, id: str) -> None:
        """Revoking twice keeps the first time."""
        async with self._change() as connection:
            row = (await connection.execute(select(table.c.revoked_at).where(table.c.id == id))).one_or_none()
            if row is None:
                raise StoreError(f'{what} "{id}" does not exist', hint=f"see: maskproxy {what} list")
            if row.revoked_at is None:
                await connection.execute(update(table).where(table.c.id == id).values(revoked_at=self._clock()))


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(6)}"


def _check_text(**texts: str | None) -> None:
    for name, text in texts.items():
        if text is not None and len(text) > MAX_TEXT:
            raise StoreError(f"{name.replace('_', ' ')} has more than {MAX_TEXT} characters")


async def watch(
    url: str, interval: float = POLL_SECONDS, *, clock: Callable[[], datetime] = utc_now
) -> AsyncGenerator[Snapshot]:
    """The present snapshot at once, then a new one after each change, for ever.

    A store that cannot be read (locked, being restored) is tried again; what the caller has stays valid for
    STALE_SECONDS, then StoreError ends it: an answer that may be revoked is not believed for ever. A replaced file is
    opened anew. Raises StoreError at once when there is no store.
    """
    path = existing_store(url)
    loop = asyncio.get_running_loop()
    last_read = loop.time()
    while True:
        try:
            async with open_engine(path, writes=False) as engine, engine.connect() as connection:
                opened, version = path.stat(), None
                while os.path.samestat(opened, path.stat()):
                    # Differs from the last answer when another connection has committed (SQLite, "PRAGMA
                    # data_version"). It is read first: what is committed while the snapshot is read shows next time.
                    latest = (await connection.exec_driver_sql("PRAGMA data_version")).scalar_one()
                    if latest != version:
                        version = latest
                        await connection.rollback()
                        snapshot = await rows.load_snapshot(connection, clock())
                        await connection.rollback()
                        yield snapshot
                    await connection.rollback()
                    last_read = loop.time()
                    await asyncio.sleep(interval)
        except (SQLAlchemyError, OSError) as error:
            if loop.time() - last_read > STALE_SECONDS:
                raise StoreError(f'the control store "{path}" cannot be read', detail=type(error).__name__) from error
            log.error("control store cannot be read, trying again", store=str(path), error=type(error).__name__)
        await asyncio.sleep(max(interval, 1.0))
