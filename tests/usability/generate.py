"""Small tables from a description: ``type | how its values are made`` for each column, the same rows on every run.

    key                  1, 2, 3 ...
    ref TABLE            some key of TABLE           spread TABLE   each key of TABLE in turn
    same COLUMN          as in the row of ``like`` that this one is made after
    cycle A, B / one A, B      in turn / one of them    steps N [M]    N, 2 N ..., each plus M
    int A..B, money A..B, date A..B                  one of the range
    date, time           a key of TPC-DS's calendar or clock
    text N, code PREFIX, name, first name, last name, email, phone, street
    calendar, clock      the column of that name in TPC-DS's tables of days and minutes

A ``?`` at the end leaves one value in twenty out (NULL).
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ruamel.yaml import YAML

Row = tuple[object, ...]

FIRST_DAY, LAST_DAY = date(1998, 1, 1), date(2003, 12, 31)
_JULIAN = 1_721_425  # of day 0 of Python's calendar: TPC-DS numbers days as astronomers do
_NULLS = 20
_WORDS, _FIRST, _LAST, _STREETS = (
    text.split(";")
    for text in (
        "quiet;deposits;wake;above;ironic;requests;blithely;final;pending;accounts;haggle;furiously;even;slyly",
        "Ann;Bob;Carla;Dev;Eva;Farid;Grace;Hugo;Ines;Jon;Kofi;Lea;Mona;Nils;Olga;Paul",
        "Adler;Brandt;Costa;Dubois;Eriksen;Fischer;Garcia;Haddad;Ivanova;Jensen;Keller;Lopez;Moreau;Novak",
        "Oak Lane;Harbour Road;Rue du Port;Elm Street;Station Road;Mill Way",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``rows`` have a value for each of ``columns``, which are (name, type)."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    key: str | None

    def definition(self) -> str:
        columns = [f"{name} {kind}{' PRIMARY KEY' if name == self.key else ''}" for name, kind in self.columns]
        return f"CREATE TABLE {self.name} ({', '.join(columns)})"


def generate(text: str, seed: int = 1) -> tuple[Table, ...]:
    """The tables of a YAML description, in its order."""
    made: dict[str, Table] = {}
    for name, description in YAML(typ="safe").load(text).items():
        made[name] = _Maker(random.Random(f"{seed} {name}"), made).table(name, description)
    return tuple(made.values())


class _Maker:
    def __init__(self, chance: random.Random, made: Mapping[str, Table]) -> None:
        self._chance = chance
        self._made = made

    def table(self, name: str, description: Mapping[str, Any]) -> Table:
        rules = {column: tuple(map(str.strip, rule.split("|", 1))) for column, rule in description["columns"].items()}
        columns = tuple((column, kind) for column, (kind, _) in rules.items())
        if description["rows"] in _SERIES:
            days = tuple(tuple(each[column] for column in rules) for each in _SERIES[description["rows"]]())
            return Table(name=name, columns=columns, rows=days, key=columns[0][0])
        like = self._made.get(description.get("like", ""))
        key = next((column for column, (_, rule) in rules.items() if rule == "key"), None)
        rows = tuple(self._row(rules, number, like) for number in range(description["rows"]))
        return Table(name=name, columns=columns, rows=rows, key=key)

    def _row(self, rules: Mapping[str, tuple[str, ...]], number: int, like: Table | None) -> Row:
        model: Mapping[str, object] = {}
        if like is not None:
            values = self._chance.choice(like.rows)
            model = dict(zip((column for column, _ in like.columns), values, strict=True))
        return tuple(self._value(rule, kind, number, model) for kind, rule in rules.values())

    def _value(self, rule: str, kind: str, number: int, model: Mapping[str, object]) -> object:
        if rule.endswith("?"):
            rule = rule[:-1].strip()
            if self._chance.randrange(_NULLS) == 0:
                return None
        word, _, rest = rule.partition(" ")
        match word:
            case "key":
                return number + 1
            case "ref":
                return self._chance.randrange(len(self._made[rest].rows)) + 1
            case "spread":
                return number % len(self._made[rest].rows) + 1
            case "same":
                return model[rest]
            case "cycle" | "one":
                options = [option.strip() for option in rest.split(",")]
                chosen = options[number % len(options)] if word == "cycle" else self._chance.choice(options)
                return self._text(3) if chosen == "text" else chosen
            case "steps":
                step, _, more = rest.partition(" ")
                return number * int(step) + int(more or 0)
            case "code":
                return (
                    f"{rest}#{number + 1:09}" if kind.startswith("varchar") or "25" in kind else f"{rest}{number + 1}"
                )
            case "int" | "money" | "date" if ".." in rest:
                return self._between(word, *rest.split(".."))
            case _:
                return self._word(rule)

    def _between(self, kind: str, low: str, high: str) -> object:
        if kind == "date":
            days = (date.fromisoformat(high) - date.fromisoformat(low)).days
            return date.fromisoformat(low) + timedelta(self._chance.randint(0, days))
        if kind == "int":
            return self._chance.randint(int(low), int(high))
        return f"{self._chance.randint(int(low) * 100, int(high) * 100) / 100:.2f}"

    def _word(self, rule: str) -> object:
        chance = self._chance
        match rule.split():
            case ["text", number]:
                return self._text(int(number))
            case ["first", _]:
                return chance.choice(_FIRST)
            case ["last", _]:
                return chance.choice(_LAST)
            case ["name"]:
                return f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
            case ["email"]:
                mailbox = f"{chance.choice(_FIRST)}.{chance.choice(_LAST)}{chance.randrange(90)}"
                return f"{mailbox}@{chance.choice(_WORDS)}.example"
            case ["phone"]:
                return f"{chance.randint(10, 34)}-{chance.randint(100, 999)}-{chance.randint(1000, 9999)}"
            case ["street"]:
                return f"{chance.randint(1, 300)} {chance.choice(_STREETS)}"
            case ["date"]:
                return _sk(FIRST_DAY + timedelta(chance.randint(0, (LAST_DAY - FIRST_DAY).days)))
            case ["time"]:
                return chance.randrange(24 * 60) * 60
            case _:
                raise ValueError(f"no way to make {rule!r}")

    def _text(self, number: int) -> str:
        return " ".join(self._chance.choice(_WORDS) for _ in range(number))


# ------------------------------------------------------------------------------------------- TPC-DS's days and minutes


def _sk(day: date) -> int:
    return day.toordinal() + _JULIAN


def _calendar() -> Iterator[Mapping[str, object]]:
    for number in range((LAST_DAY - FIRST_DAY).days + 1):
        day = FIRST_DAY + timedelta(number)
        months, quarter = (day.year - 1900) * 12 + day.month - 1, (day.month + 2) // 3
        weeks = (day - date(1899, 12, 31)).days // 7 + 1
        last = (day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)
        weekend = "Y" if day.weekday() > 4 else "N"
        yield {
            "d_date_sk": _sk(day),
            "d_date_id": f"D{_sk(day)}",
            "d_date": day,
            "d_month_seq": months,
            "d_week_seq": weeks,
            "d_quarter_seq": months // 3,
            "d_year": day.year,
            "d_dow": (day.weekday() + 1) % 7,
            "d_moy": day.month,
            "d_dom": day.day,
            "d_qoy": quarter,
            "d_fy_year": day.year,
            "d_fy_quarter_seq": months // 3,
            "d_fy_week_seq": weeks,
            "d_day_name": day.strftime("%A"),
            "d_quarter_name": f"{day.year}Q{quarter}",
            "d_holiday": "N",
            "d_weekend": weekend,
            "d_following_holiday": "N",
            "d_first_dom": _sk(day.replace(day=1)),
            "d_last_dom": _sk(last),
            "d_same_day_ly": _sk(day) - 365,
            "d_same_day_lq": _sk(day) - 91,
            **{f"d_current_{unit}": "N" for unit in ("day", "week", "month", "quarter", "year")},
        }


def _clock() -> Iterator[Mapping[str, object]]:
    for minutes in range(24 * 60):
        hour = minutes // 60
        meal = {7: "breakfast", 8: "breakfast", 12: "lunch", 18: "dinner", 19: "dinner"}.get(hour)
        yield {
            "t_time_sk": minutes * 60,
            "t_time_id": f"T{minutes}",
            "t_time": minutes * 60,
            "t_hour": hour,
            "t_minute": minutes % 60,
            "t_second": 0,
            "t_am_pm": "AM" if hour < 12 else "PM",
            "t_shift": ("third", "first", "second")[hour // 8],
            "t_sub_shift": ("night", "morning", "afternoon", "evening")[hour // 6],
            "t_meal_time": meal,
        }


_SERIES = {"calendar": _calendar, "clock": _clock}
