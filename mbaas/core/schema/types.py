"""Field types: the names ``mbaas.toml`` knows, and the PostgreSQL type each one becomes."""

from __future__ import annotations

import re

import msgspec

from mbaas.core.errors import ConfigError

# What one writes in mbaas.toml -> the type PostgreSQL stores, spelled as format_type() spells it.
SCALARS = {
    "text": "text",
    "email": "text",  # with a CHECK of its form
    "url": "text",  # with a CHECK of its form
    "enum": "text",  # with a CHECK of its values: adding one is a catalogue change, not a new type
    "int": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "numeric": "numeric",
    "bool": "boolean",
    "uuid": "uuid",
    "timestamptz": "timestamp with time zone",
    "date": "date",
    "time": "time without time zone",
    "interval": "interval",
    "json": "jsonb",
    "bytes": "bytea",
    "tsvector": "tsvector",
    "int4range": "int4range",
    "int8range": "int8range",
    "numrange": "numrange",
    "daterange": "daterange",
    "tstzrange": "tstzrange",
    "point": "point",  # latitude, longitude in degrees
    "vector": "vector",  # of pgvector
}

_SPELLING = re.compile(r"^(?P<name>[a-z0-9]+)(?:\((?P<precision>\d+)(?:\s*,\s*(?P<scale>\d+))?\))?(?P<array>\[\])?$")


class FieldType(msgspec.Struct, frozen=True, kw_only=True):
    """One field's type. ``precision`` and ``scale`` in decimal digits, for ``numeric``; how many numbers of ``vector``.

    native: PostgreSQL's spelling of a type that ``mbaas.toml`` has no name for; found in adopted tables only.
    """

    name: str
    array: bool = False
    precision: int | None = None
    scale: int | None = None
    native: str | None = None

    @property
    def sql(self) -> str:
        """The type as PostgreSQL spells it.

        >>> parse_type("numeric(10,2)").sql, parse_type("int[]").sql
        ('numeric(10,2)', 'integer[]')
        """
        if self.native is not None:
            return self.native
        base = SCALARS[self.name]
        if self.name == "vector":
            base = f"{base}({self.precision})"
        elif self.precision is not None:
            base = f"{base}({self.precision},{self.scale or 0})"
        return base + "[]" * self.array

    @property
    def is_json(self) -> bool:
        return self.name == "json" and not self.array

    @property
    def is_text(self) -> bool:
        return SCALARS.get(self.name) == "text" and not self.array


def parse_type(text: str) -> FieldType:
    """``text``, ``numeric(10,2)``, ``uuid[]`` ... as a value. Raises ConfigError naming the types there are."""
    found = _SPELLING.match(text.strip().lower())
    if found is None or found["name"] not in SCALARS:
        raise ConfigError(
            f"unknown field type {text!r}", hint="one of " + ", ".join(sorted(SCALARS)) + "; [] for an array"
        )
    if found["name"] == "vector":
        if not found["precision"] or found["scale"] or found["array"] or not 1 <= int(found["precision"]) <= 16_000:
            raise ConfigError("a vector has a number of dimensions, from 1 to 16000", hint='type = "vector(384)"')
    elif found["precision"] and found["name"] != "numeric":
        raise ConfigError(
            f"{found['name']} takes no precision", hint="use max_length for text, numeric(p,s) for decimals"
        )
    return FieldType(
        name=found["name"],
        array=found["array"] is not None,
        precision=int(found["precision"]) if found["precision"] else None,
        scale=int(found["scale"]) if found["scale"] else None,
    )


def type_of(spelling: str) -> FieldType:
    """The field type that PostgreSQL's spelling stands for; ``native`` when ``mbaas.toml`` has no name for it.

    >>> type_of("numeric(10,2)[]").name, type_of("integer").name, type_of("character varying(20)").native
    ('numeric', 'int', 'character varying(20)')
    """
    base, array = spelling.removesuffix("[]"), spelling.endswith("[]")
    vector = re.fullmatch(r"vector\((\d+)\)", spelling)
    if vector is not None:
        return FieldType(name="vector", precision=int(vector[1]))
    found = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", base)
    if found is not None:
        return FieldType(name="numeric", array=array, precision=int(found[1]), scale=int(found[2]))
    name = next((name for name, sql in SCALARS.items() if sql == base and name != "vector"), None)
    return FieldType(name="native", native=spelling) if name is None else FieldType(name=name, array=array)
