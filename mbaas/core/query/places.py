"""``near`` and ``within``: a field and what is sought around it, as values.

``near=embedding.[0.1,0.2]`` · ``within=location.(52.5,13.4,1000m)`` · ``within=location.(52.3,13.1,52.7,13.8)``.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

import msgspec

from mbaas.core.query.errors import Misplaced, QuerySyntax
from mbaas.core.query.limits import DEFAULT_LIMITS
from mbaas.core.query.scanner import Scanner

UNITS = {"m": 1.0, "km": 1000.0, "mi": 1609.344, "ft": 0.3048}
"""What each unit is in metres."""

_LARGEST = 3.4028234e38  # of PostgreSQL's real, which a vector is made of
_NUMBERS = msgspec.json.Decoder(tuple[float, ...])
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})", re.ASCII)
_DISTANCE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})[ ]*+([A-Za-z]*+)", re.ASCII)
_UNITS = ", ".join(UNITS)


class Near(msgspec.Struct, frozen=True):
    field: str
    vector: tuple[float, ...]


class Circle(msgspec.Struct, frozen=True):
    """Degrees, and metres."""

    field: str
    latitude: float
    longitude: float
    radius: float


class Box(msgspec.Struct, frozen=True):
    """Degrees. A west edge that lies east of the east edge reaches over the antimeridian."""

    field: str
    south: float
    west: float
    north: float
    east: float


Within: TypeAlias = Circle | Box


def parse_near(text: str) -> Near:
    """Raises QuerySyntax.

    >>> parse_near("embedding.[1,-0.5]")
    Near(field='embedding', vector=(1.0, -0.5))
    """
    scanner, field = _field(text, "near")
    try:
        numbers = _NUMBERS.decode(text[scanner.at :])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        numbers = ()
    if not numbers or not all(abs(number) <= _LARGEST for number in numbers):
        raise scanner.fail("a list of numbers: [0.1,0.2,...]")
    return Near(field, numbers)


def parse_within(text: str) -> Within:
    """Raises QuerySyntax, Misplaced for what is no place on the earth.

    >>> parse_within("place.(52.5,13.4,2km)")
    Circle(field='place', latitude=52.5, longitude=13.4, radius=2000.0)
    """
    scanner, field = _field(text, "within")
    inside = text[scanner.at :]
    parts = [part.strip() for part in inside[1:-1].split(",")]
    if not (inside.startswith("(") and inside.endswith(")")) or len(parts) not in (3, 4):
        raise scanner.fail("(latitude,longitude,radius) or (south,west,north,east)")
    for part in parts if len(parts) == 4 else parts[:2]:
        if not _NUMBER.fullmatch(part):
            raise scanner.fail("degrees as numbers")
    if len(parts) == 4:
        south, west, north, east = map(float, parts)
        _check_place(south, west)
        _check_place(north, east)
        if south > north:
            raise Misplaced("within has its south edge north of its north edge", "south, west, north, east")
        return Box(field, south, west, north, east)
    latitude, longitude = map(float, parts[:2])
    _check_place(latitude, longitude)
    found = _DISTANCE.fullmatch(parts[2])
    if found is None or found[2] not in UNITS:
        raise QuerySyntax(
            "within parameter", text, len(text) - 1, f"a radius is a number and its unit, one of {_UNITS}"
        )
    return Circle(field, latitude, longitude, float(found[1]) * UNITS[found[2]])


def _field(text: str, word: str) -> tuple[Scanner, str]:
    scanner = Scanner(text, f"{word} parameter", DEFAULT_LIMITS)
    name = scanner.name()
    if not scanner.take("."):
        raise scanner.fail("delimiter (.)")
    return scanner, name


def _check_place(latitude: float, longitude: float) -> None:
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or math.isnan(latitude + longitude):
        raise Misplaced(
            "within speaks of no place on the earth", "latitude from -90 to 90, then longitude from -180 to 180"
        )
