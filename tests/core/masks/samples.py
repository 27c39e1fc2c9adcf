"""Values to try SQL forms on, as the text that one writes into a quoted constant; by domain or by type."""

from maskproxy.base.types import Domain, PgType

_COMBINING = "Zoe\u0308 e\u0301\u0301"
_TEXT = [
    "", " ", "a", "ab", "ann@example.com", "a@b", "@example.com", "ann@", "@", "@@", "a@b@c.example", "no address",
    "123-45-6789", "it's", "back\\slash", "\\x41", "\\", "%_%", "äöü@ünï.example", _COMBINING, "日本語の住所です",
    "👩‍👩‍👧‍👦@家族", "tab\tnew\nline", "trailing  ", "  leading", "I@İıi.tr", "a" * 70, "é" * 300, "\u00a0@\u200b",
]  # fmt: skip

BY_DOMAIN: dict[Domain, list[str]] = {
    Domain.TEXT: _TEXT,
    Domain.INT: ["0", "1", "-1", "4", "5", "-5", "9", "10", "-10", "499", "500", "-500", "32767", "-32768"],
    Domain.FLOAT: [
        "0", "-0", "1", "-1", "0.25", "-0.25", "0.3", "4.9999", "5", "-5", "499.5", "500", "-500", "1e10", "-1e10",
        "1.1e-30", "-1.1e-30", "3.4e38", "-3.4e38", "123456.789", "NaN", "Infinity", "-Infinity",
    ],
    Domain.NUMERIC: ["0", "0.5", "-0.5", "0.25", "0.125", "0.001", "-0.001", "0.00", "NaN"],
    Domain.BOOL: ["true", "false"],
    Domain.BYTES: ["", "\\x00", "\\x", "\\xdeadbeef", "plain", "\\x5c5c"],
    Domain.UUID: ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                  "3f2504e0-4f89-41d3-9a0c-0305e82c3301"],
    Domain.JSON: ['{"a": 1,   "a": [true, null]}', "null", '""', '"ä\\u0041"', "1e2", "[]", '{"b": "x", "a": "y"}'],
    Domain.DATE: [
        "2000-01-01", "1999-12-31", "2024-02-29", "0001-01-01", "0001-12-31 BC", "0005-02-29 BC", "4714-11-24 BC",
        "4714-11-30 BC", "4714-12-01 BC", "4714-12-31 BC", "4713-01-01 BC", "4713-07-02 BC", "273790-01-01",
        "275760-08-08", "294276-12-31", "294277-01-01", "5874897-12-31", "infinity", "-infinity",
    ],
    Domain.TIMESTAMP: [
        "2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "2024-02-29 12:34:56.789", "0001-01-01 00:00:00 BC",
        "4714-11-24 00:00:00 BC", "4714-11-24 00:00:00.000001 BC", "4714-11-30 23:59:59 BC", "4714-12-01 00:00:00 BC",
        "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity",
    ],
}  # fmt: skip
BY_DOMAIN[Domain.TIMESTAMPTZ] = [f"{each} UTC" if "inf" not in each else each for each in BY_DOMAIN[Domain.TIMESTAMP]]

BY_NAME: dict[str, list[str]] = {
    "int4": ["2147483647", "-2147483648", "2147483000"],
    "int8": ["9223372036854775807", "-9223372036854775808", "9223372036854775000", "4611686018427387904"],
    "float8": ["5e-324", "-5e-324", "1e300", "1.7976931348623157e308", "-9007199254740993", "9007199254740991", "0.1"],
    "char": ["a", "@", "", "*"],
    "name": ["é" * 31, "a" * 63, "äb"],
}
_UNLIMITED_NUMERIC = [
    "1e131071", "-1e1000", "-9.5e999", "9e999", "1e-16383", "123456789012345678901234567890.5", "7.50", "-15",
                      "Infinity", "-Infinity"]  # fmt: skip


def samples(type: PgType, typmod: int) -> list[str]:
    """What can be cast to the type; text types cut it, numerics with a precision may refuse it."""
    if type.name == "char":
        return BY_NAME["char"]
    extra = _UNLIMITED_NUMERIC if type.domain is Domain.NUMERIC and typmod < 0 else BY_NAME.get(type.name, [])
    return BY_DOMAIN[type.domain] + extra
