"""How PostgreSQL carries a request out (EXPLAIN), for who holds the service key."""

from __future__ import annotations

from typing import TypeAlias

from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import AuthorizedWrite, Grants, authorize
from mbaas.core.plan.calls import resolve_call
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.writes import resolve_delete, resolve_insert, resolve_update
from mbaas.core.query.types import CallQuery, DeleteQuery, Explain, InsertQuery, ReadQuery, UpdateQuery
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.sql.call import render_call
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.read import render_list
from mbaas.core.sql.write import render_write

Query: TypeAlias = ReadQuery | InsertQuery | UpdateQuery | DeleteQuery | CallQuery


def explaining(
    query: Query, resolver: Resolver, identity: Identity, rules: RuleSet, grants: Grants
) -> tuple[Statement, bool]:
    """The EXPLAIN of the statement that the query becomes, and whether it is to run as the caller."""
    wanted = query.media.explain or Explain()
    options = ", ".join((f"format {wanted.format}", *wanted.options))
    statement, as_caller = _statement(query, resolver, identity, rules, grants)
    return Statement(f"explain ({options}) {statement.text}", statement.args), as_caller


def _statement(
    query: Query, resolver: Resolver, identity: Identity, rules: RuleSet, grants: Grants
) -> tuple[Statement, bool]:
    if isinstance(query, ReadQuery):
        read = authorize(resolve_list(query, resolver), identity, rules, grants)
        return render_list(read), read.as_caller
    if isinstance(query, CallQuery):
        return render_call(authorize(resolve_call(query, resolver), identity, rules, grants)), True
    write: AuthorizedWrite
    if isinstance(query, InsertQuery):
        write = authorize(resolve_insert(query, resolver), identity, rules, grants)
    elif isinstance(query, UpdateQuery):
        write = authorize(resolve_update(query, resolver), identity, rules, grants)
    else:
        write = authorize(resolve_delete(query, resolver), identity, rules, grants)
    return render_write(write), write.as_caller
