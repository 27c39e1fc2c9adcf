"""Key words in every position of a statement, and what the server's grammar makes of a statement, read in a way of its
own: by looking for nodes of a few types anywhere in the protobuf tree, without knowing where they may stand."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

import postgast
from postgast import pg_query_pb2
from sqlglot.dialects.postgres import Postgres

from maskproxy.core.sql.facts import JoinFacts, QueryFacts, Reference, RelationFacts, Slot, StatementFacts, WriteFacts


def server_words() -> tuple[str, ...]:
    """Those that the server's scanner knows: names of its tokens, which may end in _P against macros of C."""
    names = (name.removesuffix("_P").lower() for name in pg_query_pb2.Token.DESCRIPTOR.values_by_name)
    return tuple(sorted({name for name in names if _is_key_word(name)}))


def _is_key_word(name: str) -> bool:
    try:
        (token,) = postgast.scan(name).tokens
    except (postgast.PgQueryError, ValueError):
        return False
    return bool(token.keyword_kind != pg_query_pb2.NO_KEYWORD)


def other_words() -> tuple[str, ...]:
    """Those that only sqlglot gives a meaning: to its tokens, functions and clauses."""
    tables = (Postgres.Tokenizer.KEYWORDS, Postgres.Parser.FUNCTIONS, Postgres.Parser.FUNCTION_PARSERS)
    names = {name.lower() for table in tables for name in table if re.fullmatch(r"[A-Za-z_]\w*", name)}
    return tuple(sorted(names - set(server_words())))


COLUMNS: Final = (
    "SELECT {w} FROM t",
    "SELECT {w}, email FROM t",
    "SELECT email, {w} FROM t",
    "SELECT DISTINCT {w} FROM t",
    "SELECT t.{w} FROM t",
    "SELECT public.t.{w} FROM t",
    "SELECT t.{w}, t.email FROM t",
    "SELECT (t).{w} FROM t",
    "SELECT ({w}) FROM t",
    "SELECT {w} || email FROM t",
    "SELECT email || {w} FROM t",
    "SELECT upper({w}) FROM t",
    "SELECT concat(email, {w}) FROM t",
    "SELECT count(*) FILTER (WHERE {w} = email) FROM t",
    "SELECT CASE {w} WHEN email THEN name END FROM t",
    "SELECT CASE WHEN {w} = '' THEN email ELSE {w} END FROM t",
    "SELECT {w}::text FROM t",
    "SELECT cast({w} AS text) FROM t",
    "SELECT extract(year FROM {w}) FROM t",
    "SELECT trim({w} FROM email) FROM t",
    "SELECT substring(email FROM {w}) FROM t",
    "SELECT date_trunc({w}, created) FROM t",
    "SELECT date_part({w}, created) FROM t",
    "SELECT {w} -> 'a' FROM t",
    "SELECT jsonb_typeof({w} -> 'a') FROM t",
    "SELECT ARRAY[{w}, email] FROM t",
    "SELECT ROW({w}, email) FROM t",
    "SELECT {w}[1] FROM t",
    "SELECT {w} IS NULL FROM t",
    "SELECT NOT {w} FROM t",
    "SELECT - {w} FROM t",
    'SELECT email COLLATE "C", {w} COLLATE "C" FROM t',
    "SELECT email FROM t WHERE {w} = 'a'",
    "SELECT email FROM t WHERE {w} AND name = ''",
    "SELECT email FROM t WHERE name = {w}",
    "SELECT email FROM t WHERE name IN ({w}, '')",
    "SELECT email FROM t WHERE name BETWEEN {w} AND email",
    "SELECT email FROM t WHERE name LIKE {w} ESCAPE '!'",
    "SELECT email FROM t WHERE EXISTS (SELECT FROM u WHERE u.code = {w})",
    "SELECT email FROM t ORDER BY {w}",
    "SELECT email FROM t ORDER BY {w} DESC, name",
    "SELECT max(email) FROM t GROUP BY {w}",
    "SELECT max(email) FROM t GROUP BY ROLLUP ({w}, name)",
    "SELECT max(email) FROM t GROUP BY name HAVING max({w}) > ''",
    "SELECT sum(id) OVER (PARTITION BY {w} ORDER BY email) FROM t",
    "SELECT sum(id) OVER ({w} ORDER BY email) FROM t",
    "SELECT email FROM t LIMIT {w}",
    "SELECT email FROM t JOIN u ON t.{w} = code",
    "SELECT email FROM t JOIN u USING ({w})",
    "SELECT email FROM t, LATERAL (SELECT {w}) AS x (a) WHERE a = 1",
    "SELECT email, (SELECT {w}) FROM t",
    "VALUES ((SELECT max({w}) FROM t))",
    "INSERT INTO t (id, {w}) VALUES (1, '')",
    "INSERT INTO t (id, name) SELECT id, {w} FROM u",
    "UPDATE t SET {w} = email",
    "UPDATE t SET name = {w}",
    "UPDATE t SET ({w}, name) = (email, '')",
    "DELETE FROM t WHERE {w} = email RETURNING id, {w}",
)
"""A column of that name, as the server or one of its extensions would have it."""

