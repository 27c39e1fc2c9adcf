"""The rules file (design section 9): its models, and the JSON Schema that lets editors complete it.

python -m maskproxy.core.policy.document > rules/schema.json
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from maskproxy.base.refs import Location
from maskproxy.core.masks.table import AnyMask
from maskproxy.core.policy.column_use import ColumnUse
from maskproxy.core.yaml import Document, Strict, parse_yaml, validate

Positive = Annotated[int, Field(strict=True, ge=1)]


class LimitsModel(Strict):
    """Bounds for each session under the scope."""

    rows: Positive | None = Field(default=None, description="rows a statement may return")
    statements_per_minute: Positive | None = Field(
        default=None, description="statements that a principal may send in a minute"
    )
    equalities: Positive | None = Field(
        default=None,
        description="values that a principal may compare with each column of `use: equality` in an hour",
    )
    seconds: Positive | None = Field(default=None, description="time a statement may take")


class ScopeModel(Strict):
    """What may be seen by whoever holds a grant for this scope."""

    select: tuple[str, ...] = Field(
        default=(), description="tables that may be read: schema.table, * for one whole name"
    )
    deny: tuple[str, ...] = Field(default=(), description="columns (or tables) that do not exist for this scope")
    clear: tuple[str, ...] = Field(default=(), description="labels seen without a mask")
    use: dict[str, ColumnUse] = Field(default={}, description="by label: what a column may be used for besides output")
    rows: dict[str, str] = Field(default={}, description="by table: the condition of the rows that may be seen")
    limits: LimitsModel | None = None
    include: tuple[str, ...] = Field(default=(), description="scopes whose lists are read as if they were written here")
    unrestricted: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="any statement, everything clear, byte for byte; still recorded"
    )
    insert: tuple[str, ...] = Field(
        default=(), description="tables or columns that new rows may be put into: schema.table, schema.table.column"
    )
    update: tuple[str, ...] = Field(default=(), description="tables or columns whose values may be changed")
    delete: tuple[str, ...] = Field(default=(), description="tables whose rows may be removed: schema.table")

    @model_validator(mode="after")
    def _unrestricted_stands_alone(self) -> "ScopeModel":
        others = sorted(self.model_fields_set - {"unrestricted"})
        if self.unrestricted and others:
            raise ValueError(f"an unrestricted scope takes no other keys: remove {', '.join(others)}")
        return self


class TrustModel(Strict):
    functions: tuple[str, ...] = Field(default=(), description="user functions that may be called")


class RulesModel(Strict):
    """What columns hold, how it looks masked, and which scopes see what."""

    version: Literal[1]
    database: str = Field(description="name of the database in maskproxy.yaml")
    labels: dict[str, tuple[str, ...]] = Field(
        default={}, description="by label: columns that hold it, schema.table.column, * for one whole name"
    )
    masks: dict[str, AnyMask] = Field(default={}, description="by label: how it looks to whoever may not see it clear")
    scopes: dict[str, ScopeModel] = Field(default={})
    trust: TrustModel = TrustModel()


@dataclass(frozen=True, slots=True)
class RulesDocument:
    """One rules file, valid in itself; names are not yet compared with a catalog."""

    model: RulesModel
    source: Document
    digest: bytes  # SHA-256 of the text

    @classmethod
    def parse(cls, text: str, file: str) -> "RulesDocument":
        """Raises ConfigurationError with file and line of everything that is wrong."""
        source = parse_yaml(text, file)
        return cls(validate(RulesModel, source), source, hashlib.sha256(text.encode()).digest())

    @property
    def database(self) -> str:
        return self.model.database

    def locate(self, *path: str | int) -> Location:
        return self.source.locate(*path)


def json_schema() -> str:
    """The JSON Schema (draft 2020-12) of a rules file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RulesModel.model_json_schema()}
    schema["title"] = "maskproxy rules"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
