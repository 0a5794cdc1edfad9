"""A rule taken apart: statements that give the value of each of its parts, as PostgreSQL has it, on one real row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mbaas.core.expr import types as t
from mbaas.core.expr.walk import own_columns, walk
from mbaas.core.identity import Identity
from mbaas.core.rules.text import condition_text, rule_text, select_text
from mbaas.core.schema.catalog import Collection, Field
from mbaas.core.sql.expressions import render_expr
from mbaas.core.sql.fragment import Fragment, Statement, concat, identifier, join, quote_text, sql, statement, value
from mbaas.core.sql.rows import ROOT, of
from mbaas.core.sql.write import generated, record_types, touched

MAX_ROWS = 3


class Rows(msgspec.Struct, frozen=True):
    """What a sub-select finds: some rows as JSON, and of each of its conditions whether any row meets it alone."""

    text: str
    rows: Fragment
    conditions: tuple[tuple[str, Fragment], ...]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a rule. value: gives it as jsonb. of_row: it cannot be asked without a row.

    joined: how its parts make it. guarded: its parts may fail where it is null itself.
    """

    text: str
    value: Fragment
    of_row: bool
    parts: tuple[Part, ...] = ()
    rows: Rows | None = None
    joined: str | None = None
    guarded: bool = False


def taken_apart(expr: t.Expr, identity: Identity, *, of_collection: str) -> Part:
    """The rule and everything in it whose value says something: constants do not."""

    def render(part: t.Expr) -> Fragment:
        return render_expr(part, column=of(ROOT), identity=identity)

    def go(part: t.Expr) -> Part:
        shown = part.item if isinstance(part, t.Guarded) else part
        select = part.select if isinstance(part, t.Exists | t.InSelect | t.ScalarSelect) else None
        return Part(
            text=rule_text(part, of=of_collection),
            value=concat("to_jsonb(", render(part), ")"),
            of_row=bool(own_columns(part)),
            parts=tuple(go(inner) for inner in _inside(shown) if not isinstance(inner, t.Literal)),
            rows=None if select is None else _rows(select, render, of_collection),
            joined="and" if isinstance(shown, t.And) else "or" if isinstance(shown, t.Or) else None,
            guarded=isinstance(part, t.Guarded),
        )

    return go(expr)


def _inside(part: t.Expr) -> tuple[t.Expr, ...]:
    match part:
        case t.And() | t.Or() | t.Array():
            return part.items
        case t.Not() | t.Is() | t.Cast() | t.InSelect() | t.Guarded() | t.TextSearch():
            return (part.item,)
        case t.Binary() | t.Quantified():
            return (part.left, part.right)
        case t.In():
            return (part.item, *part.items)
        case t.Call():
            return part.args
        case t.Case():
            otherwise = () if part.otherwise is None else (part.otherwise,)
            return (*(one for branch in part.branches for one in branch), *otherwise)
    return ()


def _rows(select: t.Select, render: object, of_collection: str) -> Rows:
    assert callable(render)  # noqa: S101
    alias = f"s_{select.alias}"
    source = concat(identifier("public", select.collection), " as ", identifier(alias))
    wheres = () if select.where is None else select.where.items if isinstance(select.where, t.And) else (select.where,)
    read = {part.name for part in walk(t.Exists(select)) if isinstance(part, t.Column) and part.scope == select.alias}
    columns = join(", ", (identifier(alias, name) for name in sorted(read))) if read else sql("1 as row")
    where = sql("") if select.where is None else concat(" where ", render(select.where))
    found = concat("(select ", columns, " from ", source, where, f" limit {MAX_ROWS})")
    return Rows(
        text=select_text(select, of=of_collection),
        rows=concat("(select coalesce(jsonb_agg(to_jsonb(f)), '[]') from ", found, " f)"),
        conditions=tuple(
            (
                condition_text(one, of=of_collection),
                concat("to_jsonb(exists (select 1 from ", source, " where ", render(one), "))"),
            )
            for one in wheres
        )
        if len(wheres) > 1
        else (),
    )


# --- the rows ---------------------------------------------------------------------------------------------------------


def stored_row(collection: Collection, key: str) -> Fragment:
    """The record of a key. key: a JSON object with all its fields."""
    return concat("(select ", ROOT, ".* from ", _found(collection, key), ")")


def changed_row(collection: Collection, key: str, fields: Iterable[Field], changes: str) -> Fragment:
    """The same record as it will be. changes: a JSON object with those fields."""
    named = tuple(fields)
    assigned = {field.name: identifier("p", field.name) for field in named}
    columns = (
        concat(assigned.get(name) or touched(collection, name) or of(ROOT)(t.Column(name)), " as ", identifier(name))
        for name in (field.name for field in collection.fields if field.generated is None)
    )
    payload = concat(", json_to_record(", value(changes, "json"), ") as p", record_types(named)) if named else sql("")
    row = concat("(select ", join(", ", columns), " from ", _found(collection, key, payload), ")")
    return generated(row, collection, {field.name for field in collection.fields}, "n")


