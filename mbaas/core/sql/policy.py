"""The same rules as PostgreSQL policies, for everything that runs as the caller in the database.

A rule with a sub-select becomes a function that runs as the owner and gives one bit about one row: a rule sees
everything (ADR 2), and policies that ask other tables cannot recurse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from mbaas.core.expr import types as t
from mbaas.core.expr.walk import own_columns, walk
from mbaas.core.rules.ruleset import OPERATIONS, RuleSet
from mbaas.core.schema.catalog import Collection, Operation
from mbaas.core.sql.expressions import guard_inputs, guard_name, render_expr
from mbaas.core.sql.fragment import Fragment, identifier, quote, quote_text, sql, statement

ROLES = ("anon", "authenticated")
_TO = ", ".join(ROLES)


def render_policies(rules: RuleSet, collection: str) -> tuple[str, ...]:
    """SQL that makes grants, policies and rule functions of one collection what its rules say, whatever was before."""
    known = rules.catalog.collections[collection]
    table = f"public.{quote(collection)}"
    functions: list[str] = []
    policies: list[str] = []
    grants: list[str] = []
    for operation in OPERATIONS:
        rule = rules.row(collection, operation)
        if rule == t.FALSE:
            continue
        text = _condition(rule, known, operation, functions)
        policies += _policies(table, operation, text)
        grants += _grants(table, operation, rules, known)
    return (
        f"alter table {table} enable row level security",
        f"revoke all on {table} from public, anon, authenticated",
        f"grant all on {table} to service_role",
        *(f"drop policy if exists {quote(f'mbaas_{operation}')} on {table}" for operation in OPERATIONS),
        _drop_functions(collection),
        *dict.fromkeys(statement for guarded in _guards(rules, known) for statement in _guard_function(guarded)),
        *functions,
        *policies,
        *grants,
    )


def _policies(table: str, operation: Operation, rule: str) -> list[str]:
    name = quote(f"mbaas_{operation}")
    clause = {
        "select": f"using ({rule})",
        "insert": f"with check ({rule})",
        "update": f"using ({rule}) with check ({rule})",
        "delete": f"using ({rule})",
    }[operation]
    return [f"create policy {name} on {table} for {operation} to {_TO} {clause}"]


def _grants(table: str, operation: Operation, rules: RuleSet, collection: Collection) -> list[str]:
    """A policy cannot mask a field, so a field with a rule of its own is not granted at all."""
    if operation == "delete":
        return [f"grant delete on {table} to {_TO}"]
    ruled = rules.read if operation == "select" else rules.write
    columns = [
        quote(field.name)
        for field in collection.fields
        if ruled(collection.name, field.name) == t.TRUE
        and not field.hidden
        and not (operation != "select" and field.managed)
    ]
    if not columns:
        return []
    if len(columns) == len(collection.fields):
        return [f"grant {operation} on {table} to {_TO}"]
    return [f"grant {operation} ({', '.join(columns)}) on {table} to {_TO}"]


def _condition(rule: t.Expr, collection: Collection, operation: Operation, functions: list[str]) -> str:
    """The rule over the row; with a sub-select in it, a call of a function that is the rule."""
    if not _asks_others(rule):
        return _text(_plannable(rule), lambda column: identifier(column.name))
    fields = [field for field in collection.fields if field.name in own_columns(rule)]
    numbers = {field.name: number for number, field in enumerate(fields, start=1)}
    body = _text(rule, lambda column: sql(f"${numbers[column.name]}"))
    name = f"mbaas.{quote(function_name(collection.name, operation))}"
    types = ", ".join(field.type.sql for field in fields)
    functions += [
        f"create function {name}({types}) returns boolean language sql stable security definer set search_path = '' "
        f"as {quote_text(f'select {body}')}",
        f"revoke all on function {name}({types}) from public",
        f"grant execute on function {name}({types}) to {_TO}",
    ]
    return f"{name}({', '.join(quote(field.name) for field in fields)})"


def _plannable(rule: t.Expr) -> t.Expr:
    """The same policy without ``now() = now()``: PostgreSQL (18.6) cannot plan one that compares what asks nothing of
    the row with itself. It makes the same of it where it can."""
    if isinstance(rule, t.And):
        return t.And(tuple(map(_plannable, rule.items)))
    if isinstance(rule, t.Binary) and rule.op == "=" and rule.left == rule.right and not own_columns(rule):
        return t.Is(rule.left, "null", negated=True)
    return rule


def _asks_others(expr: t.Expr) -> bool:
    """Whether it has a sub-select that is not behind a guard, whose function runs as the owner anyway."""
    guarded = [part for one in walk(expr) if isinstance(one, t.Guarded) for part in walk(one.item)]
    selects = [part for part in walk(expr) if isinstance(part, t.Exists | t.InSelect | t.ScalarSelect)]
    return any(all(select is not part for part in guarded) for select in selects)


def _guards(rules: RuleSet, collection: Collection) -> Iterator[t.Guarded]:
    """Those of a collection's rules and of its fields' rules."""
    name = collection.name
    exprs = [rules.row(name, operation) for operation in OPERATIONS]
    exprs += [rule(name, field.name) for field in collection.fields for rule in (rules.read, rules.write)]
    for expr in exprs:
        yield from (part for part in walk(expr) if isinstance(part, t.Guarded))


def _guard_function(guarded: t.Guarded) -> Iterator[str]:
    """Null where the expression fails on a value: a cast, a number out of range, two rows where one may be.

    It runs as its owner, as every rule sees everything. What fails for want of memory or time, or since another
    transaction stands in the way, is no verdict and fails the request.
    """
    columns, claims = guard_inputs(guarded)
    numbers: dict[str | t.Claim, int] = {one.name: number for number, one in enumerate(columns, 1)}
    numbers |= {one: number for number, one in enumerate(claims, len(columns) + 1)}
    body = render_expr(
        guarded.item,
        column=lambda one: sql(f"${numbers[one.name]}"),
        identity=None,
        claims=lambda one: sql(f"${numbers[one]}"),
    )
    kinds = {"uid": "uuid", "jwt": "jsonb", "claim": "jsonb"}
    types = ", ".join([*(one.type or "text" for one in columns), *(kinds.get(one.kind, "text") for one in claims)])
    name = f"mbaas.{guard_name(guarded)}({types})"
    text = (
        f"begin return {statement(body).text}; "
        "exception when data_exception or cardinality_violation or program_limit_exceeded then return null; end"
    )
    yield (
        f"create or replace function {name} returns {guarded.type} language plpgsql stable security definer "
        f"set search_path = '' as {quote_text(text)}"
    )
    yield f"revoke all on function {name} from public"
    yield f"grant execute on function {name} to {_TO}"


def function_name(collection: str, operation: Operation) -> str:
    """At most 63 bytes; a digest tells long names apart.

    >>> function_name("posts", "select")
    'rule_posts_select'
    """
    name = f"rule_{collection}_{operation}"
    if len(name.encode()) <= 63:
        return name
    return f"rule_{hashlib.sha256(collection.encode()).hexdigest()[:40]}_{operation}"


def _text(expr: t.Expr, column: Callable[[t.Column], Fragment]) -> str:
    rendered = statement(render_expr(expr, column=column, identity=None))
    if rendered.args:
        raise ValueError("a policy holds no values of a caller")
    return rendered.text


def _drop_functions(collection: str) -> str:
    """Whatever their arguments were."""
    names = ", ".join(quote_text(function_name(collection, operation)) for operation in OPERATIONS)
    return f"""
do $$
declare
    old regprocedure;
begin
    for old in
        select oid::regprocedure from pg_proc
        where pronamespace = 'mbaas'::regnamespace and proname in ({names})
    loop
        execute format('drop function %s', old);
    end loop;
end
$$"""
