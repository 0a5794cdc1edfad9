"""Totals that nobody counts (``count=planned|estimated``): what the page itself tells, else what PostgreSQL expects."""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.enlisted import Door
from mbaas.core.plan.authorize import AuthorizedList
from mbaas.core.sql.read import EXACT_UP_TO, render_estimate
from mbaas.modules.records.results import Page


async def estimated(page: Page, authorized: AuthorizedList, database: Door) -> Page:
    """The page with its total. Only for rows that nothing is hidden of: ``authorize`` sees to that."""
    plan = authorized.rows.plan
    total = page.total
    full = plan.limit is not None and page.rows >= plan.limit
    if not full and (page.rows or not plan.offset):
        total = plan.offset + page.rows  # the last page
    elif total is None or total > EXACT_UP_TO:
        row = await database.fetch_row(render_estimate(authorized), role=authorized.identity.role)
        least = max(plan.offset + page.rows, total or 0)
        total = _planned(row[0] if row else None)
        # What the page shows is sure: there are as many at least, or none behind where it would have begun.
        total = max(total, least) if full else min(total, plan.offset)
    return msgspec.structs.replace(page, total=total)


class _Node(msgspec.Struct, rename={"rows": "Plan Rows"}):
    rows: float


class _Explained(msgspec.Struct, rename={"plan": "Plan"}):
    plan: _Node


def _planned(text: str | None) -> int:
    (found,) = msgspec.json.decode(text or "", type=tuple[_Explained])
    return round(found.plan.rows)
