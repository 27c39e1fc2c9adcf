"""What holds for every file: sizes, no host of a package registry, one list of dependencies."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# In pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = ("pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.org", "deb" + r"\.debian")
REGISTRIES = re.compile("|".join(REGISTRY_HOSTS))


def _files() -> list[Path]:
    if not (ROOT / ".git").exists():  # an unpacked archive
        return [path for path in ROOT.rglob("*") if path.is_file() and not _is_made(path.relative_to(ROOT))]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _is_made(path: Path) -> bool:
    """By tools, and kept out of the repository."""
    return path.suffix in (".so", ".pyc") or any(part == "build" or part[0] == "." for part in path.parts[:-1])


def _python() -> list[Path]:
    return [path for path in _files() if path.suffix == ".py"]


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines without the docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    documentation = (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - documentation


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _python()}
    assert not {str(path): lines for path, lines in lengths.items() if lines > MAX_FILE_LINES}


def test_no_function_is_too_long() -> None:
    too_long = {
        f"{path}:{node.lineno} {node.name}": _length(node)
        for path in _python()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > MAX_FUNCTION_LINES
    }
    assert not too_long


def test_no_file_names_a_package_registry() -> None:
    found = [path for path in _files() if REGISTRIES.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert not found


def test_layers_are_enforced() -> None:
    tools = _project()["tool"]
    layers = [contract for contract in tools["importlinter"]["contracts"] if contract["type"] == "layers"]
    assert {"maskproxy", "maskproxy.core"} <= {each for contract in layers for each in contract["containers"]}
    assert next(contract for contract in layers if contract["containers"] == ["maskproxy"])["exhaustive"]


def test_every_direct_dependency_is_pinned_with_hashes() -> None:
    project = _project()["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    pinned = set(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    names = {_name(each) for each in wanted} - {"maskproxy"}
    assert names <= {_name(each) for each in pinned}


def test_what_make_installs_are_the_pinned_versions() -> None:
    everything, installed = (
        dict(re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("constraints.txt", "constraints-dev.txt")
    )
    assert installed.items() <= everything.items()


def _project() -> dict[str, dict]:  # type: ignore[type-arg]
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _name(requirement: str) -> str:
    """As packages are compared: without extras and version, dots and underscores as hyphens."""
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()
