"""Which settings (GUCs) a client under a masking scope may set and show, and to what.

One list, ``data/postgres_settings.txt``, serves SET, RESET, SHOW, set_config, current_setting and the parameters of
the startup message. Names compare as the server compares them, ignoring ASCII case. What is not listed is refused.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from maskproxy.base.errors import Refused

_BOOLEANS: Final = frozenset({"on", "off", "true", "false", "yes", "no", "1", "0", "t", "f"})
_ON: Final = frozenset({"on", "true", "yes", "1", "t"})
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "any": re.compile(r"[\x20-\U0010ffff]{0,256}"),
    "bool": re.compile("|".join(_BOOLEANS)),
    "on": re.compile("|".join(_ON)),
    "integer": re.compile(r"-?[0-9]{1,9}"),
    "duration": re.compile(r"[0-9]{1,10} ?(?:us|ms|s|min|h|d)?"),
    "zone": re.compile(r"[A-Za-z0-9_+:/<>,. -]{1,64}"),
}
_PINNED: Final = "pinned"
_READ_ONLY: Final = "read only"


def check_setting(name: str, value: str, *, search_path: tuple[str, ...]) -> None:
    """Raises Refused, with a HINT, unless a client may set ``name`` to ``value``.

    ``search_path`` is the pinned one: a client may set exactly that, since drivers do, or an empty one.
    """
    rule = _RULES.get(name.lower())
    if rule is None or rule == _READ_ONLY:
        raise _refusal(name)
    if rule == _PINNED:
        _check_search_path(value, search_path)
    elif not _accepts(rule, value):
        raise Refused(f'this value of setting "{name.lower()}" is not allowed', hint=_allowed(rule))


def check_reset(name: str) -> None:
    """Raises Refused unless a client may set ``name`` back to what it was at login."""
    if _RULES.get(name.lower(), _READ_ONLY) == _READ_ONLY:
        raise _refusal(name)


def is_readable(name: str) -> bool:
    """SHOW and current_setting may tell its value."""
    return name.lower() in _RULES


def is_free(name: str) -> bool:
    """The server itself accepts no other values than we do, so a parameter may give one."""
    return _RULES.get(name.lower()) in ("bool", "integer", "duration")


def guarded(expression: str) -> str:
    """SQL for a setting's name of which only the server will know the value: NULL unless it is readable."""
    names = ", ".join(f"'{name}'" for name in sorted(_RULES))
    condition = f"s.n = pg_catalog.lower({expression}::pg_catalog.text)"
    return f"(SELECT s.n FROM pg_catalog.unnest(ARRAY[{names}]) AS s (n) WHERE {condition})"  # noqa: S608 - our names


def _refusal(name: str) -> Refused:
    return Refused(
        f'setting "{name.lower()}" may not be changed',
        hint="Session settings that change who asks or what a name means stay as the proxy sets them.",
    )


def _accepts(rule: str, value: str) -> bool:
    kind, _, words = rule.partition(" ")
    if kind == "words":
        return value.strip().lower() in words.split("|")
    return _PATTERNS[kind].fullmatch(value.lower() if kind != "any" else value) is not None


def _allowed(rule: str) -> str:
    kind, _, words = rule.partition(" ")
    choices = words.replace("|", ", ") if kind == "words" else {"on": "on", "bool": "on, off"}.get(kind)
    return f"Allowed: {choices}." if choices else f"Allowed: a plain {kind}."


def _check_search_path(value: str, search_path: tuple[str, ...]) -> None:
    """Under an empty one a name without schema is a built-in's or nobody's, so whatever we take it for by the pinned
    path, it means the same or fails."""
    if value and _split_names(value) != search_path:
        raise Refused("the search path may not be changed", hint="Write the schema before the name: schema.table.")


def _split_names(value: str) -> tuple[str, ...] | None:
    """The names of a search_path value, folded; None when it is not a plain list of names."""
    names: list[str] = []
    for part in value.split(","):
        match = re.fullmatch(r'\s*(?:"(?P<quoted>[^",]+)"|(?P<plain>[A-Za-z_][A-Za-z0-9_$]*))\s*', part)
        if match is None:
            return None
        names.append(match["quoted"] or match["plain"].lower())
    return tuple(names)


def _read_rules() -> dict[str, str]:
    text = (files(__package__) / "data" / "postgres_settings.txt").read_text("utf-8")
    lines = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    rules = {name: rule.strip() for name, _, rule in lines}
    unknown = {rule for rule in rules.values() if rule not in (_PINNED, _READ_ONLY) and rule.split()[0] not in _KINDS}
    if unknown:
        raise ValueError(f"unknown rules in postgres_settings.txt: {unknown}")
    return rules


_KINDS: Final = frozenset({*_PATTERNS, "words"})
_RULES: Final[Mapping[str, str]] = _read_rules()