NAMES: Final = (
    "SELECT email {w} FROM t",
    "SELECT email AS {w} FROM t",
    "SELECT email {w}, name FROM t",
    "SELECT email AS {w}, name FROM t",
    "SELECT upper(email) {w} FROM t",
    "SELECT 1 {w}, email FROM t",
    "SELECT name, email AS {w} FROM t ORDER BY {w}",
    "SELECT * FROM (SELECT email AS {w} FROM t) AS x",
    "SELECT {w}, x.* FROM (SELECT email AS {w} FROM t) AS x",
    "SELECT x.{w} FROM t AS x (id, {w})",
    "SELECT {w} FROM t AS x ({w})",
    "SELECT {w}.email FROM t {w}",
    "SELECT {w}.email FROM t AS {w}",
    "SELECT {w}.* FROM t AS {w}, u",
    "SELECT {w} FROM t AS {w}",
    "SELECT to_jsonb({w}) FROM u AS {w}",
    "SELECT email FROM t {w}",
    "SELECT * FROM t {w} JOIN u ON true",
    "SELECT * FROM t {w} JOIN u USING (id)",
    "SELECT * FROM t {w}, u",
    "SELECT * FROM u, t {w}",
    "SELECT * FROM t JOIN u {w} ON true",
    "SELECT * FROM t JOIN u {w} USING (id)",
    "SELECT * FROM t CROSS JOIN u {w}",
    "SELECT * FROM t NATURAL {w} JOIN u",
    "SELECT * FROM t LEFT {w} JOIN u ON true",
    "SELECT * FROM (SELECT email FROM t) {w}",
    "SELECT * FROM (SELECT email FROM t) {w} WHERE true",
    "SELECT email FROM t {w} WHERE true",
    "SELECT email FROM t {w} ORDER BY name",
    "SELECT email FROM t {w} LIMIT 1",
    "SELECT email FROM t ORDER BY name {w} LIMIT 1",
    "SELECT email FROM t LIMIT 1 {w}",
    "SELECT email FROM t GROUP BY email {w} ORDER BY 1",
    "SELECT email FROM t WHERE name = '' {w} id = 1",
    "SELECT email FROM t UNION {w} SELECT name FROM u",
    "SELECT {w} email FROM t",
    "SELECT {w} email, name FROM t",
    "SELECT {w} ON (email) name FROM t",
    "SELECT name {w} email FROM t",
    "SELECT {w} 'a' FROM t",
    "SELECT {w} '1', email FROM t",
    "SELECT {w} (1) 'a', email FROM t",
    "SELECT * FROM {w}",
    "SELECT email FROM {w}, t",
    "SELECT {w}.name FROM {w}",
    "SELECT * FROM public.{w}",
    "SELECT * FROM {w}.t",
    "SELECT * FROM ONLY {w}",
    "SELECT {w}.t.id FROM {w}.t",
    "SELECT * FROM {w} AS x",
    "SELECT * FROM {w} x JOIN t ON true",
    "TABLE {w}",
    "WITH {w} AS (SELECT email FROM t) SELECT * FROM {w}",
    "WITH {w} (x) AS (SELECT email FROM t) SELECT x FROM {w}",
    "WITH x ({w}) AS (SELECT email FROM t) SELECT {w} FROM x",
    "WITH {w} AS MATERIALIZED (SELECT email FROM t) TABLE {w}",
    "WITH x AS {w} (SELECT email FROM t) TABLE x",
    "SELECT sum(id) OVER {w} FROM t WINDOW {w} AS (ORDER BY email)",
    "SELECT email FROM t FOR {w}",
    "SELECT email FROM t FOR UPDATE OF {w}",
    "INSERT INTO {w} (id) VALUES (1)",
    "INSERT INTO t AS {w} (id) VALUES (1) RETURNING {w}.email",
    "UPDATE {w} SET name = ''",
    "UPDATE t {w} SET name = ''",
    "UPDATE t AS {w} SET name = {w}.email FROM u",
    "DELETE FROM {w}",
    "DELETE FROM t {w} WHERE {w}.id = 1",
    "DELETE FROM t USING u {w} WHERE true RETURNING email {w}",
)
"""Aliases, names of relations and schemas, and what could be a part of a clause."""

