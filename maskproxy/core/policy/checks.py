"""What the server checks a write against, where that could tell what may not be seen.

A unique constraint over a masked column answers the question whether a value exists; a foreign key tells whether one
does in another table; a CHECK over a clear and a masked column compares the two. The error, or that there is none, is
the answer, so such a write is refused before it runs. The checks of a table are also those of its partitions and
inheritance children.

    kind         an outcome depends on                    so these are refused, if a column of it may not be seen
    row          columns that the statement leaves        UPDATE of some but not of all such columns
    unique       other rows                               INSERT, UPDATE of a column of it
    references   rows of another table                    INSERT, UPDATE of a column of it
    referenced   rows of another table                    DELETE, UPDATE of a column of it

A check that may be false of rows that exist (``Constraint.always``) is told by any UPDATE of them.

A column may not be seen if it is masked, denied, or has a label in a table that the scope does not select. NULL in a
key is compared with nothing. ``use: any`` and ``use: equality`` of a column permit these comparisons.
"""

from collections.abc import Iterator

from maskproxy.base.errors import Refused
from maskproxy.base.refs import ColumnRef, TableRef
from maskproxy.core.catalog import Constraint, ConstraintKind, Table
from maskproxy.core.policy.decide import refuse_column
from maskproxy.core.policy.ruleset import ColumnUse, Scope
from maskproxy.core.sql.statement import Origin, Write, WriteKind

_WHAT = {
    ConstraintKind.ROW: "compared with written values by a check of the table",
    ConstraintKind.UNIQUE: "compared with other rows by a unique constraint, which would tell whether a value exists",
    ConstraintKind.REFERENCES: "compared with another table by a foreign key, which would tell whether a value exists",
    ConstraintKind.REFERENCED: "compared with another table by a foreign key, which would tell whether a value exists",
}
_HINT = "Leave the column out, write NULL to it, or ask for a scope whose rules have `use: equality` for its label."


def broken_checks(write: Write, scope: Scope) -> Iterator[Refused]:
    """A refusal for each check whose outcome would tell something."""
    target = scope.catalog.tables[write.table]
    for member in _family(target, scope):
        for constraint in member.constraints:
            guarded = _guarded(constraint, member, target, scope)
            if guarded and _decides(constraint, write, target, guarded):
                yield _refusal(min(guarded), constraint, write, scope)


def _family(table: Table, scope: Scope) -> Iterator[Table]:
    seen: set[TableRef] = set()
    waiting = [table]
    while waiting:
        member = waiting.pop()
        if member.ref not in seen:
            seen.add(member.ref)
            yield member
            waiting += (scope.catalog.tables[child] for child in member.children if child in scope.catalog.tables)


def _guarded(constraint: Constraint, member: Table, target: Table, scope: Scope) -> frozenset[ColumnRef]:
    """The columns of a check that may not be seen, as columns of the target where it has them. Of a unique constraint
    no column may be where rows are filtered."""
    own = (
        ColumnRef(table.ref.schema, table.ref.name, name)
        for name in constraint.columns
        for table in [target if target.column(name) is not None else member]
    )
    others = constraint.others if constraint.kind is not ConstraintKind.ROW else frozenset()
    filtered = constraint.kind is ConstraintKind.UNIQUE and bool(member.filter)
    return frozenset(
        (
            *(column for column in own if filtered or _may_not_be_compared(column, scope)),
            *(column for column in others if _is_filtered(column, scope) or _may_not_be_compared(column, scope)),
        )
    )


def _is_filtered(column: ColumnRef, scope: Scope) -> bool:
    table = scope.catalog.tables.get(column.table_ref)
    return table is not None and bool(table.filter)


def _may_not_be_compared(column: ColumnRef, scope: Scope) -> bool:
    if column in scope.masks:
        return scope.use_of(column) not in (ColumnUse.EQUALITY, ColumnUse.ANY)
    return column in scope.denied or column in scope.labelled_elsewhere


def _decides(constraint: Constraint, write: Write, target: Table, guarded: frozenset[ColumnRef]) -> bool:
    written = _with_computed({column.column for column in write.columns}, target)
    touched = bool(constraint.columns & written)
    match constraint.kind:
        case ConstraintKind.ROW:
            kept = {column.column for column in guarded} - written
            return write.kind is WriteKind.UPDATE and (touched or constraint.always) and bool(kept)
        case ConstraintKind.UNIQUE | ConstraintKind.REFERENCES:
            if write.kind is WriteKind.DELETE or (write.kind is WriteKind.UPDATE and not touched):
                return False
            return not (constraint.nulls and any(_is_null(name, write, target) for name in constraint.columns))
        case ConstraintKind.REFERENCED:
            return write.kind is WriteKind.DELETE or (write.kind is WriteKind.UPDATE and touched)


def _with_computed(names: set[str], table: Table) -> frozenset[str]:
    """With the generated columns that are computed from them."""
    return frozenset(names | {column.name for column in table.columns if names & set(column.sources)})


def _is_null(name: str, write: Write, target: Table) -> bool:
    """In every row that is written."""
    column = target.column(name)
    if column is None or column.sources:
        return False
    values = [value for value in write.values if value.column.column == name]
    if not values:
        return write.kind is WriteKind.INSERT and not column.has_default
    return all(
        value.origin is Origin.NULL or (value.origin is Origin.DEFAULT and not column.has_default) for value in values
    )


def _refusal(column: ColumnRef, constraint: Constraint, write: Write, scope: Scope) -> Refused:
    position = None if write.position is None else write.position + 1
    if column in scope.masks:
        error = refuse_column(column, scope, _WHAT[constraint.kind], position)
        error.hint = _HINT
        return error
    return Refused(
        f'this {write.kind} of "{write.table.name}" would be checked against values that may not be seen',
        hint="It would tell whether such values exist.",
        position=position,
    )
