"""Who is let in, under which grant, and with which settings their backend starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from maskproxy.base.errors import (
    AuthenticationFailed,
    MaskproxyError,
    Refused,
    StartupRefused,
    StatementError,
    UnknownDatabase,
)
from maskproxy.core.policy.scope_limits import TIMEOUT
from maskproxy.core.sql.settings import check_setting, is_readable
from maskproxy.identity.access import choose_grant, token_valid
from maskproxy.proxy.policies import DatabasePolicies
from maskproxy.session.enforce import Policy
from maskproxy.store.snapshot import Grant, Snapshot, TokenEntry
from maskproxy.wire.postgres.startup import parse_options

_OURS = "maskproxy."
_SPELLINGS = {"datestyle": "DateStyle", TIMEOUT: TIMEOUT}
_NOT_SETTINGS = frozenset({"user", "database", "replication", "options"})

DANGEROUS = frozenset(
    {
        "role",
        "session_authorization",
        "session_replication_role",
        "local_preload_libraries",
        "session_preload_libraries",
        "search_path",
        "standard_conforming_strings",
        "client_encoding",
        "row_security",
        "temp_tablespaces",
        "enable_indexonlyscan",
        "enable_indexscan",
    }
)
"""Settings that change what names or bytes mean: a client that asks for a value we do not allow is told so at once.

Any other setting outside the allow-list is accepted and not passed on, as clients send many that matter to nobody."""


@dataclass(frozen=True, slots=True)
class Startup:
    """What a client asked for. ``settings`` come from its parameters and from ``options``, without ours."""

    user: str
    database: str
    settings: Mapping[str, str]
    raw_options: str | None
    scope: str | None
    application_name: str | None


@dataclass(frozen=True, slots=True)
class Admission:
    """Under which grant a session runs. ``kind`` is the principal's, ``credential`` the token's id."""

    grant: Grant
    kind: str
    credential: str
    policies: DatabasePolicies
    policy: Policy
    startup: Startup = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)  # keys of masks are among them

    def is_outdated(self) -> bool:
        """Whether the same client, coming now, would not be admitted with the same parameters."""
        try:
            policy = self.policies.policy(self.grant.scopes)
            return policy is not self.policy and backend_parameters(self.startup, policy) != self.parameters
        except MaskproxyError:
            return True


def read_startup(parameters: Mapping[str, str]) -> Startup:
    """Raises StartupRefused."""
    user = parameters.get("user", "")
    if not user:
        raise StartupRefused("no user name was given", hint="Put the principal's name into the DSN.")
    if parameters.get("replication", "off").lower() not in ("off", "false", "no", "0"):
        raise StartupRefused("replication connections are not allowed through maskproxy")
    options = parameters.get("options")
    settings = {name: value for name, value in parameters.items() if name not in _NOT_SETTINGS}
    settings.update(parse_options(options) if options else {})
    ours = {name: settings.pop(name) for name in list(settings) if name.startswith(_OURS)}
    return Startup(
        user=user,
        database=parameters.get("database") or user,
        settings=settings,
        raw_options=options,
        scope=ours.get("maskproxy.scope"),
        application_name=settings.get("application_name"),
    )


def admit(
    startup: Startup,
    token: TokenEntry,
    snapshot: Snapshot,
    databases: Mapping[str, DatabasePolicies],
    now: datetime,
) -> Admission:
    """The grant for a principal that has proven to hold ``token``; the snapshot may be newer than the one it was in.

    Raises AuthenticationFailed (token expired or revoked meanwhile), NoGrant, UnknownDatabase, BackendUnavailable,
    StartupRefused.
    """
    entry = snapshot.principals.get(startup.user)
    if entry is None or entry.disabled or token not in entry.tokens:
        raise AuthenticationFailed(f'password authentication failed for user "{startup.user}"')
    if not token_valid(token, now):
        raise AuthenticationFailed(
            f'the token of "{startup.user}" has expired', hint="Ask for a new one: maskproxy dsn issues it."
        )
    policies = databases.get(startup.database)

    def is_unrestricted(scopes: tuple[str, ...]) -> bool:
        return policies is not None and policies.unrestricted(scopes)

    grant = choose_grant(
        snapshot, startup.user, startup.database, now, wanted_scope=startup.scope, is_unrestricted=is_unrestricted
    )
    if policies is None:
        raise UnknownDatabase(f'database "{startup.database}" does not exist')
    try:
        policy = policies.policy(grant.scopes)
    except Refused as error:
        raise StartupRefused(error.message, hint="The grant names a scope that the rules no longer have.") from error
    parameters = backend_parameters(startup, policy)
    return Admission(grant, str(entry.kind), str(token.id), policies, policy, startup, parameters)


def backend_parameters(startup: Startup, policy: Policy) -> dict[str, str]:
    """Startup parameters for the backend.

    Unrestricted: what the client sent. Masking: what the allow-list permits, our pins for what analysis relies on,
    and the keys of masks.
    Raises StartupRefused.
    """
    if policy.scope.unrestricted:
        return dict(startup.settings)
    parameters: dict[str, str] = {"DateStyle": "ISO, MDY"}
    for name, value in startup.settings.items():
        if name.lower() == "client_encoding" and _is_utf8(value):
            continue
        try:
            check_setting(name, value, search_path=policy.search_path)
        except StatementError as error:
            if is_readable(name) or name.lower() in DANGEROUS:
                raise StartupRefused(error.message, detail=error.detail, hint=error.hint) from error
            continue
        parameters[_SPELLINGS.get(name.lower(), name)] = value
    if (timeout := policy.scope.limits.timeout(parameters.get(TIMEOUT))) is not None:
        parameters[TIMEOUT] = timeout
    pins = {
        "search_path": ", ".join('"' + part.replace('"', '""') + '"' for part in policy.search_path),
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        # an index-only scan over an index that holds a masked column returns its rows in the order of the raw values
        "enable_indexonlyscan": "off",
    }
    keys = {name: secret.reveal() for name, secret in policy.scope.settings.items()}
    return {name: value for name, value in parameters.items() if name.lower() not in pins} | pins | keys


def _is_utf8(encoding: str) -> bool:
    """Names compare as the server compares them (clean_encoding_name): asyncpg sends ``'utf-8'`` with its quotes.

    SQL_ASCII, which psql takes from the C locale, converts nothing: such a client gets the UTF-8 that it would get.
    """
    return "".join(filter(str.isalnum, encoding.lower())) in ("utf8", "unicode", "sqlascii")