CALLS: Final = (
    "SELECT {w}() FROM t",
    "SELECT {w}(email) FROM t",
    "SELECT {w} (email), name FROM t",
    "SELECT {w}(email, name) FROM t",
    "SELECT {w}(name, email, 'x') FROM t",
    "SELECT {w}('x', email) FROM t",
    "SELECT {w}(DISTINCT email) FROM t",
    "SELECT {w}(email ORDER BY name) FROM t",
    "SELECT {w}(email) OVER (ORDER BY name) FROM t",
    "SELECT {w}(*) FROM t",
    "SELECT {w}(email FROM name) FROM t",
    "SELECT {w}(email AS text) FROM t",
    "SELECT {w}(email IN name) FROM t",
    "SELECT {w}(VARIADIC ARRAY[email]) FROM t",
    "SELECT pg_catalog.{w}(email) FROM t",
    "SELECT pg_catalog.{w}(email, name) FROM t",
    "SELECT {w}.lower(email) FROM t",
    "SELECT id FROM t WHERE {w}(email)",
    "SELECT id FROM t WHERE {w}(email, name) = ''",
    "SELECT id FROM t WHERE name = {w} (SELECT 'a' FROM t WHERE email = '')",
    "SELECT id FROM t ORDER BY {w}(email)",
    "SELECT max(id) FROM t GROUP BY {w}(email)",
    "SELECT max(id) FROM t GROUP BY {w}(email, name)",
    "SELECT max(id) FROM t GROUP BY {w} ((email), (name))",
    "SELECT * FROM t, {w}(email)",
    "SELECT * FROM t, {w}(email) AS x",
    "SELECT * FROM t, LATERAL {w}(email) AS x (a)",
    "SELECT * FROM t, {w} (SELECT email) AS x",
    "SELECT * FROM t JOIN {w}(email) ON true",
    "SELECT email::{w} FROM t",
    "SELECT email::{w}, name FROM t",
    "SELECT email::{w}(3) FROM t",
    "SELECT email::{w}[] FROM t",
    "SELECT email::pg_catalog.{w} FROM t",
    "SELECT cast(email AS {w}) FROM t",
    "SELECT cast(email AS {w} name) FROM t",
    "SELECT email COLLATE {w} FROM t",
    "SELECT interval '1' {w}, email FROM t",
    "SELECT interval '1' {w} FROM t",
    "SELECT extract({w} FROM created) FROM t",
    "SELECT created AT {w} ZONE email FROM t",
    "SELECT email IS {w} FROM t",
    "SELECT email IS NOT {w} name FROM t",
    "SELECT email {w} NULL FROM t",
    "SELECT email {w} ('a', 'b') FROM t",
)
"""Functions, types and units, and syntax that looks like them."""

