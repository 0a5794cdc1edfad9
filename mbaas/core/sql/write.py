"""Insert, update and delete as one statement each, with the rules in it.

A row that breaks a rule aborts the statement where it is met, before any constraint has looked at it: so no error tells
of a row that the caller may not see. One row comes back: body, rows in it, rows written, rows inserted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mbaas.core.expr.types import TRUE, And, Column, Expr, all_of
from mbaas.core.expr.walk import own_columns
from mbaas.core.plan.authorize import (
    AuthorizedDelete,
    AuthorizedInsert,
    AuthorizedRows,
    AuthorizedUpdate,
    AuthorizedWrite,
)
from mbaas.core.plan.points import key_values
from mbaas.core.plan.types import AggregateOutput, Answer, FieldOutput, InsertPlan, ReadPlan
from mbaas.core.schema.catalog import Collection, Field
from mbaas.core.sql.fragment import (
    Fragment,
    Statement,
    concat,
    identifier,
    join,
    quote,
    quote_text,
    sql,
    statement,
    value,
)
from mbaas.core.sql.read import array
from mbaas.core.sql.rows import ROOT, Rows, of
from mbaas.core.sql.template import Many

_NOTHING = Fragment(())
_INSERTED = quote("#inserted")
_NTH = quote("#nth")
_MERGE_RETURNS = 17  # the version of PostgreSQL


def render_write(authorized: AuthorizedWrite) -> Statement:
    """One row: JSON array as text or null, rows in it, rows written, rows inserted, and a column without meaning."""
    return statement(compose_write(authorized))


def compose_write(authorized: AuthorizedWrite) -> Fragment:
    """``render_write`` before its placeholders are numbered."""
    rows = Rows(authorized.identity)
    if isinstance(authorized, AuthorizedInsert):
        written = _insert(authorized, rows)
    elif isinstance(authorized, AuthorizedUpdate):
        written = _update(authorized, rows)
    else:
        written = _delete(authorized, rows)
    answer = authorized.plan.answer
    if authorized.as_caller:
        # What would end it asks things of ours that no caller may; whoever runs the statement looks at the counts.
        answer = msgspec.structs.replace(answer, singular=False, max_affected=None)
    return concat("with written as (", written, ") ", _tail(answer, authorized.rows, rows))


def write_many(authorized: AuthorizedWrite) -> Many | None:
    """``compose_write`` once for each row of ``args``; ``None`` for what has no such form.

    Which row of ``args`` a new record is of is told by MERGE alone. Two changes of one record are refused.
    """
    rows, plan = Rows(authorized.identity), authorized.plan
    if authorized.as_caller:
        return None
    since, once = 0, _NOTHING
    key: tuple[Fragment, ...] = ()
    if isinstance(authorized, AuthorizedInsert) and authorized.plan.conflict is None:
        written, since = _insert(authorized, rows, many=True), _MERGE_RETURNS
    elif isinstance(authorized, AuthorizedUpdate):
        written = _update(authorized, rows, many=True)
        key = tuple(rows.expr(held, of(ROOT)) for held in key_values(plan.collection, authorized.plan.where))
        if not key:
            return None
        twice = concat("(select count(*) > count(distinct (", join(", ", key), ")) from args)")
        once = concat(" where case when ", twice, " then mbaas.halt('singular', 2) is null else true end")
    else:
        return None
    tail = _tail(plan.answer, authorized.rows, rows, written=f"(select * from written w where w.{_NTH} = args.nth)")
    return Many(
        fragment=concat(
            *(", written as (", written, ") select answers.* from args cross join lateral (", tail, ") answers"),
            *(once, " order by args.nth"),
        ),
        writes=True,
        key=key,
        since=since,
    )


def render_exists(plan: InsertPlan) -> Statement:
    """Whether there is a row already where the one row of the payload would go: ``true`` or ``false`` as text."""
    conflict = plan.conflict
    named = {field.name for field in plan.fields}
    if conflict is None or not set(conflict.target) <= named:
        return Statement("select false")
    target = [field for field in plan.fields if field.name in conflict.target]
    same = join(" and ", (concat("r0.", identifier(f.name), " = ", identifier("p", f.name)) for f in target))
    payload = concat("json_to_recordset(", value(plan.payload, "json"), ") as p", record_types(target))
    table = identifier("public", plan.collection.name)
    return statement(concat("select exists (select 1 from ", table, " r0, ", payload, " where ", same, ")"))


# --- insert ----------------------------------------------------------------------------------------------------------


def _insert(authorized: AuthorizedInsert, rows: Rows, *, many: bool = False) -> Fragment:
    plan = authorized.plan
    table = identifier("public", plan.collection.name)
    named = {field.name for field in plan.fields}
    read = own_columns(authorized.new)
    if any(field.generated is not None and field.name in read for field in plan.collection.fields):
        read = {field.name for field in plan.collection.fields}  # whatever they are generated from
    computed = [
        field
        for field in plan.collection.fields
        if field.name not in named and field.generated is None and (field.name in read or field.name in plan.defaults)
    ]
    if not plan.fields and not computed:
        computed = [_settable(plan.collection)]
    fields = (*plan.fields, *computed)
    source = _proposed(authorized, rows, fields, fenced=bool(computed) or plan.missing_default)
    source = generated(source, plan.collection, read, "i")
    names = join(", ", (identifier(field.name) for field in fields))
    picked = join(", ", (identifier("i", field.name) for field in fields))
    override = " overriding system value" if any(field.identity for field in computed) else ""
    check = _NOTHING
    if authorized.as_caller:
        check = concat(" where ", rows.is_caller())
    elif authorized.new != TRUE:
        check = concat(" where ", _or_refuse(rows.expr(authorized.new, of("i")), plan.collection))
    proposed = concat("select ", picked, " from ", source, " i", check)
    if many:
        using = concat(f"(select args.nth as {_NTH}, i.* from args cross join lateral (", proposed, ") i) i")
        return concat(
            *("merge into ", table, f" as {ROOT} using ", using, " on false when not matched then insert (", names),
            *(f"){override} values (", picked, ")", _returning(authorized.rows, "true"), f", i.{_NTH}"),
        )
    return concat(
        *("insert into ", table, f" as {ROOT} (", names, f"){override} ", proposed),
        *(_on_conflict(authorized, rows), _returning(authorized.rows, _is_new(authorized))),
    )


def _is_new(authorized: AuthorizedInsert) -> str:
    """Whether a row was not there before. To ask takes the right to read, which who inserts need not have."""
    conflict = authorized.plan.conflict
    return "true" if authorized.as_caller and (conflict is None or conflict.update is None) else f"{ROOT}.xmax = 0"


def _proposed(authorized: AuthorizedInsert, rows: Rows, fields: Iterable[Field], *, fenced: bool) -> Fragment:
    """The payload as rows of these fields. fenced: some are computed, once a row."""
    plan = authorized.plan
    taken = {field.name for field in plan.fields}
    columns = []
    for field in fields:
        given = identifier("p", field.name)
        if field.name not in taken:
            given = _default(field, authorized, rows)
        elif plan.missing_default and (field.default is not None or field.identity):
            absent = concat("(e.value -> ", quote_text(field.name), ") is null")
            given = concat("case when ", absent, " then ", _default(field, authorized, rows), " else ", given, " end")
        columns.append(concat(given, " as ", identifier(field.name)))
    payload = value(plan.payload, "json")
    if not plan.fields:
        records = concat("json_array_elements(", payload, ") e(value)")
    elif plan.missing_default:
        records = concat(
            "json_array_elements(",
            payload,
            ") e(value) cross join lateral json_to_record(e.value) as p",
            record_types(plan.fields),
        )
    else:
        records = concat("json_to_recordset(", payload, ") as p", record_types(plan.fields))
    return concat("(select ", join(", ", columns), " from ", records, " offset 0)" if fenced else ")")


def _default(field: Field, authorized: AuthorizedInsert, rows: Rows) -> Fragment:
    expr = authorized.plan.defaults.get(field.name)
    if expr is not None:
        return rows.expr(expr, of("p"))
    if field.identity:
        table = quote_text(f"public.{quote(authorized.plan.collection.name)}")
        return sql(f"nextval(pg_get_serial_sequence({table}, {quote_text(field.name)}))")
    return sql(f"({field.default or 'null'})::{field.type.sql}")


def _settable(collection: Collection) -> Field:
    """A field that can be given the value it would have anyway, for a row of defaults only."""
    plain = [field for field in collection.fields if field.generated is None]
    return next((field for field in plain if not field.identity), plain[0]) if collection.adopted else plain[0]


def _on_conflict(authorized: AuthorizedInsert, rows: Rows) -> Fragment:
    conflict = authorized.plan.conflict
    if conflict is None:
        return _NOTHING
    target = concat(" on conflict (", join(", ", map(identifier, conflict.target)), ")")
    if conflict.update is None:
        return concat(target, " do nothing")
    # A merge of nothing but its target still hits the row, so that it is given back.
    update = conflict.update or conflict.target[:1]
    assigned = {name: identifier("excluded", name) for name in update}
    changes = join(", ", (concat(identifier(name), " = ", excluded) for name, excluded in assigned.items()))
    new = _not_implied(authorized.merge_new, authorized.merge_old, assigned, authorized.plan.collection)
    checks = []
    if authorized.merge_old != TRUE:
        checks.append(rows.expr(authorized.merge_old, of(ROOT)))
    if new != TRUE:
        checks.append(_holds_after(new, assigned, authorized.plan.collection, rows))
    where = _NOTHING
    if checks:
        where = concat(" where ", _or_refuse(join(" and ", checks), authorized.plan.collection))
    return concat(target, " do update set ", changes, where)


# --- update and delete -----------------------------------------------------------------------------------------------


def _update(authorized: AuthorizedUpdate, rows: Rows, *, many: bool = False) -> Fragment:
    plan = authorized.plan
    collection = plan.collection
    assigned = {field.name: identifier("p", field.name) for field in plan.fields}
    if not assigned:
        name = next(field.name for field in collection.fields if field.generated is None and not field.identity)
        assigned = {name: of(ROOT)(Column(name))}
    new = _not_implied(authorized.new, all_of(authorized.visible.rule, authorized.old), assigned, collection)
    checks = []
    if authorized.old != TRUE:
        checks.append(rows.expr(authorized.old, of(ROOT)))
    if new != TRUE:
        checks.append(_holds_after(new, assigned, collection, rows))
    guards = [_or_refuse(join(" and ", checks), collection)] if checks else []
    guards.extend(_or_fixed(field) for field in plan.fixed)
    changes = []
    for name, given in assigned.items():
        # The checks stand in what is assigned: there they see the rows that the filters leave, and no other.
        guarded = concat("case when ", join(" and ", guards), " then ", given, " end") if guards else given
        changes.append(concat(identifier(name), " = ", guarded))
        guards = []
    sources = [sql("args")] if many else []
    if plan.fields or plan.fixed:
        named = (*plan.fields, *plan.fixed)
        sources.append(concat("json_to_record(", value(plan.payload, "json"), ") as p", record_types(named)))
    given = concat(" from ", join(" cross join lateral ", sources)) if sources else _NOTHING
    return concat(
        *("update ", identifier("public", collection.name), f" {ROOT} set ", join(", ", changes), given),
        *(_target(authorized, rows), _returning(authorized.rows, "false"), f", args.nth as {_NTH}" if many else ""),
    )


def _delete(authorized: AuthorizedDelete, rows: Rows) -> Fragment:
    plan = authorized.plan
    table = identifier("public", plan.collection.name)
    where = _target(authorized, rows)
    return concat("delete from ", table, f" {ROOT}", where, _returning(authorized.rows, "false"))


def _target(authorized: AuthorizedUpdate | AuthorizedDelete, rows: Rows) -> Fragment:
    """The WHERE clause that picks the rows to write: those the rules let the caller see and the filters want."""
    write = authorized.plan
    plan = ReadPlan(collection=write.collection, outputs=(), where=write.where, computed=write.computed)
    return rows.target(AuthorizedRows(plan=plan, visible=authorized.visible, as_caller=authorized.as_caller))


# --- shared ----------------------------------------------------------------------------------------------------------


def _tail(answer: Answer, shown: AuthorizedRows | None, rows: Rows, *, written: str = "written") -> Fragment:
    affected = f"(select count(*) as n, count(*) filter (where w.{_INSERTED}) as inserted from {written} w) w"
    counted = "w.n"
    body = sql("null, null")
    source = sql(affected)
    if shown is not None:
        level = rows.select(shown, ROOT, source=sql(written))
        body = sql("b.body, b.n")
        counted = "b.n"
        collected = array(stripped=answer.stripped)
        source = concat(affected, f", (select {collected} as body, count(*) as n from (", level, ") j) b")
    guards = []
    if answer.singular and not answer.location:
        guards.append(f"case when {counted} <> 1 then mbaas.halt('singular', {counted}) end")
    if answer.max_affected is not None:
        guards.append(f"case when w.n > {answer.max_affected:d} then mbaas.halt('affected', w.n) end")
    return concat("select ", body, ", ", ", ".join(("w.n", "w.inserted", *guards)), " from ", source)


def _holds_after(check: Expr, assigned: Mapping[str, Fragment], collection: Collection, rows: Rows) -> Fragment:
    """The check on the row as it will be: what is assigned, the rest as it is, generated columns computed anew."""

    def after(name: str) -> Fragment:
        return assigned.get(name) or (touched(collection, name) or of(ROOT)(Column(name)))

    read = own_columns(check)
    if not any(field.generated is not None and field.name in read for field in collection.fields):
        return rows.expr(check, lambda column: after(column.name))
    stored = (field.name for field in collection.fields if field.generated is None)
    row = concat("(select ", join(", ", (concat(after(name), " as ", identifier(name)) for name in stored)), ")")
    return concat("(select ", rows.expr(check, of("n")), " from ", generated(row, collection, read, "n"), " n)")


def _not_implied(new: Expr, old: Expr, assigned: Iterable[str], collection: Collection) -> Expr:
    """Those parts of ``new`` that ``old`` does not settle: the write touches what they read, or ``old`` lacks them."""
    settled = old.items if isinstance(old, And) else (old,)
    moving = set(assigned)
    for field in collection.fields:
        if field.generated is not None or touched(collection, field.name) is not None:
            moving.add(field.name)
    parts = new.items if isinstance(new, And) else (new,)
    return all_of(*(part for part in parts if part not in settled or not moving.isdisjoint(own_columns(part))))


def touched(collection: Collection, name: str) -> Fragment | None:
    """``updated_at`` becomes now by a trigger, which a check before it cannot see."""
    field = collection.field(name)
    return sql("now()") if field is not None and field.managed and name == "updated_at" else None


def generated(source: Fragment, collection: Collection, read: set[str], alias: str) -> Fragment:
    """The rows with those generated columns that are read. Their expressions name columns bare, so they stand alone."""
    computed = [
        concat("(", field.generated, ") as ", identifier(field.name))
        for field in collection.fields
        if field.generated is not None and field.name in read
    ]
    return (
        concat(f"(select {alias}0.*, ", join(", ", computed), " from ", source, f" {alias}0)") if computed else source
    )


def _or_refuse(check: Fragment, collection: Collection) -> Fragment:
    return concat("case when ", check, " then true else mbaas.refuse(", quote_text(collection.name), ") end")


def _or_fixed(field: Field) -> Fragment:
    same = concat(identifier("p", field.name), f" is not distinct from {ROOT}.", identifier(field.name))
    return concat("case when ", same, " then true else mbaas.keep(", quote_text(field.name), ") end")


def record_types(fields: Iterable[Field]) -> Fragment:
    return concat("(", join(", ", (sql(f"{quote(field.name)} {field.type.sql}") for field in fields)), ")")


def _returning(shown: AuthorizedRows | None, inserted: str) -> str:
    """inserted: SQL that tells whether the row is new."""
    return f" returning {_given_back(shown)}({inserted}) as {_INSERTED}"


def _given_back(shown: AuthorizedRows | None) -> str:
    """Whole rows, or of a table that the caller's own rights hold for the columns that are asked for."""
    if shown is None:
        return ""
    plan, visible = shown.plan, shown.visible
    if visible is None or not visible.bare or plan.embeds or plan.computed:
        return f"{ROOT}.*, "
    asked = [output.expr for output in plan.outputs if isinstance(output, FieldOutput)]
    asked += [term.expr for term in plan.order]
    asked += [o.argument for o in plan.outputs if isinstance(o, AggregateOutput) and o.argument is not None]
    names = sorted({name for expr in (*asked, plan.where) for name in own_columns(expr)})
    return "".join(f"{ROOT}.{quote(name)}, " for name in names)
