"""What a JSON value stands for in PostgreSQL: instants, spans, exact decimals, documents; how they compare and print.

REST gives records as JSON; ``typed`` reads such a value, or a rule's constant, as the field's type says. Numbers keep
all their digits when the JSON was decoded with ``float_hook=decimal.Decimal``.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import msgspec

from mbaas.core.errors import InvalidValue

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s*(Z|[+-]\d\d(:?\d\d)?)?)?", re.IGNORECASE)
_SPAN_PART = re.compile(r"([+-]?\d+)\s*([a-z]+)|([+-]?)(\d+):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?", re.IGNORECASE)
_UNITS = {
    "year": (12, 0, 0), "mon": (1, 0, 0), "month": (1, 0, 0), "week": (0, 7, 0), "day": (0, 1, 0),
    "hour": (0, 0, 3_600_000_000), "min": (0, 0, 60_000_000), "minute": (0, 0, 60_000_000),
    "sec": (0, 0, 1_000_000), "second": (0, 0, 1_000_000),
}  # fmt: skip
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*|\s*(?:nan|[+-]?inf(?:inity)?)\s*", re.IGNORECASE)
_BOUNDS = {"integer": 1 << 31, "bigint": 1 << 63}
# PostgreSQL's numeric is exact; this is more digits than a rule will meet.
EXACT = Context(prec=2000, rounding=ROUND_HALF_UP, traps=[])


class Instant(msgspec.Struct, frozen=True, order=True):
    """``timestamptz``. us: microseconds since 1970, infinite for ``infinity``."""

    us: int | float


class Day(msgspec.Struct, frozen=True, order=True):
    """``date``. number: days since 1970, infinite for ``infinity``."""

    number: int | float


class Clock(msgspec.Struct, frozen=True, order=True):
    """``time``. us: microseconds since midnight."""

    us: int


class Span(msgspec.Struct, frozen=True):
    """``interval``. Compared as PostgreSQL does: a month is 30 days, a day 24 hours."""

    months: int
    days: int
    us: int

    @property
    def length_us(self) -> int:
        return (self.months * 30 + self.days) * DAY_US + self.us


class Document(msgspec.Struct, frozen=True):
    """``jsonb``: any JSON value, JSON's null too."""

    value: Any


def typed(value: Any, kind: str | None) -> Any:
    """The JSON value or PostgreSQL text as ``kind`` (PostgreSQL's spelling). Raises InvalidValue when it is none."""
    if value is None or kind is None:
        return value
    if kind == "text" or kind == "boolean":
        return value if not isinstance(value, str) or kind == "text" else to_boolean(value)
    if kind.endswith("[]"):
        if not isinstance(value, list | tuple):
            raise InvalidValue("a list was expected")
        return [typed(item, kind.removesuffix("[]")) for item in value]
    if kind == "jsonb":
        return Document(value)
    reader = _READERS.get("numeric" if kind.startswith("numeric") else kind)
    if reader is None:
        return value
    try:
        return reader(value)
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        raise InvalidValue(f"invalid input syntax for type {kind}") from None


def to_boolean(text: str) -> bool:
    word = text.strip().lower()
    for full, least, answer in (
        ("true", 1, True), ("false", 1, False), ("yes", 1, True), ("no", 1, False),
        ("on", 2, True), ("off", 2, False), ("1", 1, True), ("0", 1, False),
    ):  # fmt: skip
        if len(word) >= least and full.startswith(word):
            return answer
    raise InvalidValue("invalid input syntax for type boolean")


def whole(value: Any, kind: str = "bigint") -> int:
    """As integer or bigint: rounded as PostgreSQL rounds, within its range."""
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise InvalidValue(f"invalid input syntax for type {kind}")
        number = int(value)
    elif isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise InvalidValue(f"{kind} out of range")
        number = round(value) if isinstance(value, float) else int(value.to_integral_value(ROUND_HALF_UP, EXACT))
    else:
        number = int(value)
    if not -_BOUNDS[kind] <= number < _BOUNDS[kind]:
        raise InvalidValue(f"{kind} out of range")
    return number


def exact(value: Any) -> Decimal:
    """As numeric. A float counts as the shortest decimal that gives it, which is what its JSON said."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise InvalidValue("invalid input syntax for type numeric")
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def inexact(value: Any) -> float:
    """As double precision."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise InvalidValue("invalid input syntax for type double precision")
    return float(value)


def canonical_uuid(text: str) -> str:
    """As PostgreSQL prints it."""
    return str(uuid.UUID(text))


