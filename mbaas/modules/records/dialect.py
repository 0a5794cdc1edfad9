"""Refusals of ``/rest/v1`` as answers: the table of ``errors`` with who asked and what they may read."""

from __future__ import annotations

from collections.abc import Callable

from mbaas.core.errors import DatabaseError, MbaasError
from mbaas.core.expr.types import TRUE
from mbaas.core.identity import ANON, Identity
from mbaas.core.rules.ruleset import RuleSet
from mbaas.http.errors import Dialect
from mbaas.http.respond import Reply, Scope
from mbaas.modules.records.errors import is_readable, refuse


def rest_dialect(rules: Callable[[], RuleSet]) -> Dialect:
    """Words errors for a caller. rules: those that hold now, for which fields an error may speak of."""

    def worded(error: MbaasError, scope: Scope) -> Reply:
        found = scope["state"].get("caller")
        identity = found if isinstance(found, Identity) else ANON
        refusal = refuse(error, role=identity.role, readable=_readable(error, identity, rules()))
        headers = (("proxy-status", f"PostgREST; error={refusal.code}"), *refusal.headers)
        pairs = tuple((name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers)
        return Reply(refusal.status, refusal.body, pairs)

    return worded


def _readable(error: MbaasError, identity: Identity, rules: RuleSet) -> bool:
    if not isinstance(error, DatabaseError) or error.table is None:
        return False
    if identity.bypasses_rules:
        return True
    collection = rules.catalog.collection(error.table)
    return is_readable(collection, error, lambda field: rules.read(error.table or "", field) == TRUE)
