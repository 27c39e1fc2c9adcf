"""The corpus: SQL -> decision, in files that whoever knows SQL and the rules can read, correct and extend.

A file of tests/corpus is YAML documents: a header (what it is about, catalog, rules), then one case per document. The
id of a case is its file and line. ``want.columns`` maps output columns to masks, or lists pairs when a name occurs
twice; ``because`` are the rules that decided, or the kind of refusal.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from maskproxy.base.errors import ColumnRefused, StatementError
from maskproxy.base.refs import Generation
from maskproxy.core.plan import Plan, Stamp, plan_text
from maskproxy.core.policy.compile import RuleSet
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.sql.statement import Output
from tests.support.catalogs import catalog
from tests.support.rules import compiled, read_rules

CORPUS = Path(__file__).parents[1] / "corpus"
STAMP = Stamp(Generation(1), Generation(1))
SEARCH_PATH = ("public",)

Columns = dict[str, str] | list[tuple[str, str]]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(Model):
    about: str
    catalog: str
    rules: str


class Want(Model):
    """``sent``: a part of the SQL that goes to the server; ``message``: a part of the refusal's text."""

    decision: Literal["permit", "deny"]
    columns: Columns | None = None
    because: list[str] = Field(default=[])
    sqlstate: str | None = None
    message: str | None = None
    sent: str | None = None


class CaseModel(Model):
    case: str
    engines: list[Literal["postgres"]] = ["postgres"]
    scope: str = Field(alias="as")
    sql: str
    want: Want


@dataclass(frozen=True)
class Case:
    file: str
    line: int
    header: Header
    model: CaseModel

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def ruleset(self) -> RuleSet:
        return ruleset(self.header.catalog, self.header.rules)


@cache
def ruleset(catalog_name: str, rules: str) -> RuleSet:
    return compiled(catalog(catalog_name), read_rules(rules))


def read_documents(path: Path) -> list[CommentedMap]:
    return list(_yaml().load_all(path.read_text()))


def load_cases(path: Path) -> Iterator[Case]:
    header, *cases = read_documents(path)
    parsed = Header.model_validate(header)
    for document in cases:
        yield Case(path.name, document.lc.line + 1, parsed, CaseModel.model_validate(document))


def all_cases() -> list[Case]:
    return [case for path in sorted(CORPUS.glob("*.yaml")) for case in load_cases(path)]


def plan(case: Case, sql: str | None = None) -> Plan:
    scope = case.ruleset.combine(tuple(case.model.scope.split("+")))
    return plan_text(case.model.sql if sql is None else sql, scope, SEARCH_PATH, STAMP)


def masked_columns(plan: Plan) -> list[tuple[str, str]]:
    """Output columns of all statements with the names of their masks; ``of email`` is computed from masked values."""
    return [
        (output.name or "?", _mask_words(output, masks))
        for statement in (each.carried or each for each in plan.statements)
        if statement.analysis is not None and (statement.outputs is not None or statement.governed)
        for output, masks in zip(statement.analysis.outputs, statement.governed, strict=True)
    ]


def _mask_words(output: Output, masks: tuple[ColumnMask, ...]) -> str:
    names = "+".join(sorted({mask.name for mask in masks}))
    return "clear" if not masks else names if output.direct is not None else f"of {names}"


def got(case: Case) -> Want:
    """What happens, as full as a case can say it."""
    try:
        planned = plan(case)
    except StatementError as error:
        return _refusal(error)
    if planned.transparent:
        return Want(decision="permit", because=["unrestricted"])
    columns = masked_columns(planned)
    names = [name for name, _ in columns]
    rules = {mask.rule for statement in planned.statements for mask in statement.masks}
    return Want(
        decision="permit",
        columns=columns if len(set(names)) < len(names) else dict(columns),
        because=sorted(rules),
        sent=None if planned.sql == planned.text else planned.sql,
    )


def _refusal(error: StatementError) -> Want:
    if isinstance(error, ColumnRefused):
        return Want(decision="deny", sqlstate=error.sqlstate, because=[error.rule])
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    return Want(decision="deny", sqlstate=error.sqlstate, because=[kind], message=error.message)


def agrees(want: Want, found: Want) -> bool:
    """``sent`` and ``message`` are parts; all else must be the same."""
    same = want.model_copy(update={"sent": None, "message": None}) == found.model_copy(
        update={"sent": None, "message": None}
    )
    return same and (want.sent or "") in (found.sent or "") and (want.message or "") in (found.message or "")


def update(paths: Sequence[Path]) -> None:
    """Rewrites ``want`` where it disagrees, for review of the diff."""
    for path in paths:
        documents = read_documents(path)
        header = Header.model_validate(documents[0])
        for document in documents[1:]:
            placeholder = document.get("want") or {"decision": "permit"}
            model = CaseModel.model_validate({**document, "want": placeholder})
            found = got(Case(path.name, 0, header, model))
            if "want" not in document or not agrees(model.want, found):
                document["want"] = _flow(found)
        with path.open("w") as file:
            _yaml().dump_all(documents, file)


def _flow(want: Want) -> CommentedMap:
    columns = (
        CommentedMap(want.columns) if isinstance(want.columns, dict) else want.columns and CommentedSeq(want.columns)
    )
    written = {"decision": want.decision, "columns": columns, "sqlstate": want.sqlstate}
    result = CommentedMap({key: value for key, value in written.items() if value is not None})
    result["because"] = CommentedSeq(want.because)
    if want.because == ["refused"]:
        result["message"] = want.message
    if len(str(dict(result))) < 100:
        result.fa.set_flow_style()
    for value in (result.get("columns"), result["because"]):
        if value is not None:
            value.fa.set_flow_style()
    return result


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.width = 10_000  # lines are broken by people
    yaml.explicit_start = True
    yaml.preserve_quotes = True
    return yaml
