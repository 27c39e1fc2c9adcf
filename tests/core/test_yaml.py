import pytest
from pydantic import Field

from maskproxy.base.errors import ConfigurationError
from maskproxy.core.yaml import Strict, did_you_mean, parse_yaml, validate


def problems(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(text, "f.yaml")
    return str(caught.value)


def test_plain_data_and_the_lines_of_its_paths() -> None:
    document = parse_yaml("a: 1\nb:\n  c: [x, yes]\n  d: 2020-01-01\n  '7': ~\n", "f.yaml")
    assert document.data == {"a": 1, "b": {"c": ["x", "yes"], "d": "2020-01-01", "7": None}}
    assert str(document.locate("b", "c", 1)) == "f.yaml:3"
    assert str(document.locate("b", "d")) == "f.yaml:4"
    assert str(document.locate("b", "tag of a union", "d", "missing")) == "f.yaml:4"
    assert str(document.locate("missing")) == "f.yaml:1"


def test_an_empty_file_is_no_data() -> None:
    assert parse_yaml("# nothing\n", "f.yaml").data is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: key `a` is already on line 1"),
        ("a: &x 1\nb: *x\n", "f.yaml:2: aliases (`*name`) are not supported: write the value out"),
        ("a: &x [*x]\n", "f.yaml:1: aliases (`*name`) are not supported: write the value out"),
        ("a: {b: 1}\n<<: {c: 2}\n", "f.yaml:2: a key must be a plain name"),
        ("? [a]\n: b\n", "f.yaml:1: a key must be a plain name"),
        ("a: !!python/name:os.system x\n", "f.yaml:1: only text, numbers, booleans, lists and mappings are understood"),
        ("a: 1\x00\n", "f.yaml:1: not readable as YAML: it holds control characters"),
        ("[" * 3000, "f.yaml:1: nested too deeply"),
        ("a: " + "9" * 5000, "f.yaml:1: not a number that can be read"),
        ("a: b: c\n", "f.yaml:1: mapping values are not allowed here"),
    ],
)
def test_what_is_outside_the_subset(text: str, expected: str) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize("text", ["a: [", "\t- x", "--- 1\n--- 2\n", "a: *q", "a: '", "%YAML 9\n---\n"])
def test_what_is_no_yaml(text: str) -> None:
    assert problems(text).startswith("f.yaml:")


def test_all_problems_of_the_subset_are_told_at_once() -> None:
    assert problems("a: 1\na: 2\nb: !x 3\n").count("\n") == 1


class Inner(Strict):
    count: int = Field(ge=1)
    colour: str = "red"


class Outer(Strict):
    inner: dict[str, Inner]
    name: str


def complaints(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        validate(Outer, parse_yaml(text, "f.yaml"))
    return str(caught.value)


def test_validation_names_every_problem_with_its_line() -> None:
    text = "nmae: x\ninner:\n  one:\n    count: 0\n  two:\n    cuont: 1\n    '{brace}': 1\n  three: 4\nname: [1]\n"
    assert complaints(text).splitlines() == [
        "f.yaml:1: unknown key `nmae`: did you mean `name`?",
        "f.yaml:4: `inner.one.count`: should be greater than or equal to 1",
        "f.yaml:5: `inner.two.count` is missing",
        "f.yaml:6: unknown key `cuont`: did you mean `count`?",
        "f.yaml:7: unknown key `{brace}`; known: colour, count",
        "f.yaml:8: `inner.three` must be a mapping",
        "f.yaml:9: `name`: should be a valid string",
    ]


def test_values_are_not_quoted() -> None:
    assert "hunter2" not in complaints("name: {password: hunter2}\ninner: hunter2\n")


def test_an_empty_document_misses_its_keys() -> None:
    assert complaints("") == "f.yaml:1: `inner` is missing\nf.yaml:1: `name` is missing"


def test_a_document_that_is_no_mapping() -> None:
    assert complaints("[1, 2]\n") == "f.yaml:1: `the document` must be a mapping"


def test_did_you_mean() -> None:
    assert did_you_mean("parital", ["partial", "round"]) == ": did you mean `partial`?"
    assert did_you_mean("zzz", ["partial", "round"]) == "; known: partial, round"
    assert did_you_mean("zzz", []) == ""
    assert did_you_mean("zzz", map(str, range(13))) == ""
