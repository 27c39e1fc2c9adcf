"""The decision on statements that write. Nothing masked is evaluated in them: a target cannot be substituted, and what
is written stays.

    the statement                                                   decision
    writes a table or column that the scope's rights do not name    deny
    reads a masked column, in whatever clause                       deny, unless ``use: equality`` or ``any`` lets it
                                                                    decide which rows (never a written value)
    returns a masked column of a target as it is                    permit, the output is masked
    returns anything else made of masked columns                    deny
    writes NULL or DEFAULT to a masked column                       permit; not NULL over what ``null`` hides
    writes a literal or parameter to a masked column                permit, if it does not look masked (``written``);
                                                                    not where its mask is keyed: whoever chooses values
                                                                    and sees their tokens finds equal values in other
                                                                    rows
    writes anything else to a masked column                         deny
    is checked against masked values (``checks``)                   deny, unless ``use: equality`` or ``any``
    locks rows of a table that the scope may not update             deny

Any deny denies the statement; the refusal reported is the first in the text, missing rights before all others.
"""

from collections.abc import Iterator
from dataclasses import replace

from maskproxy.base.errors import ColumnRefused, Refused
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.policy.checks import broken_checks
from maskproxy.core.policy.decide import WHERE_USED, decide, refuse_column
from maskproxy.core.policy.decision import Decision, Deny, MaskedValue, Permit
from maskproxy.core.policy.ruleset import ColumnUse, Scope
from maskproxy.core.sql.statement import Analysis, Origin, Output, Use, UseKind, Write, WriteKind, Written

KEYLESS = frozenset({"null", "redact", "partial", "email", "bucket", "round", "truncate"})
"""Masks that whoever knows the rules can compute alone. All others are taken for keyed."""

_NEVER_RAW = frozenset({UseKind.WRITE, UseKind.SAMPLE})
_MAX_NAMED = 5  # columns named in a hint


def decide_statement(analysis: Analysis, scope: Scope, *, evaluate: bool = False) -> Decision:
    """``decide`` for statements that may write or lock rows."""
    refusals = [*_lock_refusals(analysis, scope)]
    for write in analysis.writes:
        refusals += _right_refusals(write, scope)
    if analysis.writes and not refusals:
        refusals += _refusals(analysis, scope)
    if refusals:
        return Deny(min(refusals, key=_position))
    if not analysis.writes:
        return decide(analysis, scope, evaluate=evaluate)
    outputs = tuple(None if each.direct is None else scope.masks.get(each.direct) for each in analysis.outputs)
    return Permit(outputs, disclosed=_disclosed(analysis, scope), written=tuple(_written(analysis, scope)))


def _position(error: Refused) -> tuple[bool, int, str]:
    return error.position is None, error.position or 0, error.message


def _refusals(analysis: Analysis, scope: Scope) -> Iterator[Refused]:
    targets = {write.table for write in analysis.writes}
    for write in analysis.writes:
        yield from broken_checks(write, scope)
        for value in write.values:
            if value.column in scope.masks:
                yield from _value_refusals(write, value, scope)
        yield from _computed_from(write, scope)
    for use in analysis.uses:
        if not _may_use(use, scope):
            yield _masked_use(use.column, scope, f"used in {WHERE_USED[use.kind]}", use.position)
    for output in analysis.outputs:
        yield from _output_refusals(output, targets, scope)


# --------------------------------------------------------------------------------------------------------------- rights


def _right_refusals(write: Write, scope: Scope) -> Iterator[Refused]:
    rights = scope.rights
    match write.kind:
        case WriteKind.DELETE:
            if write.table not in rights.delete:
                yield _no_right(f'delete rows of "{write.table.name}"', write.position, scope)
            return
        case WriteKind.INSERT:
            allowed, what = rights.insert, f'insert into "{write.table.name}"'
        case WriteKind.UPDATE:
            allowed, what = rights.update, f'update "{write.table.name}"'
    own = sorted(column.column for column in allowed if column.table_ref == write.table)
    if not own:
        yield _no_right(what, write.position, scope)
        return
    for value in write.values:
        if value.column not in allowed:
            named = ", ".join(own[:_MAX_NAMED])
            yield _no_right(
                f'{write.kind} column "{value.column.column}" of "{write.table.name}"',
                value.position if value.position is not None else write.position,
                scope,
                f"Columns that it may {write.kind}: {named}{', ...' if len(own) > _MAX_NAMED else ''}.",
            )


def _no_right(what: str, position: int | None, scope: Scope, hint: str | None = None) -> Refused:
    tables = ", ".join(str(table) for table in sorted(scope.rights.tables)) or "no table"
    return Refused(
        f"permission denied: scope `{scope.name}` may not {what}",
        detail=f"The scope stands at {scope.location}.",
        hint=hint or f"It may write to {tables}.",
        position=_shown(position),
    )