def new_row(
    collection: Collection, fields: Iterable[Field], record: str, defaults: Mapping[str, t.Expr], identity: Identity
) -> Fragment:
    """A record that is not there yet, with its defaults; a number that PostgreSQL would count is null.

    record: a JSON object with those fields. defaults: those that ask who the caller is.
    """
    named = {field.name: field for field in fields}
    columns = []
    for field in collection.fields:
        if field.generated is not None:
            continue
        if field.name in named:
            given = identifier("p", field.name)
        elif field.name in defaults:
            given = render_expr(defaults[field.name], column=of("p"), identity=identity)
        else:
            counted = field.identity or "nextval(" in (field.default or "")
            given = sql(f"({'null' if counted or field.default is None else field.default})::{field.type.sql}")
        columns.append(concat(given, " as ", identifier(field.name)))
    source = (
        concat("json_to_record(", value(record, "json"), ") as p", record_types(named.values()))
        if named
        else sql("(select) p")
    )
    row = concat("(select ", join(", ", columns), " from ", source, ")")
    return generated(row, collection, {field.name for field in collection.fields}, "n")


def _found(collection: Collection, key: str, more: Fragment = Fragment(())) -> Fragment:  # noqa: B008 - frozen
    fields = [field for field in collection.fields if field.name in collection.key]
    same = join(" and ", (concat(f"{ROOT}.", identifier(f.name), " = ", identifier("k", f.name)) for f in fields))
    given = concat(" cross join json_to_record(", value(key, "json"), ") as k", record_types(fields))
    return concat(identifier("public", collection.name), f" {ROOT}", given, more, " where ", same)


def ask(wanted: Iterable[Fragment], row: Fragment | None) -> Statement:
    """One row with one column: a JSON array of all these values. No row when the record is not there."""
    values = concat("select to_jsonb(array[", join(", ", wanted), "]::jsonb[])::text")
    return statement(values if row is None else concat(values, " from ", row, f" {ROOT}"))


def claims_of(user: str) -> Statement:
    """What a token of that user says of him, as JSON, for a session by password."""
    return statement(
        concat(
            "select jsonb_build_object('sub', id, 'role', role, 'aud', aud, 'email', coalesce(email, ''), 'phone', ",
            "coalesce(phone, ''), 'app_metadata', raw_app_meta_data, 'user_metadata', raw_user_meta_data, ",
            "'is_anonymous', is_anonymous, 'aal', ", quote_text("aal1"), ")::text from auth.users where id = ",
            value(user, "uuid"),
        )
    )  # fmt: skip


# --- policies of others -----------------------------------------------------------------------------------------------

_POLICIES = """
select coalesce(json_agg(json_build_object(
    'collection', asked.name, 'operation', operation, 'role', role,
    'granted', case operation when 'delete' then has_table_privilege(role, c.oid, operation)
        else has_any_column_privilege(role, c.oid, operation) end,
    'bypasses', not c.relrowsecurity or (select rolbypassrls or rolsuper from pg_roles where rolname = role),
    'policies', (
        select coalesce(json_agg(json_build_object(
            'name', polname, 'permissive', polpermissive,
            'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid)
        ) order by polname), '[]')
        from pg_policy
        where polrelid = c.oid and polcmd in ('*', case operation
                when 'select' then 'r' when 'insert' then 'a' when 'update' then 'w' else 'd' end::"char")
            and (0 = any (polroles) or (select r.oid from pg_roles as r where r.rolname = role) = any (polroles))
    )
) order by asked.name, operation, role), '[]')::text
from json_array_elements_text("""
_OF_EACH = """) as asked (name)
cross join (values ('select'), ('insert'), ('update'), ('delete')) as operations (operation)
cross join (values ('anon'), ('authenticated'), ('service_role')) as roles (role)
join pg_class as c on c.relname = asked.name and c.relnamespace = 'public'::regnamespace
"""


def policies_of(collections: Iterable[str]) -> Statement:
    """As JSON, for each operation and role: what is granted, whether no policy holds it, and the policies that do."""
    names = msgspec.json.encode(sorted(collections)).decode()
    return statement(concat(_POLICIES, value(names, "json"), _OF_EACH))


def row_as_json(row: Fragment) -> Statement:
    """No row when the record is not there."""
    return statement(concat(f"select row_to_json({ROOT})::text from ", row, f" {ROOT}"))


def policy_value(collection: Collection, expression: str, record: str) -> Statement:
    """What a policy says of a record, to be run as the caller. expression: as the database tells it."""
    table = identifier("public", collection.name)
    source = concat(
        "json_populate_record(null::", table, ", ", value(record, "json"), ") as ", identifier(collection.name)
    )
    return statement(concat("select to_jsonb((", expression, "))::text from ", source))
