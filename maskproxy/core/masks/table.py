"""Every mask by its name in the rules. Adding one: a class in a family's file, a line here, a corpus case."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from maskproxy.core.masks.constants import Null, Redact
from maskproxy.core.masks.dates import Truncate
from maskproxy.core.masks.definition import MaskRule
from maskproxy.core.masks.numbers import Bucket, Round
from maskproxy.core.masks.text import Email, Partial
from maskproxy.core.masks.token import Token
from maskproxy.core.yaml import did_you_mean

MASKS: Mapping[str, type[MaskRule]] = {
    "null": Null,
    "redact": Redact,
    "token": Token,
    "partial": Partial,
    "email": Email,
    "bucket": Bucket,
    "round": Round,
    "truncate": Truncate,
}


def _known_mask(value: object) -> object:
    """Runs before the union is told apart by ``mask``, whose own complaint would list class names."""
    if not isinstance(value, dict) or "mask" not in value:
        raise ValueError("must be a mapping with the key `mask`, such as {mask: redact}")
    if value["mask"] is None:
        raise ValueError('write the mask `null` in quotes: {mask: "null"}')
    name = str(value["mask"])
    if name not in MASKS:
        raise ValueError(f"unknown mask `{name}`{did_you_mean(name, MASKS)}")
    return value


AnyMask = Annotated[
    Null | Redact | Token | Partial | Email | Bucket | Round | Truncate,
    Field(discriminator="mask"),
    BeforeValidator(_known_mask),
]
"""What stands under ``masks:`` in the rules; the same classes as ``MASKS``, as a type."""
