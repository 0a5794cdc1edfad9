"""What the service gives the routes."""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.coalesce import Row
from mbaas.core.schema.catalog import Function


class Page(msgspec.Struct, frozen=True):
    """Rows on their way out.

    body: a JSON array, or the bare JSON value of a function. total: regardless of the window, when asked for. keys: of
    one row, in order.
    """

    body: str
    rows: int
    total: int | None = None
    keys: tuple[str, ...] = ()


class Written(msgspec.Struct, frozen=True):
    """What a write did. page: the representation, ``None``: none. inserted: of an upsert, those that are new."""

    affected: int
    inserted: int = 0
    page: Page | None = None


class Called(msgspec.Struct, frozen=True):
    """The result of a function."""

    function: Function
    page: Page


def page_of(row: Row | None, keys: tuple[str, ...]) -> Page:
    """From the one row of a list: body, number of rows, total. keys: of one record; none of a bare value."""
    assert row is not None, "an aggregate gives one row"  # noqa: S101
    body, rows, total = row
    return Page(body or "null", int(rows or 0), None if total is None else int(total), keys)


def written_of(row: Row | None, keys: tuple[str, ...] | None) -> Written:
    """From the one row of a write: body, rows in it, rows written, rows inserted. keys: of the representation."""
    assert row is not None, "an aggregate gives one row"  # noqa: S101
    body, rows, affected, inserted = row[:4]
    page = None if keys is None else Page(body or "[]", int(rows or 0), keys=keys)
    return Written(int(affected or 0), int(inserted or 0), page)
