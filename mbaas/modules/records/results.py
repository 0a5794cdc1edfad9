"""What the service gives the routes."""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.coalesce import Row
from mbaas.core.plan.types import ReadPlan
from mbaas.core.query.cursor import Cursor, format_cursor
from mbaas.core.schema.catalog import Function


class Page(msgspec.Struct, frozen=True):
    """Rows on their way out.

    body: a JSON array, or the bare JSON value of a function. total: regardless of the window, when asked for. keys: of
    one row, in order. after: the cursor of the page behind this one, when there may be one.
    """

    body: str
    rows: int
    total: int | None = None
    keys: tuple[str, ...] = ()
    after: str | None = None


class Cut(msgspec.Struct, frozen=True):
    """How a page of a keyset was cut. digest: of the order. limit: ``None``: not at all."""

    digest: str
    limit: int | None


class Written(msgspec.Struct, frozen=True):
    """What a write did. page: the representation, ``None``: none. inserted: of an upsert, those that are new."""

    affected: int
    inserted: int = 0
    page: Page | None = None


class Called(msgspec.Struct, frozen=True):
    """The result of a function."""

    function: Function
    page: Page


def cut_of(plan: ReadPlan | None) -> Cut | None:
    """``None`` for a plan without a keyset."""
    return None if plan is None or plan.keyset is None else Cut(plan.keyset.digest, plan.limit)


def page_of(row: Row | None, keys: tuple[str, ...], cut: Cut | None = None) -> Page:
    """From the one row of a list: body, number of rows, total, and the place of the last row when it was cut by place.

    keys: of one record; none of a bare value.
    """
    assert row is not None, "an aggregate gives one row"  # noqa: S101
    body, rows, total = row[:3]
    count = int(rows or 0)
    after = None
    if cut is not None and count and count == cut.limit:
        after = format_cursor(Cursor(cut.digest, msgspec.json.decode(row[3] or "", type=tuple[str | None, ...])))
    return Page(body or "null", count, None if total is None else int(total), keys, after)


def written_of(row: Row | None, keys: tuple[str, ...] | None) -> Written:
    """From the one row of a write: body, rows in it, rows written, rows inserted. keys: of the representation."""
    assert row is not None, "an aggregate gives one row"  # noqa: S101
    body, rows, affected, inserted = row[:4]
    page = None if keys is None else Page(body or "[]", int(rows or 0), keys=keys)
    return Written(int(affected or 0), int(inserted or 0), page)
