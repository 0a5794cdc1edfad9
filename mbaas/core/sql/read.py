"""A list as one statement that gives one row: the body, the number of records in it, and the total when asked."""

from __future__ import annotations

from collections.abc import Sequence

from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import AuthorizedList, AuthorizedRows
from mbaas.core.plan.types import Answer
from mbaas.core.sql.fragment import Fragment, Statement, concat, identifier, join, sql, statement, value
from mbaas.core.sql.rows import ROOT, Rows

EXACT_UP_TO = 10_000  # rows that an estimated total counts for real


def render_list(authorized: AuthorizedList, *, body: bool = True) -> Statement:
    """One row: JSON array as text, number of records, and the total (null when not asked for).

    Of a page of a keyset also its last place: a JSON array of texts, null when there is no row.

    body: without it null stands for the array, as HEAD needs it.
    """
    return statement(compose_list(authorized, body=body))


def compose_list(authorized: AuthorizedList, *, body: bool = True) -> Fragment:
    """``render_list`` before its placeholders are numbered."""
    rows = Rows(authorized.identity)
    answer = authorized.answer
    total = sql("null")
    if answer.total == "exact":
        total = concat("(", rows.count(authorized.rows, ROOT), ")")
    elif answer.total == "estimated":
        total = concat("(", rows.count(authorized.rows, ROOT, most=EXACT_UP_TO + 1), ")")
    # To count j is to compute its columns, so that HEAD fails where GET does.
    shown = f"{array(stripped=answer.stripped)}, count(*)" if body else "null, count(j)"
    if authorized.rows.plan.keyset is not None:
        place = rows.place(authorized.rows, ROOT)
        return concat(f"select {shown}, ", total, ", ", place, " from ", rows.page(authorized.rows, ROOT))
    return concat(f"select {shown}, ", total, " from (", rows.select(authorized.rows, ROOT), ") j")


def render_lists(lists: Sequence[AuthorizedList]) -> Statement:
    """Several lists as one statement, so by one snapshot: the row of each behind that of the one before."""
    found = (concat("(", compose_list(one), f") q{number}") for number, one in enumerate(lists))
    return statement(concat("select * from ", join(" cross join ", found)))


def render_estimate(authorized: AuthorizedList) -> Statement:
    """One row of JSON: how PostgreSQL would find the rows, regardless of the window; it does not look for them."""
    rows = Rows(authorized.identity)
    return statement(concat("explain (format json) ", rows.counted(authorized.rows, ROOT)))


def render_given(identity: Identity, shown: AuthorizedRows, answer: Answer, payload: str) -> Statement:
    """The same row for records of a collection that are at hand. payload: a JSON array of them, whole."""
    collection = shown.plan.collection
    assert collection is not None, "records have a collection"  # noqa: S101
    record = concat("null::", identifier("public", collection.name))
    source = concat("json_populate_recordset(", record, ", ", value(payload, "json"), ")")
    return statement(render_source(identity, shown, answer, source))


def render_source(identity: Identity, shown: AuthorizedRows, answer: Answer, source: Fragment) -> Fragment:
    """The same row for rows of any relation."""
    rows = Rows(identity)
    level = rows.select(shown, ROOT, source=source)
    total = concat("(", rows.count(shown, ROOT, source=source), ")") if answer.total else sql("null")
    return concat(f"select {array(stripped=answer.stripped)}, count(*), ", total, " from (", level, ") j")


def array(*, stripped: bool) -> str:
    """The rows ``j`` as a JSON array."""
    found = "coalesce(json_agg(j), '[]')"
    return f"json_strip_nulls({found})" if stripped else found
