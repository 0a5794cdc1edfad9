"""From a request to its statement, without HTTP and without a database."""

from __future__ import annotations

from mbaas.core.identity import ANON, SERVICE, Identity
from mbaas.core.plan.authorize import authorize
from mbaas.core.plan.calls import resolve_call
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.writes import resolve_delete, resolve_insert, resolve_update
from mbaas.core.query.body import parse_call, parse_insert, parse_update
from mbaas.core.query.headers import parse_accept, parse_prefer
from mbaas.core.query.parse import parse_parameters
from mbaas.core.query.types import CallQuery, DeleteQuery, InsertQuery, ReadQuery, UpdateQuery
from mbaas.core.rules.compile import compile_rules
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.sql.call import render_call
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.read import render_list
from mbaas.core.sql.write import render_write
from tests.sample import ANA, CATALOG

RULES = compile_rules(CATALOG)
ANA_SIGNED_IN = Identity(role="authenticated", claims={"sub": ANA, "role": "authenticated"})
CALLERS = {"anon": ANON, "service": SERVICE, "ana": ANA_SIGNED_IN}


def statement_of(
    method: str,
    path: str,
    by: str = "ana",
    *,
    body: str = "{}",
    prefer: str = "",
    accept: str | None = None,
    rules: RuleSet = RULES,
) -> Statement:
    """path: ``/posts?select=id``, not percent-encoded."""
    name, _, query_string = path.removeprefix("/").partition("?")
    identity = CALLERS[by]
    parameters = parse_parameters(query_string)
    common = {
        "parts": parameters.parts,
        "preferences": parse_prefer([prefer]),
        "media": parse_accept(accept),
    }
    resolver = Resolver(Names(rules.catalog, rules.defaults), privileged=identity.bypasses_rules, max_rows=1000)
    if name.startswith("rpc/"):
        call = parse_call(body.encode())
        query = CallQuery(function=name[4:], arguments=call.columns, payload=call.text, **common)  # type: ignore[arg-type]
        return render_call(authorize(resolve_call(query, resolver), identity, rules))
    if method == "GET":
        listed = resolve_list(ReadQuery(collection=name, **common), resolver)  # type: ignore[arg-type]
        return render_list(authorize(listed, identity, rules))
    if method == "DELETE":
        removed = resolve_delete(DeleteQuery(collection=name, **common), resolver)  # type: ignore[arg-type]
        return render_write(authorize(removed, identity, rules))
    parse = parse_insert if method == "POST" else parse_update
    payload = parse(body.encode(), columns=parameters.columns)
    given = {"collection": name, "payload": payload.text, "columns": payload.columns, **common}
    if method == "POST":
        insert = InsertQuery(on_conflict=parameters.on_conflict, **given)  # type: ignore[arg-type]
        return render_write(authorize(resolve_insert(insert, resolver), identity, rules))
    return render_write(authorize(resolve_update(UpdateQuery(**given), resolver), identity, rules))  # type: ignore[arg-type]
