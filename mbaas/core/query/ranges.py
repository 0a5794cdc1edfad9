"""Windows of rows in headers: ``Range`` in, ``Content-Range`` out (RFC 9110 section 14, unit ``items``)."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from mbaas.core.query.errors import RangeInvalid
from mbaas.core.query.types import ReadParts, Window

_RANGE = re.compile(r"(?:items=)?([0-9]{1,18})-([0-9]{0,18})", re.ASCII)
_OTHER_UNIT = re.compile(r"[A-Za-z][\w-]*+=", re.ASCII)


def apply_range(parts: ReadParts, header: str | None, unit: str | None = None) -> ReadParts:
    """The ``Range`` header (``0-9``, ``10-``) of a GET narrows the window of the collection itself.

    unit: ``Range-Unit``; another one than ``items`` is none of our business (RFC 9110 section 14.2).
    Raises RangeInvalid.
    """
    if header is None or (unit is not None and unit.strip().lower() != "items"):
        return parts
    text = header.strip()
    found = _RANGE.fullmatch(text)
    if found is None:
        if _OTHER_UNIT.match(text) and not text.startswith("items="):
            return parts
        raise RangeInvalid("The Range header must look like 0-9 or 10-.")
    first, last = int(found[1]), int(found[2]) if found[2] else None
    if last is not None and last < first:
        raise RangeInvalid("The lower boundary must be lower than or equal to the upper boundary in the Range header.")
    window = parts.windows.get((), Window())
    if window.limit == 0:
        return parts
    ends = [
        end for end in (last, None if window.limit is None else window.offset + window.limit - 1) if end is not None
    ]
    offset = max(first, window.offset)
    if ends and min(ends) < offset:
        raise RangeInvalid("The Range header and limit have no row in common.")
    narrowed = Window(min(ends) - offset + 1 if ends else None, offset)
    return msgspec.structs.replace(parts, windows={**parts.windows, (): narrowed})


def content_range(offset: int, rows: int, total: int | None = None) -> str:
    """Which rows an answer holds, and of how many when they were counted.

    >>> content_range(10, 5), content_range(0, 0), content_range(0, 0, 7), content_range(0, 2, 7)
    ('10-14/*', '*/*', '*/7', '0-1/7')
    """
    shown = f"{offset}-{offset + rows - 1}" if rows and total != 0 else "*"
    return f"{shown}/{'*' if total is None else total}"


def read_status(offset: int, rows: int, total: int | None = None) -> Literal[200, 206]:
    """200 for all there is, or when nobody counted, 206 for a part. Raises RangeInvalid for a start beyond the end."""
    if total is None:
        return 200
    if offset > total:
        raise RangeInvalid.beyond(offset, total)
    return 206 if rows < total else 200
