"""What columns with a mask may be used for."""

from enum import StrEnum


class ColumnUse(StrEnum):
    """What may be done with a labelled column besides putting it out, strictest first."""

    REFUSE = "refuse"
    MASKED = "masked"
    EQUALITY = "equality"
    ANY = "any"


_STRICTNESS = {use: number for number, use in enumerate(ColumnUse)}


def strictest_use(*uses: ColumnUse) -> ColumnUse:
    return min(uses, key=_STRICTNESS.__getitem__)
