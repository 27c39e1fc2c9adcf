"""The policy enforcement point: the only caller of the planner, and the cache of its plans.

Deny-biased: whatever goes wrong while a plan is made, a refusal comes out.
"""

from dataclasses import dataclass, field

from maskproxy.base import limits
from maskproxy.base.errors import InvalidEncoding, Refused, StatementError
from maskproxy.base.refs import ColumnRef, Oid
from maskproxy.core.catalog import Catalog, RelationKind
from maskproxy.core.plan import Plan, Stamp, StatementPlan, plan_text
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.sql.lex import too_long
from maskproxy.core.sql.statement import Output
from maskproxy.session.masking import RowMasks, row_masks
from maskproxy.session.plans import COLUMN_BYTES, PLAN_BYTES, Bounded, PlanCache
from maskproxy.wire.postgres.messages import FieldDescription, RowDescription

MAX_CACHED = 16 * limits.MiB  # bytes of plans, roughly, that one worker keeps per scope: by text, and again by shape
MAX_DESCRIBED = 4 * limits.MiB  # bytes of results as the server described them, with what their plans hold
_HEADER = 5


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A result as the server described it, in ``frame``, which agrees with its plan. ``masks``: for its rows in the
    formats it names; None when nothing is ours to mask. ``shown``: what of the plan is masked in them, in order."""

    statement: StatementPlan
    frame: bytes = field(repr=False)
    masks: RowMasks | None
    shown: tuple[ColumnRef, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Everything a decision depends on besides the text; replaced as a whole by a reload."""

    scope: Scope
    stamp: Stamp
    search_path: tuple[str, ...]
    columns: dict[tuple[Oid, int], ColumnRef]
    plans: PlanCache
    _described: Bounded[int, Described] = field(  # by id of the statement, which they hold
        default_factory=lambda: Bounded(MAX_DESCRIBED), repr=False
    )

    @classmethod
    def of(cls, scope: Scope, stamp: Stamp, search_path: tuple[str, ...]) -> "Policy":
        return cls(scope, stamp, search_path, _columns_by_number(scope.catalog), PlanCache(MAX_CACHED))

    def cached(self, text: str) -> Plan | None:
        return self.plans.get(text)

    def decide(self, text: str) -> Plan | StatementError:
        """A plan, made here and now, or the refusal. Never raises."""
        result = check_text(text, self.scope) or make_plan(text, self.scope, self.search_path, self.stamp)
        if isinstance(result, Plan):
            self.learn(result)
        return result

    def learn(self, plan: Plan) -> None:
        """Keep a plan of this policy for the next one who sends its text."""
        if not plan.transparent:  # those cost nothing to make
            self.plans.put(plan)

    def described(self, plan: StatementPlan, frame: bytes) -> Described | None:
        """The server's RowDescription; None when it disagrees with the plan. Raises ProtocolError."""
        known = self._described.get(id(plan))
        if known is not None and known.statement is plan and known.frame == frame:
            return known
        columns = RowDescription.decode(frame[_HEADER:]).columns
        if self.disagreement(plan, columns):
            return None
        formats = tuple(column.format for column in columns)
        masks = None if plan.outputs is None else row_masks(plan.outputs, formats)
        found = Described(plan, frame, masks, tuple(sorted(plan.shown)))
        self._described.put(id(plan), found, PLAN_BYTES + COLUMN_BYTES * len(columns) + len(frame))
        return found

    def disagreement(self, plan: StatementPlan, fields: tuple[FieldDescription, ...]) -> bool:
        """Whether the server describes the result otherwise than the plan does: in the number of columns, their names,
        or where it says they come from. It can only deny: it says nothing of what is computed."""
        if plan.outputs is None or plan.analysis is None:
            return False
        if len(fields) != len(plan.outputs):
            return True
        outputs = zip(fields, plan.outputs, plan.analysis.outputs, strict=True)
        return any(
            (output.name is not None and described.name != output.name)
            or (described.table_oid != 0 and self._comes_from_elsewhere(described, mask, output, plan))
            for described, mask, output in outputs
        )

    def _comes_from_elsewhere(
        self, described: FieldDescription, mask: ColumnMask | None, output: Output, plan: StatementPlan
    ) -> bool:
        oid = Oid(described.table_oid)
        if described.attnum == 0:  # a whole row
            row = {column for (table, _), column in self.columns.items() if table == oid}
            return not row or not row <= output.sources or not row.isdisjoint(plan.evaluated)
        column = self.columns.get((oid, described.attnum))
        if column is None or column not in output.sources or column in plan.evaluated:
            return True
        stands_for_others = self.scope.catalog.tables[column.table_ref].kind is RelationKind.VIEW
        return mask is not None and mask.column != column and not stands_for_others


def check_text(text: str, scope: Scope) -> StatementError | None:
    """What refuses a text before anybody parses it."""
    if scope.unrestricted:
        return None
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return InvalidEncoding('invalid byte sequence for encoding "UTF8"')
    return too_long() if size > limits.MAX_ANALYSED else None


def make_plan(text: str, scope: Scope, search_path: tuple[str, ...], stamp: Stamp) -> Plan | StatementError:
    """Never raises: a failure of the analysis is a refusal too."""
    try:
        return plan_text(text, scope, search_path, stamp)
    except StatementError as error:
        return error
    except (RecursionError, MemoryError):
        return Refused("statement is too complex to be analysed", hint="Simplify it, or split it into several.")
    except Exception as error:  # a defect of ours must refuse, and must not quote the statement
        return Refused(f"statement could not be analysed ({type(error).__name__})")


def _columns_by_number(catalog: Catalog) -> dict[tuple[Oid, int], ColumnRef]:
    return {
        (table.oid, column.attnum): ColumnRef(table.ref.schema, table.ref.name, column.name)
        for table in catalog.tables.values()
        for column in table.columns
    }
