"""Plans taken over from texts that differ in literals only, against what a new analysis says."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from maskproxy.audit.literals import strip_literals
from maskproxy.base.errors import StatementError
from maskproxy.core.plan import Plan, plan_text
from maskproxy.core.policy.ruleset import Scope
from maskproxy.core.sql.shape import LiteralKind, shape
from maskproxy.core.sql.statement import Analysis
from maskproxy.session.plans import PlanCache
from tests.support.corpus import STAMP

_VALUES = {
    LiteralKind.STRING: ["''", "'x'", "'it''s'", "'1'", "'2020-01-01'", "'month'", "'7 days'", "'$.a'", "'{}'",
                         "'email'", "'public.customers'", "'TimeZone'", "'ssn'", "'%'", "'{1,2}'"],
    LiteralKind.INTEGER: ["0", "1", "2", "3", "8", "40", "999999999"],
    LiteralKind.DECIMAL: ["0.5", "1.0", "2.25", "10.0"],
}  # fmt: skip


def mutations(text: str, random: Random, number: int) -> Iterator[str]:
    found = shape(text)
    if found is None or not found.literals:
        return
    for _ in range(number):
        yield "".join(random.choice(_VALUES[part]) if isinstance(part, LiteralKind) else part for part in found.key)


def bare(plan: Plan) -> Plan:
    """Without text, identity and positions."""

    def analysis(of: Analysis) -> Analysis:
        outputs = tuple(replace(output, position=None) for output in of.outputs)
        return replace(of, start=0, end=0, outputs=outputs, uses=(), splices=(), literals=frozenset())

    statements = tuple(
        replace(each, analysis=None if each.analysis is None else analysis(each.analysis)) for each in plan.statements
    )
    return replace(plan, text="", statements=statements, pattern=None)


def fields(plan: Plan) -> tuple[object, ...]:
    return plan.sql, plan.statements, plan.stamp, plan.transparent, plan.reads_only, plan.touches_masked


def check_together(texts: Sequence[str], scope: Scope, search_path: Sequence[str], mutated: int) -> int:
    """Each text with other literals, looked up where all of them are; how many were found."""
    random, hits = Random(7), 0
    plans, planned = PlanCache(1 << 26), []
    for text in texts:
        try:
            plans.put(plan_text(text, scope, search_path, STAMP))
        except StatementError:
            continue
        planned.append(text)
    for text in planned:
        for other in mutations(text, random, mutated):
            found = plans.get(other)
            if found is None or found.pattern is None:
                continue
            hits += 1
            assert found.text == other
            cold = plan_text(other, scope, search_path, STAMP)
            assert fields(bare(found)) == fields(bare(cold)), other
            assert strip_literals(other) == strip_literals(text)
    return hits
