"""A list as one statement that gives one row: the body, the number of records in it, and the total when asked."""

from __future__ import annotations

from mbaas.core.plan.authorize import AuthorizedList
from mbaas.core.sql.fragment import Statement, concat, sql, statement
from mbaas.core.sql.rows import ROOT, Rows


def render_list(authorized: AuthorizedList, *, body: bool = True) -> Statement:
    """One row: JSON array as text, number of records, and the total (null when not asked for).

    body: without it null stands for the array, as HEAD needs it.
    """
    rows = Rows(authorized.identity)
    level = rows.select(authorized.rows, ROOT)
    answer = authorized.answer
    total = concat("(", rows.count(authorized.rows, ROOT), ")") if answer.total else sql("null")
    collected = array(stripped=answer.stripped) if body else "null"
    return statement(concat(f"select {collected}, count(*), ", total, " from (", level, ") j"))


def array(*, stripped: bool) -> str:
    """The rows ``j`` as a JSON array."""
    found = "coalesce(json_agg(j), '[]')"
    return f"json_strip_nulls({found})" if stripped else found