POSITIONS: Final = COLUMNS + NAMES + CALLS


@dataclass(frozen=True, slots=True)
class Nodes:
    """How often each name stands in a statement: columns as they are written, relations, and what gets a name."""

    references: Counter[Reference] = field(default_factory=Counter)
    relations: Counter[Reference] = field(default_factory=Counter)
    aliases: Counter[str] = field(default_factory=Counter)
    functions: Counter[Reference] = field(default_factory=Counter)
    types: Counter[Reference] = field(default_factory=Counter)
    operators: Counter[Reference] = field(default_factory=Counter)


def nodes(text: str) -> Nodes:
    """Of the one statement of a text."""
    found = Nodes()
    (statement,) = postgast.parse(text).stmts
    for message in _messages(statement):
        match message.DESCRIPTOR.name:
            case "ColumnRef":
                found.references[tuple(each.string.sval or "*" for each in message.fields)] += 1
            case "RangeVar":
                found.relations[tuple(filter(None, (message.schemaname, message.relname)))] += 1
            case "Alias":
                found.aliases.update([message.aliasname, *_strings(message.colnames)])
            case "CommonTableExpr":
                found.aliases.update([message.ctename, *_strings(message.aliascolnames)])
            case "ResTarget" if message.name:
                found.aliases[message.name] += 1
            case "XmlExpr":  # names of its elements and attributes, which no one can refer to
                found.aliases.subtract(each.res_target.name for each in message.named_args if each.res_target.name)
            case "JoinExpr":
                found.aliases.update(_strings(message.using_clause))
            case "FuncCall":
                found.functions[_strings(message.funcname)] += 1
            case "TypeName":
                found.types[_strings(message.names)] += 1
            case "A_Expr":
                found.operators[_strings(message.name)] += message.kind not in _BETWEEN
    return found


# Syntax, in whose nodes stand key words instead of an operator's name.
_BETWEEN: Final = frozenset(number for name, number in pg_query_pb2.A_Expr_Kind.items() if "BETWEEN" in name)


def _strings(values: Any) -> Reference:
    return tuple(each.string.sval for each in values)


def _messages(message: Any) -> Iterator[Any]:
    yield message
    if message.DESCRIPTOR.name == "MultiAssignRef" and message.colno > 1:
        return  # the same row once more
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for each in value if hasattr(value, "add") else [value]:
                yield from _messages(each)


def counted(facts: StatementFacts) -> Nodes:
    """The same of what two parsers agree on."""
    found = Nodes()
    _count(facts, found)
    return found


def _count(thing: object, found: Nodes) -> None:
    match thing:
        case Slot():
            found.references.update(each for each in thing.references if each[0] != "$")
        case RelationFacts():
            found.relations.update([thing.name] if thing.name else [])
            found.aliases.update([*filter(None, [thing.alias]), *thing.columns])
        case JoinFacts():
            found.aliases.update(thing.using)
        case QueryFacts():
            found.aliases.update(name for name, _ in thing.items if name is not None)
        case WriteFacts():
            found.aliases.update(thing.columns)
            found.aliases.update(name for columns, _ in thing.assignments for name in columns)
            found.aliases.update(name for name, _ in thing.returning if name is not None)
    if isinstance(thing, QueryFacts | WriteFacts):
        for name, columns, _ in thing.with_queries:
            found.aliases.update([name, *columns])
    _count_inside(thing, found)


def _count_inside(thing: object, found: Nodes) -> None:
    if isinstance(thing, tuple):
        for each in thing:
            _count(each, found)
    elif is_dataclass(thing):
        for part in fields(thing):
            _count(getattr(thing, part.name), found)
