"""A function call as one statement, or as two: the function as the caller, then what its rows show as the server.

A function runs as the caller, under the policies. Its rows may be a collection's; then fields keep their rules and
embeds theirs, and those are the server's own to apply: in a second statement of the same transaction, as the owner.
"""

from __future__ import annotations

from mbaas.core.plan.authorize import AuthorizedCall
from mbaas.core.plan.types import CallPlan
from mbaas.core.sql.fragment import Fragment, Statement, concat, identifier, join, quote, sql, statement, value
from mbaas.core.sql.read import render_source
from mbaas.core.sql.rows import window_of


def needs_owner(authorized: AuthorizedCall) -> bool:
    """Whether what the result shows is for a second statement, ``render_given``."""
    rows = authorized.rows
    if rows is None:
        return False
    masked = rows.visible is not None and rows.visible.masks is not None
    return masked or bool(rows.embeds) or bool(rows.plan.computed)


def render_call(authorized: AuthorizedCall) -> Statement:
    """To be run as the caller. One row: body as JSON text, number of records, and the total (null when not asked for).

    When ``needs_owner``, the body is all the rows as they are, for ``render_given``.
    """
    plan = authorized.plan
    if needs_owner(authorized):
        return statement(concat("select coalesce(json_agg(f), '[]'), count(*), null from ", _rows_of(plan), " f"))
    if authorized.rows is None:
        return statement(_bare(plan))
    called = concat("with called as materialized (select * from ", _rows_of(plan), " f) ")
    return statement(concat(called, render_source(authorized.identity, authorized.rows, plan.answer, sql("called"))))


def _bare(plan: CallPlan) -> Fragment:
    """A function whose result has no columns."""
    call = _call(plan)
    strip = "json_strip_nulls" if plan.answer.stripped else ""
    if plan.function.returns_set:
        values = concat("select f.v from ", _arguments(plan), " cross join lateral ", call, " as f(v)")
        called = concat("with called as materialized (", values, ") ")
        total = "(select count(*) from called)" if plan.answer.total else "null"
        window = concat("(select v from called", window_of(plan), ") c")
        return concat(called, f"select {strip}(coalesce(json_agg(c.v), '[]')), count(*), {total} from ", window)
    if plan.function.returns == "void":
        return concat("select null::json, 1, null from ", _arguments(plan), " cross join lateral ", call, " as f(v)")
    return concat(f"select {strip}(to_json(", call, ")), 1, null from ", _arguments(plan))


def _rows_of(plan: CallPlan) -> Fragment:
    """The result as a relation. One row of nothing but nulls is how a function says that there is none."""
    none = "" if plan.function.returns_set else " where not (f is null)"
    return concat("(select f.* from ", _arguments(plan), " cross join lateral ", _call(plan), " f", none, ")")


def _arguments(plan: CallPlan) -> Fragment:
    if plan.raw or not plan.arguments:
        return sql("(select) p")
    types = join(", ", (sql(f"{quote(argument.name)} {argument.type}") for argument in plan.arguments))
    return concat("json_to_record(", value(plan.payload, "json"), ") as p(", types, ")")


def _call(plan: CallPlan) -> Fragment:
    function = identifier("public", plan.function.name)
    if plan.raw:
        return concat(function, "(", value(plan.payload, plan.arguments[0].type), ")")
    given = (
        concat(
            "variadic " if argument.variadic else "", identifier(argument.name), " => ", identifier("p", argument.name)
        )
        for argument in plan.arguments
    )
    return concat(function, "(", join(", ", given), ")")
