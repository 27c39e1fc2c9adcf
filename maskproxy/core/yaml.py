"""YAML 1.2 to plain data that remembers its lines, and pydantic's complaints as problems with file and line.

The subset is what a file of settings needs: mappings with text keys, lists, scalars. Duplicate keys, anchors, merge
keys and custom tags are errors: two people must never read the same file differently. A timestamp stays the text that
it was written as.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from ruamel.yaml import YAML, MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from maskproxy.base.errors import ConfigurationError, Problem
from maskproxy.base.refs import Location

Path = tuple[str | int, ...]
"""Keys and list indexes from the root of a document: ``("scopes", "support", "select", 0)``."""

_TAG = "tag:yaml.org,2002:"
_CONSTRUCTED = frozenset({_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"})
_AS_WRITTEN = frozenset({_TAG + "str", _TAG + "timestamp"})


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and, for each path in it, the line of its key (of the value for list items)."""

    data: object
    file: str
    lines: Mapping[Path, int]

    def locate(self, *path: str | int) -> Location:
        """The place of ``path``; of its nearest known ancestor when it is not there.

        Elements that do not lead anywhere are skipped: pydantic puts the names of union members into its paths.
        """
        return Location(self.file, self.lines.get(self._known(path), 1))

    def names(self, path: Path) -> str:
        """``path`` for a message: `masks.pii.ssn.keep_last`, without what leads nowhere except at the end."""
        names = [element for element in (*self._known(path[:-1]), *path[-1:]) if isinstance(element, str)]
        return ".".join(names)

    def _known(self, path: Path) -> Path:
        here: Path = ()
        for element in path:
            if (*here, element) in self.lines:
                here = (*here, element)
        return here


def parse_yaml(text: str, file: str) -> Document:
    """Reads one document. Raises ConfigurationError for what is no YAML or outside the subset."""
    yaml = YAML(typ="safe", pure=True)
    reader = _Reader(yaml, file)
    try:
        root = yaml.compose(text)
        data = None if root is None else reader.value((), root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.fail(mark.line if mark else 0, ", ".join(str(text) for text in (error.context, error.problem) if text))
    except YAMLError:
        reader.fail(0, "not readable as YAML: it holds control characters")
    except RecursionError:
        reader.fail(0, "nested too deeply")
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return Document(data, file, reader.lines)


class _Reader:
    """Walks ruamel's nodes. Problems are collected so that one run shows all of them."""

    def __init__(self, yaml: YAML, file: str) -> None:
        self._yaml = yaml
        self._file = file
        self._seen: set[int] = set()
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []

    def fail(self, line: int, text: str) -> NoReturn:
        raise ConfigurationError([*self.problems, self._problem(line, text)]) from None

    def value(self, path: Path, node: Any) -> object:
        line = self.lines.setdefault(path, node.start_mark.line + 1) - 1
        if id(node) in self._seen:
            self.problems.append(self._problem(line, "aliases (`*name`) are not supported: write the value out"))
            return None
        self._seen.add(id(node))
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return self._mapping(path, node)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self.value((*path, index), item) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.tag in _AS_WRITTEN:
            return str(node.value)
        if isinstance(node, ScalarNode) and node.tag in _CONSTRUCTED:
            return self._constructed(node, line)
        self.problems.append(self._problem(line, "only text, numbers, booleans, lists and mappings are understood"))
        return None

    def _constructed(self, node: ScalarNode, line: int) -> object:
        try:
            value: object = self._yaml.constructor.construct_object(node)
        except ValueError:  # e.g. an integer of more than 4,300 digits
            self.problems.append(self._problem(line, "not a number that can be read"))
            return None
        return value

    def _mapping(self, path: Path, node: MappingNode) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line
            if not isinstance(key_node, ScalarNode) or key_node.tag == _TAG + "merge":
                self.problems.append(self._problem(line, "a key must be a plain name"))
                continue
            key = str(key_node.value)
            if key in data:
                first = self.lines[(*path, key)]
                self.problems.append(self._problem(line, f"key `{key}` is already on line {first}"))
                continue
            self.lines[(*path, key)] = line + 1
            data[key] = self.value((*path, key), value_node)
        return data

    def _problem(self, line: int, text: str) -> Problem:
        return Problem(Location(self._file, line + 1), text)


class Strict(BaseModel):
    """Base of all models of files: unknown keys are errors that name the key which was probably meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_unknown_keys(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, dict):
            return handler(data)
        errors = [
            _complaint("unknown_key", f"unknown key `{key}`{did_you_mean(str(key), cls.model_fields)}", (key,))
            for key in data
            if key not in cls.model_fields
        ]
        try:
            model = handler({key: value for key, value in data.items() if key in cls.model_fields})
        except ValidationError as error:
            errors += [_complaint(detail["type"], detail["msg"], detail["loc"]) for detail in error.errors()]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return model


def _complaint(kind: str, text: str, path: Path) -> InitErrorDetails:
    # the text goes through a placeholder: PydanticCustomError would format braces in it
    error = PydanticCustomError(kind, "{text}", {"text": text})
    return InitErrorDetails(type=error, loc=path, input=None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``": did you mean `mask`?"``, or what there is to choose from, or nothing when there is nothing."""
    choices = sorted(known)
    if close := get_close_matches(word, choices, n=1, cutoff=0.6):
        return f": did you mean `{close[0]}`?"
    if 0 < len(choices) <= 12:
        return f"; known: {', '.join(choices)}"
    return ""


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], document: Document) -> Model:
    """The document as ``model``. Raises ConfigurationError with one problem per complaint, in the order of lines.

    Complaints never quote the value: a password pasted into the wrong place must not reach a terminal or a log.
    """
    try:
        return model.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        problems = sorted(_problems(error, document), key=lambda problem: problem.location)
    raise ConfigurationError(problems)


def _problems(error: ValidationError, document: Document) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False, include_context=True):
        path = detail["loc"]
        where = document.names(path)
        yield Problem(document.locate(*path), _sentence(detail["type"], detail["msg"], where))


_SENTENCES = {
    "missing": "`{where}` is missing",
    "union_tag_not_found": "`{where}`: the key `mask` is missing",
    "model_type": "`{where}` must be a mapping",
    "dict_type": "`{where}` must be a mapping",
}


def _sentence(kind: str, message: str, where: str) -> str:
    if kind == "unknown_key":
        return message
    if template := _SENTENCES.get(kind):
        return template.format(where=where or "the document")
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    text = text[:1].lower() + text[1:]
    return f"`{where}`: {text}" if where else text
