"""Cases in ``cases/*.yaml``: SQL, and what analysis says of it. One theme a file, one case a document.

    case: what is shown
    as: everything                    # or ``no notes``: customers.notes is hidden
    sql: SELECT ssn AS x, upper(name) FROM customers WHERE id = 1
    want:
      outputs: [x = customers.ssn, upper < customers.name]     # copied unchanged; computed from
      uses: [filter customers.id, expression customers.name]

or ``want: {refused: "42501", says: ...}``. A text of several statements wants a list.
``python -m tests.core.sql.case_files`` rewrites every ``want``; read the diff before you keep it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from maskproxy.base.errors import StatementError
from maskproxy.base.refs import ColumnRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.sql.analysis import analyse
from maskproxy.core.sql.statement import Analysis, Output, Write
from maskproxy.core.sql.substitute import apply_splices, derived_table
from maskproxy.core.system_relations import SYSTEM_RELATIONS
from tests.core.sql.catalogs import shop

DIRECTORY = Path(__file__).parent / "cases"


class Want(BaseModel):
    model_config = ConfigDict(extra="forbid")

    outputs: list[str] = []
    uses: list[str] = []
    writes: list[str] = []
    locks: list[str] = []
    session: str = ""
    parameters: int = 0
    sends: str = ""
    refused: str = ""
    says: str = ""


class Case(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    case: str
    scope: str = Field("everything", alias="as")
    sql: str
    want: Want | list[Want]


@dataclass(frozen=True, slots=True)
class Located:
    """A case and where it stands: its test id."""

    where: str
    case: Case


def load() -> list[Located]:
    return [located for path in sorted(DIRECTORY.glob("*.yaml")) for located in _load_file(path)]


def _load_file(path: Path) -> Iterator[Located]:
    for document in YAML().load_all(path.read_text("utf-8")):
        if "about" not in document:
            yield Located(f"{path.name}:{document.lc.line + 1}", Case.model_validate(_plain(document)))


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(each) for each in node] if isinstance(node, list) else node


def result(sql: str, catalog: Catalog) -> Want | list[Want]:
    """What analysis says, in the words of the files."""
    try:
        analyses = analyse(sql, catalog)
    except StatementError as error:
        return Want(refused=error.sqlstate, says=error.message)
    wants = [_want(sql, analysis, catalog) for analysis in analyses]
    return wants[0] if len(wants) == 1 else wants


def _want(sql: str, analysis: Analysis, catalog: Catalog) -> Want:
    command = analysis.session
    words = [] if command is None else [str(command.verb), command.name, command.value, command.local and "(local)"]
    edited = apply_splices(sql[: analysis.end], analysis.splices)[analysis.start :] if analysis.splices else ""
    return Want(
        outputs=[_output(output) for output in analysis.outputs],
        uses=list(dict.fromkeys(f"{use.kind} {_short(use.column)}" for use in analysis.uses)),
        writes=[_write(write) for write in analysis.writes],
        locks=[table.name for table in sorted(analysis.locks)],
        session=" ".join(word for word in words if word),
        parameters=analysis.parameters,
        sends=_shortened(edited, analysis, catalog),
    )


def _shortened(edited: str, analysis: Analysis, catalog: Catalog) -> str:
    """With ``<pg_catalog.pg_type>`` for what stands for a system relation, which goes by ``system_relations.txt``."""
    for ref in sorted(analysis.tables):
        if ref in SYSTEM_RELATIONS:
            edited = edited.replace(derived_table(catalog.tables[ref], {}, only=False), f"<{ref}>")
    return edited


def _output(output: Output) -> str:
    if output.direct is not None:
        extra = output.sources - {output.direct}
        also = f" (and {', '.join(map(_short, sorted(extra)))})" if extra else ""
        return f"{output.name} = {_short(output.direct)}{also}"
    return f"{output.name} < {', '.join(map(_short, sorted(output.sources)))}" if output.sources else f"{output.name}"


def _write(write: Write) -> str:
    """``update customers (ssn literal, dob parameter 1)``"""
    values = ", ".join(
        f"{value.column.column} {value.origin}{f' {value.parameter}' if value.parameter else ''}"
        f"{f' as {value.cast}' if value.cast else ''}"
        for value in write.values
    )
    return f"{write.kind} {write.table.name}{f' ({values})' if values else ''}"


def _short(column: ColumnRef) -> str:
    return str(column).removeprefix("public.")


def rewrite() -> None:
    """Writes what analysis says now into every file."""
    yaml = YAML()
    yaml.width = 118
    for path in sorted(DIRECTORY.glob("*.yaml")):
        documents = list(yaml.load_all(path.read_text("utf-8")))
        for document in documents:
            if "about" not in document:
                document["want"] = _dump(result(document["sql"], shop(document.get("as", "everything"))))
        with path.open("w", encoding="utf-8") as file:
            yaml.dump_all(documents, file)


def _dump(want: Want | list[Want]) -> Any:
    if isinstance(want, list):
        return [_dump(each) for each in want]
    return want.model_dump(exclude_defaults=True)


if __name__ == "__main__":
    rewrite()
