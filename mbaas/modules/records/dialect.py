"""The dialect of ``/rest/v1`` for the edge: who was refused, and what of a broken constraint that caller may read."""

from __future__ import annotations

from mbaas.core.errors import DatabaseError, MbaasError
from mbaas.core.expr.types import TRUE
from mbaas.core.identity import Identity
from mbaas.core.rules.ruleset import RuleSet
from mbaas.http.respond import Reply, Scope
from mbaas.modules.records.errors import is_readable, refuse

_READABLE = "constraint_readable"
_LENGTH_AND_TYPE = (b"content-length", b"content-type")


def rest_dialect(error: MbaasError, scope: Scope) -> Reply:
    """An error as PostgREST would word it."""
    state = scope.get("state", {})
    caller = state.get("caller")
    role = caller.role if isinstance(caller, Identity) else "anon"
    status, headers, body = refuse(error, role=role, readable=state.get(_READABLE, False)).answer()
    return Reply(status, body, tuple(header for header in headers if header[0] not in _LENGTH_AND_TYPE))


def note_readable(scope: Scope, error: DatabaseError, identity: Identity, rules: RuleSet, written: str) -> None:
    """Leaves a word for the dialect: it does not know the rules, and outlives the request that did."""
    scope["state"][_READABLE] = may_read_fault(error, identity, rules, written)


def may_read_fault(error: DatabaseError, identity: Identity, rules: RuleSet, written: str) -> bool:
    """Whether the caller may be told what a constraint is about.

    written: the collection that the request named. What a trigger met in another one is told to those who may see all
    of that, since its values are not the caller's own.
    """
    collection = rules.catalog.collection(error.table or "")
    if collection is None or not error.sqlstate.startswith("23"):
        return False
    name = collection.name
    if name != written and not identity.bypasses_rules and rules.row(name, "select") != TRUE:
        return False
    return is_readable(collection, error, lambda field: identity.bypasses_rules or rules.read(name, field) == TRUE)
