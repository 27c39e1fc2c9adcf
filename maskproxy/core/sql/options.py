"""Options of EXPLAIN and COPY, in our grammar and in the server's, and where COPY goes to or comes from."""

from collections.abc import Iterator
from typing import Final

from maskproxy.base.errors import Refused
from maskproxy.core.sql.lex import Token
from maskproxy.core.sql.oracle import Fields, Message, Source, node, strings
from maskproxy.core.sql.tokens import TokenCursor

Options = list[tuple[str, str | None]]
"""Names and values as written, words folded; None where there is no value."""

OFF: Final = frozenset({"off", "false", "0"})
TRUE: Final = frozenset({"on", "true", "1"})
ON: Final = frozenset({*TRUE, None})
_COPY_FORMATS: Final = frozenset({"text", "csv", "binary"})
_COPY_OUT: Final = frozenset({"format", "header", "delimiter", "null", "quote", "escape", "force_quote", "encoding"})
_COPY_IN: Final = frozenset({*_COPY_OUT, "force_not_null", "force_null"} - {"force_quote"})
_UTF8: Final = frozenset({"utf8", "utf-8"})


def option_list(cursor: TokenCursor) -> Options:
    """``(name [value], ...)``, gram.y's utility_option_list and copy_generic_opt_list."""
    options: Options = []
    if not cursor.take_symbol("("):
        raise cursor.refusal()
    while True:
        name = cursor.name()
        options.append((name, _free_string(cursor) if name in _FREE else _option_value(cursor)))
        if cursor.take_symbol(")"):
            return options
        if not cursor.take_symbol(","):
            raise cursor.refusal()


def _option_value(cursor: TokenCursor) -> str | None:
    ahead = cursor.rest()
    if not ahead or ahead[0].is_punctuation(",") or ahead[0].is_punctuation(")"):
        return None
    if cursor.take_symbol("*"):
        return "*"
    if cursor.take_symbol("("):
        return _names(cursor)
    return cursor.value()


def _names(cursor: TokenCursor) -> str:
    """The rest of a list of columns in parentheses."""
    names = [cursor.name()]
    while cursor.take_symbol(","):
        names.append(cursor.name())
    if not cursor.take_symbol(")"):
        raise cursor.refusal()
    return joined(names)


def joined(names: list[str]) -> str:
    """One word for a list of names; a comma in a name stays apart."""
    return ",".join(name.replace("\\", "\\\\").replace(",", "\\,") for name in names)


def column_list(cursor: TokenCursor) -> Iterator[Token]:
    """``(column, ...)``, if it stands there."""
    if not cursor.take_symbol("("):
        return
    while True:
        yield cursor.rest()[0] if cursor.rest() else cursor.tokens[0]
        cursor.name()
        if cursor.take_symbol(")"):
            return
        if not cursor.take_symbol(","):
            raise cursor.refusal()


def copy_out_target(cursor: TokenCursor, position: int) -> Options:
    """After TO: ``STDOUT [[WITH] options]`` up to the end."""
    if not cursor.take("stdout"):
        raise Refused(
            "COPY to a file or program of the server is not allowed under a masking scope",
            hint="COPY ... TO STDOUT is allowed; with psql use \\copy.",
            position=position,
        )
    return _copy_options(cursor, _COPY_OUT, position)


def copy_in_source(cursor: TokenCursor, position: int) -> Options:
    """After FROM: ``STDIN [[WITH] options]`` up to the end."""
    if not cursor.take("stdin"):
        raise Refused(
            "COPY from a file or program of the server is not allowed under a masking scope",
            hint="COPY ... FROM STDIN is allowed; with psql use \\copy.",
            position=position,
        )
    return _copy_options(cursor, _COPY_IN, position)


def _copy_options(cursor: TokenCursor, allowed: frozenset[str], position: int) -> Options:
    cursor.take("with")
    ahead = cursor.rest()
    options = option_list(cursor) if ahead and ahead[0].is_punctuation("(") else _old_copy_options(cursor)
    cursor.expect_end()
    for name, value in options:
        _check_copy_option(name, value, allowed, position)
    return options


def _check_copy_option(name: str, value: str | None, allowed: frozenset[str], position: int) -> None:
    if name not in allowed:
        raise Refused(
            f"this option of COPY is not allowed under a masking scope: {name}",
            hint=f"Allowed: {', '.join(sorted(each.upper() for each in allowed))}.",
            position=position,
        )
    wrong = (
        (name == "format" and value not in _COPY_FORMATS)
        or (name == "encoding" and (value or "").lower() not in _UTF8)
        or (name == "header" and not (value in ON or value in OFF))
    )
    if wrong:
        raise Refused(f"this value of the COPY option {name.upper()} is not allowed", position=position)


def _old_copy_options(cursor: TokenCursor) -> Options:
    """The syntax before version 9.0 (gram.y, copy_opt_list)."""
    options: Options = []
    while cursor.rest():
        word = cursor.take_any("binary", "csv", "header", "delimiter", "null", "quote", "escape", "force", "encoding")
        match word:
            case "binary" | "csv":
                options.append(("format", word))
            case "header":
                options.append((word, "true"))
            case "force":
                options.append(_forced(cursor))
            case "encoding":
                options.append((word, cursor.value()))
            case None:
                raise cursor.refusal()
            case _:
                cursor.take("as")
                options.append((word, _free_string(cursor)))
    return options


def _free_string(cursor: TokenCursor) -> str:
    """A string in any notation. What it says does not matter to us, and only the server reads escapes."""
    if not cursor.take_string():
        raise cursor.refusal()
    return "..."


_FREE: Final = frozenset({"delimiter", "null", "quote", "escape"})


def _forced(cursor: TokenCursor) -> tuple[str, str]:
    name = "force_quote" if cursor.take("quote") else "force_not_null" if cursor.take("not", "null") else "force_null"
    if name == "force_null" and not cursor.take("null"):
        raise cursor.refusal()
    if cursor.take_symbol("*"):
        return name, "*"
    names = [cursor.name()]
    while cursor.take_symbol(","):
        names.append(cursor.name())
    return name, joined(names)


def read_option(source: Source, message: Message) -> tuple[str, str | None]:
    """One DefElem of the server's grammar."""
    with Fields(source, message) as fields:
        fields.take("defaction")
        name, argument = fields.take("defname"), fields.take("arg")
        value = None if argument is None else _argument(source, argument)
        return name, "..." if name in _FREE and node(argument)[0] == "string" else value


def _argument(source: Source, message: Message) -> str:
    name, value = node(message)
    match name:
        case "string":
            return str(value.sval)
        case "boolean":
            return "true" if value.boolval else "false"
        case "integer":
            return str(value.ival)
        case "a_star":
            return "*"
        case "list":
            return joined(list(strings(source, value.items)))
        case _:
            raise source.refusal("this value of an option")
