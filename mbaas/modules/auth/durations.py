"""Durations as Go writes them, which is how ``ban_duration`` comes."""

from __future__ import annotations

import re
from datetime import timedelta

from mbaas.modules.auth.errors import ValidationFailed

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S = 100 * 365.25 * 86_400


def parse_duration(text: str) -> timedelta:
    """The time a text like ``24h`` or ``1h30m`` stands for, at most a hundred years. Raises ValidationFailed.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    """
    parts = _PART.findall(text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise ValidationFailed(f"invalid format for ban_duration: {text[:40]}")
    return timedelta(seconds=min(seconds, _LONGEST_S))