def _lock_refusals(analysis: Analysis, scope: Scope) -> Iterator[Refused]:
    updated = {column.table_ref for column in scope.rights.update}
    for table in sorted(analysis.locks - updated):
        yield _no_right(f'lock rows of "{table.name}"', None, scope, _LOCK_HINT)


_LOCK_HINT = "FOR UPDATE and FOR SHARE are for tables that the scope may update; leave the clause out."


# ---------------------------------------------------------------------------------------------------------------- reads


def _may_use(use: Use, scope: Scope) -> bool:
    if use.column in scope.denied:
        return False
    if use.column not in scope.masks:
        return True
    if use.kind in _NEVER_RAW:
        return False
    match scope.use_of(use.column):
        case ColumnUse.ANY:
            return True
        case ColumnUse.EQUALITY:
            return use.compared > 0
        case _:
            return False


def _output_refusals(output: Output, targets: set[TableRef], scope: Scope) -> Iterator[Refused]:
    for column in sorted(output.sources):
        if column in scope.denied or (column in scope.masks and column != output.direct):
            yield _masked_use(column, scope, "used to compute an output of a write", output.position)
    direct = output.direct
    if direct is not None and direct in scope.masks and direct.table_ref not in targets:
        yield _masked_use(direct, scope, "an output of a write, but not of the table written to", output.position)


def _masked_use(column: ColumnRef, scope: Scope, where: str, position: int | None) -> ColumnRefused:
    error = refuse_column(column, scope, where, _shown(position))
    if column in scope.masks:
        error.hint = "A write may name a masked column of its target in RETURNING only; read it in a SELECT before."
    return error


# --------------------------------------------------------------------------------------------------------------- values


def _value_refusals(write: Write, value: Written, scope: Scope) -> Iterator[Refused]:
    mask = scope.masks[value.column]
    if value.origin is Origin.COMPUTED:
        yield _value_refusal(
            value,
            scope,
            "written with a value that is computed",
            "Write a literal or a parameter to it: only of those it can be told that they are no masked values.",
        )
    elif value.origin in (Origin.LITERAL, Origin.PARAMETER) and _tells_token(value.column, scope):
        yield _value_refusal(
            value,
            scope,
            f"written with a chosen value, whose token (mask {mask.name}) would tell equal values in other rows",
            "Only NULL and DEFAULT may be written to it.",
        )
    elif value.origin is Origin.NULL and mask.name == "null" and write.kind is WriteKind.UPDATE:
        yield _value_refusal(
            value, scope, "always NULL here, so that NULL may be a masked value written back", "Leave the column out."
        )


def _tells_token(column: ColumnRef, scope: Scope) -> bool:
    return scope.masks[column].name not in KEYLESS and scope.use_of(column) is not ColumnUse.ANY


def _computed_from(write: Write, scope: Scope) -> Iterator[Refused]:
    """Generated columns whose token a chosen value of their sources would tell."""
    table = scope.catalog.tables[write.table]
    chosen = {value.column.column for value in write.values if value.origin not in (Origin.NULL, Origin.DEFAULT)}
    for column in table.columns:
        ref = ColumnRef(table.ref.schema, table.ref.name, column.name)
        if ref in scope.masks and chosen & set(column.sources) and _tells_token(ref, scope):
            where = "computed from a chosen value, whose token would tell equal values in other rows"
            yield refuse_column(ref, scope, where, _shown(write.position))


def _value_refusal(value: Written, scope: Scope, where: str, hint: str) -> ColumnRefused:
    error = refuse_column(value.column, scope, where, _shown(value.position))
    error.hint = hint
    return error


def _written(analysis: Analysis, scope: Scope) -> Iterator[MaskedValue]:
    """Values given for masked columns, of which it must still be seen that they do not look masked."""
    for write in analysis.writes:
        for value in write.values:
            if value.column in scope.masks and value.origin in (Origin.LITERAL, Origin.PARAMETER):
                yield MaskedValue(scope.masks[value.column], replace(value), replaces=write.kind is WriteKind.UPDATE)


def _disclosed(analysis: Analysis, scope: Scope) -> dict[ColumnRef, int]:
    """With how many given values masked columns are compared: in conditions, and by unique constraints."""
    counts: dict[ColumnRef, int] = {}
    for use in analysis.uses:
        if use.column in scope.masks and use.compared:
            counts[use.column] = counts.get(use.column, 0) + use.compared
    for write in analysis.writes:
        for value in write.values:
            if value.column in scope.masks and scope.use_of(value.column) in (ColumnUse.EQUALITY, ColumnUse.ANY):
                counts[value.column] = counts.get(value.column, 0) + 1
    return counts


def _shown(position: int | None) -> int | None:
    return None if position is None else position + 1