def instant(text: str) -> Instant:
    word = text.strip()
    if word.lower() in {"infinity", "-infinity"}:
        return Instant(float(word))
    if not _INSTANT.fullmatch(word):
        raise InvalidValue("invalid input syntax for type timestamp with time zone")
    found = datetime.fromisoformat(word.upper().replace(" +", "+").replace(" -", "-"))
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return Instant((aware - _EPOCH) // timedelta(microseconds=1))


def day(text: str) -> Day:
    word = text.strip()
    if word.lower() in {"infinity", "-infinity"}:
        return Day(float(word))
    if not _DATE.fullmatch(word):
        raise InvalidValue("invalid input syntax for type date")
    return Day((date.fromisoformat(word) - _EPOCH.date()).days)


def clock(text: str) -> Clock:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise InvalidValue("invalid input syntax for type time")
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    if hours > 24 or minutes > 59 or seconds > 59:
        raise InvalidValue("date/time field value out of range")
    return Clock(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + _fraction_us(found[4]))


def span(text: str) -> Span:
    """``7 days``, ``1 year 2 mons``, ``-1 days +02:03:00``: whole numbers with units, as PostgreSQL prints them."""
    months = days = us = position = 0
    word = text.strip()
    while position < len(word):
        found = _SPAN_PART.match(word, position)
        if found is None:
            raise InvalidValue("invalid input syntax for type interval")
        if found[2]:
            unit = _UNITS.get(found[2].lower().removesuffix("s"))
            if unit is None:
                raise InvalidValue("invalid input syntax for type interval")
            amount = int(found[1])
            months, days, us = months + amount * unit[0], days + amount * unit[1], us + amount * unit[2]
        else:
            part = ((int(found[4]) * 60 + int(found[5])) * 60 + int(found[6] or 0)) * 1_000_000 + _fraction_us(found[7])
            us += -part if found[3] == "-" else part
        position = found.end() + len(word[found.end() :]) - len(word[found.end() :].lstrip())
    if not word:
        raise InvalidValue("invalid input syntax for type interval")
    return Span(months, days, us)


def _fraction_us(digits: str | None) -> int:
    return int((digits or "0").ljust(6, "0"))


_READERS: dict[str, Any] = {
    "integer": lambda value: whole(value, "integer"), "bigint": whole, "numeric": exact, "double precision": inexact,
    "uuid": canonical_uuid, "timestamp with time zone": instant, "date": day, "time without time zone": clock,
    "interval": span,
}  # fmt: skip


def later(start: Instant, by: Span) -> Instant:
    """Months first, to the last day of a shorter month; then days and the rest. In UTC, as our sessions are."""
    if isinstance(start.us, float):
        return start
    us = start.us
    if by.months:
        try:
            moment = _EPOCH + timedelta(microseconds=us)
            month = moment.year * 12 + moment.month - 1 + by.months
            first = moment.replace(year=month // 12, month=month % 12 + 1, day=1)
            following = first.replace(year=(month + 1) // 12, month=(month + 1) % 12 + 1)
        except (OverflowError, ValueError):
            raise InvalidValue("timestamp out of range") from None
        moved = first + timedelta(days=min(moment.day, (following - first).days) - 1)
        us = (moved - _EPOCH) // timedelta(microseconds=1)
    return Instant(us + by.days * DAY_US + by.us)


def between(left: Instant, right: Instant) -> Span:
    """left - right, in days and the rest, both of one sign."""
    if isinstance(left.us, float) or isinstance(right.us, float):
        raise InvalidValue("cannot subtract infinite timestamps")
    whole_us = left.us - right.us
    sign = -1 if whole_us < 0 else 1
    days, us = divmod(abs(whole_us), DAY_US)
    return Span(0, sign * days, sign * us)


def order_key(value: Any, other: Any) -> Any:
    """What to compare by, beside ``other``. NaN is PostgreSQL's largest number and equal to itself."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float | Decimal | int):
        number = float(value) if isinstance(other, float) and not isinstance(value, float) else value
        if isinstance(number, float | Decimal) and math.isnan(number):
            return (1, 0)
        return (0, number)
    if isinstance(value, Span):
        return value.length_us
    if isinstance(value, Document):
        return canonical(value.value)
    if isinstance(value, list):
        others = other if isinstance(other, list) else []
        return [
            None if item is None else order_key(item, next((one for one in others if one is not None), item))
            for item in value
        ]
    return value


def canonical(value: Any) -> Any:
    """A JSON value as one that Python compares as PostgreSQL does: 1 is 1.0 and not true; keys have no order."""
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, int | float | Decimal):
        return ("number", exact(value))
    if isinstance(value, str):
        return ("text", value)
    if isinstance(value, dict):
        return ("object", frozenset((key, canonical(item)) for key, item in value.items()))
    return ("array", tuple(canonical(item) for item in value))


def contains(whole_value: Any, part: Any, *, top: bool = True) -> bool:
    """``jsonb @> jsonb`` on JSON values (PostgreSQL, "jsonb containment and existence")."""
    if isinstance(whole_value, dict) and isinstance(part, dict):
        return all(key in whole_value and contains(whole_value[key], item, top=False) for key, item in part.items())
    if isinstance(whole_value, list) and isinstance(part, list):
        return all(any(contains(one, item, top=False) for one in whole_value) for item in part)
    if top and isinstance(whole_value, list) and not isinstance(part, dict):
        return any(canonical(one) == canonical(part) for one in whole_value)
    if isinstance(whole_value, dict | list) or isinstance(part, dict | list):
        return False
    return bool(canonical(whole_value) == canonical(part))


def json_text(value: Any) -> str:
    """As ``jsonb::text`` prints it: shorter keys first, ``, `` and ``: `` between, numbers without an exponent."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {json_text(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, float | Decimal):
        return format(exact(value), "f")
    return json.dumps(value, ensure_ascii=False)
